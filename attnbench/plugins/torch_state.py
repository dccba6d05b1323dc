"""What somebody's code must leave as it was in torch.

A process measures the plain host and every module under one state of torch. A file that changes
it would change what is measured of all of them, while the records still state what was asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.module import _has_any_global_hook

from attnbench.modules import SettingsError


def _denormals() -> bool:
    """Whether numbers below the least normal one are kept; torch has no getter."""
    least = torch.full((1,), 1e-39, dtype=torch.float32, device="cpu")
    return (least * 1).item() > 0


WATCHED: dict[str, Callable[[], object]] = {
    "number of threads": torch.get_num_threads,
    "number of threads between operators": torch.get_num_interop_threads,
    "default dtype": torch.get_default_dtype,
    "default device": torch.get_default_device,
    "gradients being recorded": torch.is_grad_enabled,
    "inference mode": torch.is_inference_mode_enabled,
    "search for anomalies": torch.is_anomaly_enabled,
    "autocast on a CPU": lambda: torch.is_autocast_enabled("cpu"),
    "autocast on CUDA": lambda: torch.is_autocast_enabled("cuda"),
    "deterministic algorithms": torch.get_deterministic_debug_mode,
    "precision of float32 products": torch.get_float32_matmul_precision,
    "TF32 in products on CUDA": lambda: torch.backends.cuda.matmul.allow_tf32,
    "sums in float16": lambda: torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction,
    "sums in bfloat16": lambda: torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
    "cudnn.enabled": lambda: torch.backends.cudnn.enabled,
    "cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn.deterministic": lambda: torch.backends.cudnn.deterministic,
    "cudnn.allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
    "mkldnn.enabled": lambda: torch.backends.mkldnn.enabled,
    "mkldnn.deterministic": lambda: torch.backends.mkldnn.deterministic,
    "flash attention": torch.backends.cuda.flash_sdp_enabled,
    "memory-efficient attention": torch.backends.cuda.mem_efficient_sdp_enabled,
    "attention by plain products": torch.backends.cuda.math_sdp_enabled,
    "denormal numbers": _denormals,
    "hooks of every module": lambda: bool(_has_any_global_hook()),
}
"""What is read before and after; each can be set for the whole process."""


@contextmanager
def undisturbed(who: str) -> Iterator[None]:
    """Nothing in :data:`WATCHED` may change within; the states of random numbers are put back.

    Raises:
        SettingsError: something has changed; the message names ``who``, and all that did.
    """
    before, drawn = _state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        random.setstate(drawn)
    after = _state()
    changed = [
        f"torch's {name} from {value} to {after[name]}"
        for name, value in before.items()
        if after[name] != value
    ]
    if changed:
        raise SettingsError(f"{who} changes {', '.join(changed)}")


def _state() -> dict[str, str]:
    return {name: _read(read) for name, read in WATCHED.items()}


def _read(read: Callable[[], object]) -> str:
    try:
        return str(read())
    except AttributeError:  # this torch has no such setting
        return "none"
    except RuntimeError:  # the old and the new way of setting a precision, mixed
        return "a mixture that torch cannot read"
