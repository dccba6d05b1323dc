"""TF32 within float32.

torch 2.9 brought ``fp32_precision`` beside the older ``allow_tf32``, of which setting one way makes
reading the other way an error; only the older flags set both. They are set here, without the
warning that torch 2.9.0 gives, and the newer ones where a torch has no older ones.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch


def set_tf32(*, convolutions: bool, products: bool) -> None:
    """Allow TF32 within convolutions of cuDNN and within products of matrices, or not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Please use the new API settings")
        _set(torch.backends.cuda.matmul, products)
        _set(torch.backends.cudnn, convolutions)


def _set(where: Any, allowed: bool) -> None:
    try:
        where.allow_tf32 = allowed
    except AttributeError:
        where.fp32_precision = "tf32" if allowed else "ieee"
