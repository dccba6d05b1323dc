"""Print how many usual calls of PyTorch the table of operators knows, and list the others.

    python benchmarks/operators.py

The calls are those that attention modules use, of ``torch``, ``torch.nn.functional`` and tensors.
A call is known if every operator that it runs on a CPU is in the table (or a view).
"""

from __future__ import annotations

import argparse
import warnings

if __name__ == "__main__":  # before the imports below, which take seconds
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  the usual name
from torchvision import ops

from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS

X = torch.rand(2, 4, 6, 6) + 0.1
V = torch.rand(2, 4, 6, 6, 6)
ROW = X[0, 0]
HALF = 0.5
INDEX = torch.zeros(2, 4, 6, 6, dtype=torch.long)
POINTS = torch.rand(2, 5, 5, 2)
BOXES = [torch.tensor([[0.0, 0.0, 4.0, 4.0]])] * 2

TENSOR_CALLS = """
abs acos angle asin atan ceil clone conj contiguous cos cosh cumsum:1 cumprod:1 detach
diag_embed digamma double erf erfc exp exp2 expm1 fix float floor frac half isfinite isinf isnan
lgamma log log10 log1p log2 logical_not neg nonzero positive reciprocal relu round rsqrt sgn sigmoid
sign sin sinc sinh sqrt square tan tanh trunc
all amax amin aminmax any argmax argmin argsort count_nonzero cummax:1 cummin:1 diff logsumexp:1
max mean median min mode norm nansum prod sort std sum topk:2 unique var
flatten flip:1 roll:1 tril triu unbind squeeze t:row transpose:1,2 chunk:2 split:2 tile:2,1
relu_ sigmoid_ tanh_ exp_ sqrt_ neg_ abs_ zero_ clamp_:0,1 clamp_min_:0 clamp_max_:1 pow_:2 add_:1
mul_:2 div_:2 sub_:1 fill_:1 clamp:0,1 clamp_min:0 clamp_max:1 pow:2 remainder:2 fmod:2
new_zeros:3 new_ones:3 new_empty:3
"""

FUNCTION_CALLS = """
relu relu6 elu selu celu gelu silu mish sigmoid tanh hardtanh hardsigmoid hardswish softplus
softsign logsigmoid tanhshrink hardshrink softshrink leaky_relu rrelu glu normalize softmax:1
log_softmax:1 softmin:1 adaptive_avg_pool2d:1 adaptive_max_pool2d:1 avg_pool2d:2 max_pool2d:2
lp_pool2d:2,2 pixel_shuffle:2 pixel_unshuffle:2 channel_shuffle:2 unfold:2 instance_norm dropout
feature_alpha_dropout threshold:0,0
"""


def _call(owner: object, text: str) -> tuple[str, object]:
    """Return a call that a table spells ``name:argument,argument``."""
    name, _, stated = text.partition(":")
    arguments = [int(value) for value in stated.split(",") if value.isdigit()]

    def call() -> object:
        x = ROW.clone() if stated == "row" else X.clone()
        if owner is F:
            return getattr(F, name)(x, *arguments)
        return getattr(x, name)(*arguments)

    return f"{'F' if owner is F else 'Tensor'}.{name}", call


