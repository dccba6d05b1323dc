"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch

from attnbench import temporary
from attnbench.runtimes.prepared import Prepared, Settings

ENTRIES = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
"""Threads that wait for work sleep. Where they spin, as by default, they take their cores from what
runs beside them: on a busy machine the plain network took 2.6 times as long."""


def load(file: Path, settings: Settings) -> Prepared:
    """Load an ONNX file.

    ``operators`` are those of the graph that ONNX Runtime has optimised.
    """
    session = _session(file, settings)
    name = session.get_inputs()[0].name

    def renew() -> None:
        nonlocal session
        session = _session(file, settings)

    def call(image: torch.Tensor) -> list[torch.Tensor]:
        return [torch.from_numpy(output) for output in session.run(None, {name: image.numpy()})]

    options = session.get_session_options()
    facts = {
        "threads": options.intra_op_num_threads,
        "graph_optimization_level": options.graph_optimization_level.name,
        "provider": session.get_providers()[0],
        **{key: options.get_session_config_entry(key) for key in ENTRIES},
    }
    return Prepared(call, renew, facts, lambda: operators(file, settings))


def operators(file: Path, settings: Settings) -> Mapping[str, int]:
    """Return how many operators of each type are left once the graph is optimised."""
    with temporary.folder() as folder:
        optimised = folder / "optimised.onnx"
        _session(file, settings, optimised)
        graph = onnx.load(optimised, load_external_data=False).graph
        return dict(Counter(node.op_type for node in graph.node))


def _session(file: Path, settings: Settings, optimised: Path | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = settings.threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors
    for key, value in ENTRIES.items():
        options.add_session_config_entry(key, value)
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
