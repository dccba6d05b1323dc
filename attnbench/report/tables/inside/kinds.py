"""The kinds of operators: which work the seconds of a profile went to."""

from __future__ import annotations

CONVOLUTIONS = "convolutions, products"
NORMALISATION = "normalisation"
POOLING = "pooling, reductions"
ELEMENTWISE = "elementwise"
MOVES = "data movement"
REST = "calls and the rest"

KINDS: dict[str, tuple[str, ...]] = {
    CONVOLUTIONS: (
        *("mkldnn_convolution", "cudnn_convolution", "miopen_convolution", "conv_depthwise3d"),
        *("thnn_conv2d", "_slow_conv2d_forward", "slow_conv3d", "_conv_depthwise2d"),
        *("_nnpack_spatial_convolution", "convolution_overrideable", "slow_conv_dilated2d"),
        *("mkldnn_linear", "addmm", "mm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot"),
        *("_scaled_dot_product_flash_attention_for_cpu", "_flash_attention_forward"),
        *("_efficient_attention_forward", "im2col", "col2im", "cudnn_convolution_transpose"),
    ),
    NORMALISATION: (
        *("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "native_group_norm"),
        *("native_layer_norm", "_native_batch_norm_legit", "batch_norm_elemt"),
        *("_batch_norm_with_update", "_batch_norm_no_update", "_fused_rms_norm"),
    ),
    POOLING: (
        *("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "mkldnn_max_pool2d"),
        *("adaptive_max_pool2d", "mkldnn_adaptive_avg_pool2d", "mkldnn_avg_pool2d", "amax"),
        *("sum", "mean", "max", "min", "amin", "std", "var", "var_mean", "std_mean", "norm"),
        *("linalg_vector_norm", "prod", "logsumexp", "argmax", "argmin", "_softmax"),
        *("_log_softmax", "cumsum", "topk", "sort", "any", "all"),
    ),
    ELEMENTWISE: (
        *("add", "sub", "rsub", "mul", "div", "addcmul", "addcdiv", "lerp", "neg", "abs", "sign"),
        *("pow", "square", "sqrt", "rsqrt", "reciprocal", "exp", "exp2", "expm1", "log", "log1p"),
        *("clamp", "clamp_min", "clamp_max", "maximum", "minimum", "threshold", "where"),
        *("relu", "relu6", "leaky_relu", "prelu", "_prelu_kernel", "elu", "gelu", "silu", "mish"),
        *("sigmoid", "log_sigmoid_forward", "hardsigmoid", "hardswish", "hardtanh", "tanh"),
        *("softplus", "softshrink", "sin", "cos", "erf", "eq", "ne", "lt", "le", "gt", "ge"),
    ),
    MOVES: (
        *("copy", "cat", "index", "index_select", "gather", "scatter", "roll", "flip", "repeat"),
        *("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "fill", "zero"),
        *("channel_shuffle", "pixel_shuffle", "upsample_nearest2d", "upsample_bilinear2d"),
        *("index_put", "masked_fill", "_index_put_impl", "_reshape_from_tensor", "unfold_copy"),
        *("native_channel_shuffle", "stack"),
    ),
}
"""Kind -> its operators, by their names in torch without ``aten::`` and a last underscore."""

KIND_OF = {operator: kind for kind, operators in KINDS.items() for operator in operators}

ORDER = (NORMALISATION, ELEMENTWISE, POOLING, CONVOLUTIONS, MOVES, REST)
"""As they are stacked."""


def plain_name(operator: str) -> str:
    """Return ``add`` for ``aten::add_``; the names of other libraries' operators as they are."""
    return operator.removeprefix("aten::").rstrip("_") if "aten::" in operator else operator


def kind_of(operator: str) -> str:
    """Return an operator's kind; views, allocations and Python's own time are the rest."""
    return KIND_OF.get(plain_name(operator), REST)
