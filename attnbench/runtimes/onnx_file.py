"""A network as an ONNX file, by PyTorch's own exporter."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from threading import RLock
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map
from tqdm import tqdm  # type: ignore[import-untyped]

from attnbench.text import printable

INPUT, MOST = "image", 300
"""The input's name in a file, and characters of an exporter's sentence."""

LARGEST = "aten.adaptive_max_pool2d"
"""What torch 2.9.0 and 2.11 have no ONNX operator for; CBAM takes it to a size of 1."""


class NotExportedError(Exception):
    """The network has no such file; the message is the exporter's, with the operator if known."""


def export(network: nn.Module, example: torch.Tensor, dtype: str = "float32") -> bytes:
    """Return the network in evaluation mode as an ONNX file of static shapes, weights included.

    Images and outputs are float32. In another dtype the network itself is converted, and is so
    afterwards, which spares the memory of a copy.

    Raises:
        NotExportedError: the exporter cannot translate it.
    """
    tqdm.set_lock(RLock())  # its own would be shared between processes, of which there is one
    try:
        with _quiet():
            typed = _in(network.eval(), dtype)
            try:
                program = _exported(typed, example)
            except Exception as error:
                if f"no ONNX operator for {LARGEST}:" not in reason(error):
                    raise
                program = _exported(typed, example, custom_translation_table=translations())
    except Exception as error:  # of many types, and of the network's own code
        raise NotExportedError(reason(error)) from None
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def _exported(network: nn.Module, example: torch.Tensor, **options: Any) -> Any:
    return torch.onnx.export(
        network, (example,), dynamo=True, verbose=False, input_names=[INPUT], **options
    )


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return, by its operator, the maximum of a map as the one node that torch 2.15 makes of it."""
    from onnxscript import opset18 as onnx

    def largest(x: Any, output_size: Sequence[int]) -> tuple[Any, Any]:
        if [*output_size] != [1, 1]:
            raise NotImplementedError(f"no ONNX operator for {LARGEST} to {[*output_size]}")
        sides: Any = onnx.Constant(value_ints=[-2, -1])
        shape: Any = onnx.Constant(value_ints=[0, 0, -1, 1])
        # Where it was, too: left out of the file again where nobody asks.
        place = onnx.ArgMax(onnx.Reshape(x, shape), axis=2, keepdims=1)
        return onnx.ReduceMax(x, sides, keepdims=1), place

    return {torch.ops.aten.adaptive_max_pool2d.default: largest}


class _Typed(nn.Module):
    """A network in a dtype of its own, from and to float32."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype), dtype

    def forward(self, image: torch.Tensor) -> object:
        return tree_map(lambda output: output.float(), self.network(image.to(self.dtype)))


def _in(network: nn.Module, dtype: str) -> nn.Module:
    return network if dtype == "float32" else _Typed(network, getattr(torch, dtype)).eval()


def reason(error: BaseException) -> str:
    """Return the first sentence of what an export failed of, and the operator where it names one.

    The exporter wraps the error of a step in errors that say how to report it.
    """
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    lines = [line for line in str(root).strip().splitlines() if line.strip()]
    sentence = re.split(r"(?<=[.!?])\s", lines[0])[0] if lines else type(root).__name__
    operator = re.search(r"op='([\w.:]+)'", sentence)
    if operator:
        sentence = f"no ONNX operator for {operator[1]}: {sentence}"
    return printable(sentence, MOST)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter prints and logs: what fails is in its error."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(level)
