"""TensorRT on an NVIDIA GPU. It follows the documentation, and has not run on a GPU yet.

Source: NVIDIA's Python API of TensorRT 11.4 and its guide of migration from 10 to 11; every name
used here is one of the package ``tensorrt_cu13_bindings`` 11.4.0.106.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorrt
import torch

from attnbench.runtimes.onnx_file import NotExportedError, reason
from attnbench.runtimes.prepared import Prepared, Settings


class _Logger(tensorrt.ILogger):  # type: ignore[misc]  # which has no types
    """Keeps TensorRT's errors, which it logs and does not raise."""

    def __init__(self) -> None:
        tensorrt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        if severity in {tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR}:
            self.errors.append(msg)

    def refusal(self, what: str) -> NotExportedError:
        """Return the first of them as an error, or ``what`` where there is none."""
        return NotExportedError(reason(RuntimeError(self.errors[0] if self.errors else what)))


def build(file: Path, settings: Settings) -> bytes:  # noqa: ARG001  as any runtime's
    """Return the engine that TensorRT builds of an ONNX file.

    Strongly typed: each layer computes in the dtype that the file states. From TensorRT 11 every
    network is; 10 is told so. Products in float32 may use TF32, as cuDNN's convolutions may in the
    suite's eager runs.

    Raises:
        NotExportedError: an operator that it does not know, or no engine that computes the network.
    """
    logger = _Logger()
    builder = tensorrt.Builder(logger)
    typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(file.read_bytes()):
        raise _not_parsed(parser, logger)
    config = builder.create_builder_config()
    config.set_flag(tensorrt.BuilderFlag.TF32)
    config.profiling_verbosity = tensorrt.ProfilingVerbosity.DETAILED  # else layers have no types
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise logger.refusal("TensorRT found no engine for this network")
    return bytes(engine)


def built_for(device: str) -> list[object]:
    """Return what an engine is valid for: TensorRT's version, the GPU and its capability."""
    capability = torch.cuda.get_device_capability(device)
    return [tensorrt.__version__, torch.cuda.get_device_name(device), *capability]


def load(file: Path, settings: Settings) -> Prepared:
    """Load an engine; images and outputs lie on the GPU.

    ``operators`` are the layers of the engine, by the types that its inspector states.

    Raises:
        NotExportedError: it is no engine of this TensorRT and GPU, or not from float32 to float32.
    """
    logger = _Logger()
    runtime = tensorrt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(file.read_bytes())
    if engine is None:
        raise logger.refusal("TensorRT cannot read its engine")
    context = engine.create_execution_context()
    # Of an engine with details, marks for a profiler of NVIDIA would slow every call.
    context.nvtx_verbosity = tensorrt.ProfilingVerbosity.NONE
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    (image_name,) = [name for name in names if _is_input(engine, name)]
    outputs = [_output(engine, name, settings) for name in names if name != image_name]
    for name, output in zip((name for name in names if name != image_name), outputs, strict=True):
        context.set_tensor_address(name, output.data_ptr())
    # On CUDA's default stream TensorRT would wait for the device in every call.
    stream = torch.cuda.Stream(settings.device)

    def call(image: torch.Tensor) -> list[torch.Tensor]:
        current = torch.cuda.current_stream(settings.device)
        stream.wait_stream(current)
        context.set_tensor_address(image_name, image.data_ptr())
        if not context.execute_async_v3(stream.cuda_stream):
            raise logger.refusal("TensorRT did not execute its engine")
        current.wait_stream(stream)
        return outputs

    facts = {
        "tensorrt": tensorrt.__version__,
        "layers": engine.num_layers,
        "strongly_typed": True,
        "tf32": True,
        "nvtx_verbosity": context.nvtx_verbosity.name,
    }

    def layers() -> Mapping[str, int]:
        assert runtime is not None  # which has to outlive its engine: this function holds it
        return operators(engine)

    return Prepared(call, None, facts, layers)


def operators(engine: Any) -> Mapping[str, int]:
    """Return how many layers of each type an engine has, reformats included."""
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(tensorrt.LayerInformationFormat.JSON)
    return dict(Counter(layer["LayerType"] for layer in json.loads(text)["Layers"]))


def _is_input(engine: Any, name: str) -> bool:
    return bool(engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT)


def _output(engine: Any, name: str, settings: Settings) -> torch.Tensor:
    if engine.get_tensor_dtype(name) != tensorrt.float32:
        raise NotExportedError(f"output {name} of the engine is not in float32")
    return torch.empty(tuple(engine.get_tensor_shape(name)), device=settings.device)


def _not_parsed(parser: Any, logger: _Logger) -> NotExportedError:
    if not parser.num_errors:
        return logger.refusal("TensorRT cannot read the ONNX file")
    first = parser.get_error(0)
    operator = first.node_operator()
    at = f"TensorRT stopped at {operator}: " if operator else ""
    return NotExportedError(f"{at}{reason(RuntimeError(first.desc()))}")
