"""Settings of torch for the whole process, which custom code must leave unchanged.

A process measures the plain host and every module under one state of torch. Code that changes it
would change the measurements of all of them, while the records state what was asked for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch.nn.modules.module import _has_any_global_hook

UNKNOWN = object()
"""The value of a setting of what is not loaded or not initialised yet."""

CUDA_MATMUL = torch.backends.cuda.matmul


def _denormals() -> bool:
    """Return whether denormal numbers are kept; torch has no getter."""
    least = torch.full((1,), 1e-39, dtype=torch.float32, device="cpu")
    return (least * 1).item() > 0


def _replaced_operators() -> int:
    """Count the kernels of torch's own operators that Python has registered in their place.

    Not those for shapes alone, nor those that ``torch.vmap`` registers when it is first used.
    """
    return _count_replaced(len(torch.library._impls))


@lru_cache(maxsize=1)
def _count_replaced(_registered: int) -> int:
    keys = (key.rpartition("/") for key in torch.library._impls)
    computing = (name for name, _, on in keys if on not in {"Meta", "FuncTorchBatched"})
    return sum(name.startswith(("aten/", "torchvision/")) for name in computing)


def _compiler(name: str) -> Callable[[], object]:
    """Return the reader of a compiler's settings; they are only known once it is loaded."""

    def read() -> object:
        config = getattr(sys.modules.get(name), "config", None)
        return UNKNOWN if config is None else config.get_hash().hex()[:8]

    return read


def _on_cuda(read: Callable[[], object]) -> Callable[[], object]:
    return lambda: read() if torch.cuda.is_initialized() else UNKNOWN


def _precision(backend: str, operator: str) -> Callable[[], object]:
    """Return the reader of what the products or convolutions of a backend compute float32 in."""
    return lambda: torch._C._get_fp32_precision_getter(backend, operator)


PRECISIONS = {
    f"float32 precision of {backend}'s {operator}": _precision(backend, operator)
    for backend, operators in {
        "generic": ("all",),
        "cuda": ("all", "conv", "rnn", "matmul"),
        "mkldnn": ("all", "conv", "rnn", "matmul"),
    }.items()
    for operator in operators
}
"""The settings ``fp32_precision`` of ``torch.backends``: each overrides the older ones."""

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
    "modes for functions": torch._C._len_torch_function_stack,
    "modes for operators": torch._C._len_torch_dispatch_stack,
    "number of replaced operators": _replaced_operators,
    "hooks for saved tensors": lambda: torch._C._autograd._top_saved_tensors_default_hooks(False),
    "profiler": torch._C._autograd._profiler_enabled,
    "CPU dtype of autocast": lambda: torch.get_autocast_dtype("cpu"),
    "CUDA dtype of autocast": lambda: torch.get_autocast_dtype("cuda"),
    "CUDA device": _on_cuda(torch.cuda.current_device),
    "CUDA stream": _on_cuda(torch.cuda.current_stream),
    "filling of new memory": torch._C._get_deterministic_fill_uninitialized_memory,
    "cudnn.benchmark_limit": lambda: torch.backends.cudnn.benchmark_limit,
    "NNPACK": lambda: torch._C._get_nnpack_enabled(),
    "cuDNN attention": torch.backends.cuda.cudnn_sdp_enabled,
    "half-precision sums of math attention": lambda: (
        torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    ),
    "order of attention's kernels": lambda: torch._C._get_sdp_priority_order(),
    "float16 accumulation": lambda: CUDA_MATMUL.allow_fp16_accumulation,
    "BLAS library on CUDA": lambda: torch._C._get_blas_preferred_backend(),
    "linear algebra library on CUDA": lambda: torch._C._get_linalg_preferred_backend(),
    "order of contractions": lambda: (
        torch.backends.opt_einsum.enabled,
        torch.backends.opt_einsum.strategy,
    ),
    "cache of autocast": torch.is_autocast_cache_enabled,
    "threads of autograd": lambda: torch._C._is_multithreading_enabled(),
    "optimisation of scripts": lambda: torch._C._get_graph_executor_optimize(),
    "fusion in scripts": lambda: torch._C._jit_texpr_fuser_enabled(),
    **PRECISIONS,
    "settings of torch.compile": _compiler("torch._dynamo"),
    "settings of the inductor": _compiler("torch._inductor"),
}
"""Settings of the whole process, each with the function that reads it."""


def read(setting: Callable[[], object]) -> str | None:
    """Return a setting as text; None where it is UNKNOWN."""
    try:
        with warnings.catch_warnings():  # torch 2.9.0 warns of reading TF32 in the older way
            warnings.filterwarnings("ignore", message="Please use the new API settings")
            value = setting()
        return None if value is UNKNOWN else str(value)
    except AttributeError:  # this version of torch has no such setting
        return "none"
    except RuntimeError:  # the old and the new way of setting a precision, mixed
        return "a mixture that torch cannot read"