OTHERS = {
    "addcdiv": lambda: torch.addcdiv(X, X, X),
    "addcmul": lambda: torch.addcmul(X, X, X),
    "addmm": lambda: torch.addmm(ROW, ROW, ROW),
    "arange": lambda: torch.arange(5),
    "atan2": lambda: torch.atan2(X, X),
    "baddbmm": lambda: torch.baddbmm(X[0], X[0], X[0]),
    "bitwise_not": lambda: ~(X > HALF),
    "bmm": lambda: torch.bmm(X[0], X[0]),
    "bucketize": lambda: torch.bucketize(X, X[0, 0, 0]),
    "cat": lambda: torch.cat([X, X]),
    "cdist": lambda: torch.cdist(X, X),
    "complex": lambda: torch.complex(X, X),
    "cosine_similarity": lambda: F.cosine_similarity(X, X),
    "cross": lambda: torch.linalg.cross(X[:, :3], X[:, :3], dim=1),
    "diag": lambda: torch.diag(ROW),
    "dot": lambda: torch.dot(ROW[0], ROW[0]),
    "einsum": lambda: torch.einsum("bchw,bdhw->bcd", X, X),
    "eye": lambda: torch.eye(3),
    "fft2": lambda: torch.fft.fft2(X),
    "fftshift": lambda: torch.fft.fftshift(X),
    "full": lambda: torch.full((3,), 1.0),
    "gather": lambda: X.gather(1, INDEX),
    "ger": lambda: torch.outer(ROW[0], ROW[0]),
    "index": lambda: X[:, INDEX[0, 0, 0]],
    "index_add": lambda: X.index_add(1, INDEX[0, 0, 0, :4], X),
    "index_select": lambda: X.index_select(1, INDEX[0, 0, 0]),
    "irfft2": lambda: torch.fft.irfft2(torch.complex(X, X)),
    "isclose": lambda: torch.isclose(X, X),
    "lerp": lambda: torch.lerp(X, X, 0.5),
    "linspace": lambda: torch.linspace(0, 1, 5),
    "logaddexp": lambda: torch.logaddexp(X, X),
    "logical_and": lambda: torch.logical_and(X > 0, X > 1),
    "logspace": lambda: torch.logspace(0, 1, 5),
    "masked_fill": lambda: X.masked_fill(X > HALF, 0),
    "masked_select": lambda: X.masked_select(X > HALF),
    "matmul": lambda: X @ X,
    "maximum": lambda: torch.maximum(X, X),
    "meshgrid": lambda: torch.meshgrid(ROW[0], ROW[0], indexing="ij"),
    "mv": lambda: torch.mv(ROW, ROW[0]),
    "one_hot": lambda: F.one_hot(INDEX, 3),
    "ones_like": lambda: torch.ones_like(X),
    "pinv": lambda: torch.linalg.pinv(ROW),
    "polar": lambda: torch.polar(X, X),
    "qr": lambda: torch.linalg.qr(ROW),
    "rand_like": lambda: torch.rand_like(X),
    "randn": lambda: torch.randn(3),
    "repeat_interleave": lambda: X.repeat_interleave(2, 1),
    "rfft2": lambda: torch.fft.rfft2(X),
    "rot90": lambda: torch.rot90(X, 1, (2, 3)),
    "scatter": lambda: X.scatter(1, INDEX, X),
    "scatter_add": lambda: X.scatter_add(1, INDEX, X),
    "scatter_reduce": lambda: X.scatter_reduce(1, INDEX, X, "amax"),
    "searchsorted": lambda: torch.searchsorted(ROW[0], ROW[0]),
    "stack": lambda: torch.stack([X, X]),
    "std_mean": lambda: torch.std_mean(X, (2, 3)),
    "svd": lambda: torch.linalg.svd(ROW),
    "tensordot": lambda: torch.tensordot(ROW, ROW),
    "trace": lambda: torch.trace(ROW),
    "var_mean": lambda: torch.var_mean(X, (2, 3)),
    "view_as_complex": lambda: torch.view_as_complex(X[..., :2].contiguous()),
    "where": lambda: torch.where(X > HALF, X, X),
    "F.affine_grid": lambda: F.affine_grid(torch.rand(2, 2, 3), (2, 4, 6, 6), align_corners=False),
    "F.bilinear": lambda: F.bilinear(X, X, torch.ones(3, 6, 6)),
    "F.conv1d": lambda: F.conv1d(X[0], torch.ones(3, 6, 3)),
    "F.conv2d": lambda: F.conv2d(X, torch.ones(3, 4, 3, 3)),
    "F.conv3d": lambda: F.conv3d(V, torch.ones(3, 4, 3, 3, 3)),
    "F.conv_transpose2d": lambda: F.conv_transpose2d(X, torch.ones(4, 3, 3, 3)),
    "F.fold": lambda: F.fold(X.reshape(2, 16, 9), (4, 4), 2),
    "F.grid_sample": lambda: F.grid_sample(X, POINTS, align_corners=False),
    "F.group_norm": lambda: F.group_norm(X, 2),
    "F.interpolate antialias": lambda: F.interpolate(X, 4, mode="bilinear", antialias=True),
    "F.interpolate area": lambda: F.interpolate(X, 3, mode="area"),
    "F.interpolate bicubic": lambda: F.interpolate(X, 9, mode="bicubic"),
    "F.interpolate bilinear": lambda: F.interpolate(X, 9, mode="bilinear"),
    "F.interpolate nearest": lambda: F.interpolate(X, 9),
    "F.interpolate nearest-exact": lambda: F.interpolate(X, 9, mode="nearest-exact"),
    "F.layer_norm": lambda: F.layer_norm(X, (6,)),
    "F.local_response_norm": lambda: F.local_response_norm(X, 2),
    "F.pad circular": lambda: F.pad(X, (1, 1, 1, 1), mode="circular"),
    "F.pad constant": lambda: F.pad(X, (1, 1)),
    "F.pad reflect": lambda: F.pad(X, (1, 1, 1, 1), mode="reflect"),
    "F.pad replicate": lambda: F.pad(X, (1, 1, 1, 1), mode="replicate"),
    "F.prelu": lambda: F.prelu(X, torch.ones(4)),
    "F.rms_norm": lambda: F.rms_norm(X, (6,)),
    "F.scaled_dot_product_attention": lambda: F.scaled_dot_product_attention(X, X, X),
    "F.adaptive_avg_pool3d": lambda: F.adaptive_avg_pool3d(V, 2),
    "F.adaptive_avg_pool3d 1": lambda: F.adaptive_avg_pool3d(V, 1),
    "F.adaptive_max_pool3d": lambda: F.adaptive_max_pool3d(V, 2),
    "F.avg_pool1d": lambda: F.avg_pool1d(X[0], 2),
    "F.avg_pool3d": lambda: F.avg_pool3d(V, 2),
    "F.max_pool1d": lambda: F.max_pool1d(X[0], 2),
    "F.max_pool3d": lambda: F.max_pool3d(V, 2),
    "nn.GRU": lambda: nn.GRU(6, 3)(X[0]),
    "nn.LSTM": lambda: nn.LSTM(6, 3)(X[0]),
    "nn.MultiheadAttention": lambda: nn.MultiheadAttention(6, 2)(X[0], X[0], X[0]),
    "deform_conv2d": lambda: ops.DeformConv2d(4, 2, 1)(X, torch.zeros(2, 2, 6, 6)),
    "roi_align": lambda: ops.roi_align(X, BOXES, 2, sampling_ratio=2),
}


def calls() -> dict[str, object]:
    """Return every call by its name."""
    of_tensors = [_call(torch.Tensor, text) for text in TENSOR_CALLS.split()]
    return dict([*of_tensors, *(_call(F, text) for text in FUNCTION_CALLS.split())]) | OTHERS


def unknown(call: object) -> list[str]:
    """Return the operators of one call that the table does not know."""
    with torch.no_grad(), warnings.catch_warnings(), Trace(OPERATORS) as recorded:
        warnings.simplefilter("ignore")
        call()  # type: ignore[operator]
    return list(recorded.not_counted)


def main() -> None:
    """Print the number of known calls and the others with their operators."""
    missing = {name: found for name, call in calls().items() if (found := unknown(call))}
    print(f"{len(calls()) - len(missing)} of {len(calls())} usual calls are known")
    for name, operators in missing.items():
        print(f"  {name}: {', '.join(operators)}")


if __name__ == "__main__":
    main()
