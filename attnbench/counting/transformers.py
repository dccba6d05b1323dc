"""Operators of transformers that others make up, as the kernels for a CPU compute them.

``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer`` are one operator each in inference.
Their kernels call others that make tensors: the scores of all pairs of tokens are held, written and
read, though no dispatch mode sees them (``native_multi_head_attention_cpu`` in ``attention.cpp``,
``transformer_encoder_layer_forward`` in ``transformer.cpp``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def multi_head_attention(  # noqa: PLR0913, PLR0917  the operator's own
    query: Tensor,
    key: Tensor,
    value: Tensor,
    width: int,
    heads: int,
    weight: Tensor,
    bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return (batch, tokens, width), and the weights (batch, [heads,] tokens, keys) or None.

    Query, key and value are (batch, tokens, width) alike, as the operator asks for.
    """
    batch, tokens, _ = query.shape
    projected = _projected(query, key, value, width, weight)
    query, key, value = torch._transform_bias_rescale_qkv(projected, bias, heads)
    del projected
    flat = (batch * heads, tokens, width // heads)
    scores = torch.bmm(query.view(flat), key.view(flat).transpose(1, 2))
    scores = scores.view(batch, heads, tokens, tokens)
    scores = _softmax(scores, mask, mask_type)
    # Into the queries, which are not used any more.
    torch.bmm(scores.view(-1, tokens, tokens), value.view(flat), out=query.view(flat))
    weights = scores if need_weights else None
    del scores
    out = torch.addmm(out_bias, _rows(query), out_weight.t()).view(batch, tokens, width)
    if weights is not None and average_attn_weights:
        weights = weights.sum(1).div_(heads)
    return out, weights


def _projected(query: Tensor, key: Tensor, value: Tensor, width: int, weight: Tensor) -> Tensor:
    """Return queries, keys and values behind each other, (batch, tokens, 3 * width)."""
    if key is query and value is query:
        return torch.matmul(query, weight.t())
    if key is value:
        of_query, of_others = weight.split((width, 2 * width))
        return torch.cat((torch.matmul(query, of_query.t()), torch.matmul(key, of_others.t())), 2)
    parts = zip((query, key, value), weight.chunk(3), strict=True)
    return torch.cat([torch.matmul(x, part.t()) for x, part in parts], 2)


def _softmax(scores: Tensor, mask: Tensor | None, mask_type: int | None) -> Tensor:
    """Normalise in place without a mask, else to a new tensor."""
    if mask is None:
        torch.ops.aten._softmax.out(scores, -1, False, out=scores)
        return scores
    chosen = mask if mask.dtype == torch.bool else mask.to(torch.bool)  # of -inf and 0
    return torch._masked_softmax(scores, chosen, 3, mask_type)


def _rows(of_heads: Tensor) -> Tensor:
    """Return (batch, heads, tokens, channels) as one matrix, a token a row."""
    batch, heads, tokens, channels = of_heads.shape
    return of_heads.permute(0, 2, 1, 3).contiguous().view(batch * tokens, heads * channels)


def encoder_layer(  # noqa: PLR0913, PLR0917  the operator's own
    src: Tensor,
    width: int,
    heads: int,
    weight: Tensor,
    bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """Return (batch, tokens, width) of such a map: attention, then two layers, each with a norm."""
    of_heads = (width, heads, weight, bias, out_weight, out_bias, mask, False, True, mask_type)

    def norm_1(x: Tensor) -> Tensor:
        return functional.layer_norm(x, (width,), norm_weight_1, norm_bias_1, eps)

    def norm_2(x: Tensor) -> Tensor:
        return functional.layer_norm(x, (width,), norm_weight_2, norm_bias_2, eps)

    x = norm_1(src) if norm_first else src
    x = multi_head_attention(x, x, x, *of_heads)[0]
    x.add_(src)
    if not norm_first:
        x = norm_1(x)
    shortcut = x
    if norm_first:
        x = norm_2(x)
    rows = x.view(-1, width)
    hidden = torch._addmm_activation(ffn_bias_1, rows, ffn_weight_1.t(), use_gelu=use_gelu)
    x = torch.addmm(ffn_bias_2, hidden, ffn_weight_2.t()).view(src.shape)
    x.add_(shortcut)
    return x if norm_first else norm_2(x)


COMPUTED: Mapping[str, Callable[..., Any]] = {
    "aten._native_multi_head_attention": multi_head_attention,
    "aten._transformer_encoder_layer_fwd": encoder_layer,
}
"""Operator -> what its kernel computes, of others."""
