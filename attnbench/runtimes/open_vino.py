"""OpenVINO on the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import openvino
import torch

from attnbench.errors import UserError
from attnbench.records.schema import Environment
from attnbench.runtimes.prepared import Prepared, Settings

PRECISION = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""OpenVINO's names. Left to itself, it computes a float32 network in bfloat16 where the CPU can. In
an int8 file the quantised operators are int8, and the others float32."""

NO_OPERATOR = ("Input", "Output", "Const")
"""Types of its graph that compute nothing."""

READ_BACK = (
    *("INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS"),
    *("ENABLE_CPU_PINNING", "PERFORMANCE_HINT", "EXECUTION_MODE_HINT"),
)


@cache
def core() -> Any:
    """Return the one core of this process.

    A core's CPU plugin gives its thread a stack for signals, and as it goes puts back the one from
    before (2026.4.1). Where the first of two cores goes first, the last puts back memory that is
    freed by then, and the next signal that Python handles ends the process: ``a = Core()``, ``b =
    Core()``, ``get_property("CPU", "NUM_STREAMS")`` of both, ``del a``, ``del b``, then a child's
    end where SIGCHLD has a handler, as torch's loaders of images set one.
    """
    return openvino.Core()


def load(file: Path, settings: Settings) -> Prepared:
    """Load an ONNX file, whose shapes are static.

    ``operators`` are the layers of the graph that OpenVINO has compiled.

    Raises:
        UserError: this CPU has no products in the dtype.
    """
    compiled = _compiled(file, settings)
    _require_precision(compiled, settings)
    request = compiled.create_infer_request()

    def renew() -> None:
        nonlocal request
        request = _compiled(file, settings).create_infer_request()

    def call(image: torch.Tensor) -> list[torch.Tensor]:
        outputs = request.infer([image.numpy()], share_inputs=True, share_outputs=True)
        return [torch.from_numpy(output) for output in outputs.values()]

    facts: Environment = {key: _text(compiled.get_property(key)) for key in READ_BACK}
    return Prepared(call, renew, facts, lambda: operators(compiled))


def _require_precision(compiled: Any, settings: Settings) -> None:
    """Refuse a dtype that OpenVINO would silently compute in another."""
    wanted = PRECISION[settings.dtype]
    stated = _text(compiled.get_property("INFERENCE_PRECISION_HINT"))
    if stated != wanted:
        raise UserError(
            f"OpenVINO does not compute in {settings.dtype} on this CPU: it states {stated} where "
            f"{wanted} was asked for"
        )


def operators(compiled: Any) -> Mapping[str, int]:
    """Return how many layers of each type a compiled network executes."""
    kinds = (_kind(layer) for layer in compiled.get_runtime_model().get_ops())
    return dict(Counter(kind for kind in kinds if kind not in NO_OPERATOR))


def _compiled(file: Path, settings: Settings) -> Any:
    return core().compile_model(
        str(file),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": PRECISION[settings.dtype],
            "INFERENCE_NUM_THREADS": settings.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # the threads of no other runtime are pinned
        },
    )


def _kind(layer: Any) -> str:
    return str(layer.get_rt_info()["layerType"].astype(str))


def _text(value: object) -> str | int | bool:
    """Return a property as a fact: types of OpenVINO by their names."""
    if isinstance(value, bool | int):
        return value
    name = getattr(value, "get_type_name", None)
    return str(name() if name else getattr(value, "name", value))
