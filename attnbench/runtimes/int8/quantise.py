"""An ONNX file quantised to int8, which ONNX Runtime and OpenVINO both execute.

Static quantisation by ONNX Runtime's tool: QuantizeLinear and DequantizeLinear around operators
(QDQ), weights per channel as signed and activations as unsigned integers, whose ranges are the
least and greatest value on the calibration images. Weights have 7 bits where the sums of products
of 8 would be cut off (``saturation.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from attnbench import temporary
from attnbench.records.case import FULL_BITS
from attnbench.runtimes.int8 import saturation
from attnbench.runtimes.onnx_file import INPUT


class _Images(CalibrationDataReader):  # type: ignore[misc]  # which has no types
    def __init__(self, images: Iterable[torch.Tensor]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image.numpy()}


def quantised(file: Path, images: Sequence[torch.Tensor], *, symmetric: bool = False) -> bytes:
    """Return a float32 ONNX file in int8, calibrated on the images.

    Symmetric: activations as signed integers around 0 too, and biases in float32, which is all that
    TensorRT reads.
    """
    extra = {"ActivationSymmetric": True, "QuantizeBias": False} if symmetric else {}
    with temporary.folder() as folder, _silent():
        made = folder / "int8.onnx"
        quantize_static(
            file,
            made,
            _Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=weight_bits(symmetric=symmetric) < FULL_BITS,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=extra,
        )
        return made.read_bytes()


def weight_bits(*, symmetric: bool = False) -> int:
    """Return the bits of the weights of a file that is made here; symmetric ones are a GPU's."""
    return FULL_BITS if symmetric else saturation.weight_bits()


@contextmanager
def _silent() -> Iterator[None]:
    """Leave out advice that the tool logs, such as to optimise the file before."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
