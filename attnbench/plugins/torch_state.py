"""Settings of torch for the whole process, which custom code must leave unchanged.

A process measures the plain host and every module under one state of torch. Code that changes it
would change the measurements of all of them, while the records state what was asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.module import _has_any_global_hook

from attnbench.modules import SettingsError

CUDA_MATMUL = torch.backends.cuda.matmul


def _denormals() -> bool:
    """Return whether denormal numbers are kept; torch has no getter."""
    least = torch.full((1,), 1e-39, dtype=torch.float32, device="cpu")
    return (least * 1).item() > 0


WATCHED: dict[str, Callable[[], object]] = {
    "number of threads": torch.get_num_threads,
    "number of interop threads": torch.get_num_interop_threads,
    "default dtype": torch.get_default_dtype,
    "default device": torch.get_default_device,
    "grad mode": torch.is_grad_enabled,
    "inference mode": torch.is_inference_mode_enabled,
    "anomaly detection": torch.is_anomaly_enabled,
    "autocast on a CPU": lambda: torch.is_autocast_enabled("cpu"),
    "autocast on CUDA": lambda: torch.is_autocast_enabled("cuda"),
    "deterministic algorithms": torch.get_deterministic_debug_mode,
    "float32 matmul precision": torch.get_float32_matmul_precision,
    "TF32 in CUDA matmul": lambda: CUDA_MATMUL.allow_tf32,
    "reduced float16 sums": lambda: CUDA_MATMUL.allow_fp16_reduced_precision_reduction,
    "reduced bfloat16 sums": lambda: CUDA_MATMUL.allow_bf16_reduced_precision_reduction,
    "cudnn.enabled": lambda: torch.backends.cudnn.enabled,
    "cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn.deterministic": lambda: torch.backends.cudnn.deterministic,
    "cudnn.allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
    "mkldnn.enabled": lambda: torch.backends.mkldnn.enabled,
    "mkldnn.deterministic": lambda: torch.backends.mkldnn.deterministic,
    "flash attention": torch.backends.cuda.flash_sdp_enabled,
    "memory-efficient attention": torch.backends.cuda.mem_efficient_sdp_enabled,
    "math attention": torch.backends.cuda.math_sdp_enabled,
    "denormal numbers": _denormals,
    "global module hooks": lambda: bool(_has_any_global_hook()),
}
"""Settings of the whole process, each with the function that reads it."""


@contextmanager
def require_unchanged(who: str) -> Iterator[None]:
    """Refuse a change of :data:`WATCHED` within; restore the states of random generators.

    Raises:
        SettingsError: a setting has changed; the message names ``who`` and all changes.
    """
    before, random_state = {name: _read(WATCHED[name]) for name in WATCHED}, random.getstate()
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        random.setstate(random_state)
    changed = [
        f"torch's {name} from {value} to {now}"
        for name, value in before.items()
        if (now := _read(WATCHED[name])) != value
    ]
    if changed:
        raise SettingsError(f"{who} changes {', '.join(changed)}")


def _read(read: Callable[[], object]) -> str:
    try:
        return str(read())
    except AttributeError:  # this version of torch has no such setting
        return "none"
    except RuntimeError:  # the old and the new way of setting a precision, mixed
        return "a mixture that torch cannot read"
