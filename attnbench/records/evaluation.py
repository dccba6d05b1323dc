"""``evaluations.jsonl``: how many images of a folder a network with given weights got right.

One line an evaluation: exact counts, and what is needed to reproduce them. Percentages and
intervals are derived when it is read. ``reports/README.md`` explains every field. A change of
meaning raises :data:`SCHEMA`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from attnbench.records.bounds import EXACT, STRICT, Environment, Figure, Sha256, Share
from attnbench.records.case import EXPORTED, LIMITS, Runtime
from attnbench.records.device import Device
from attnbench.records.jsonl import JsonLines
from attnbench.records.variants import PLAIN, RESERVED

SCHEMA, OLDEST = 2, 1
"""Schema 1 is read too: all its networks ran in eager PyTorch."""

IMAGENET_CLASSES, IMAGENET_IMAGES = 1000, 50_000
"""Of ImageNet's validation set (Russakovsky et al., arXiv 1409.0575, table 2)."""

PUBLISHED_SIZE = 224
"""The centre crop of every accuracy in the catalogue, in pixels."""

_Number = Annotated[int, Field(ge=1, le=EXACT)]
_Name = Annotated[str, Field(min_length=1)]
_Pixels = Annotated[int, Field(ge=1, le=LIMITS["image_size"][1])]
_Unit = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0, le=1)]
Metric = Literal["top1", "top5"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Weights:
    """The checkpoint: name and digest of its file, and which part of it.

    ``key``: of the weights in the file, where it holds several. ``prefix``: of the names taken.
    """

    name: _Name
    sha256: Sha256
    key: str | None = None
    prefix: str | None = None

    @property
    def part(self) -> str:
        """The part in words: ``(key state_dict_ema, prefix student.)``; nothing for the whole."""
        parts = {"key": self.key, "prefix": self.prefix}
        words = [f"{name} {value}" for name, value in parts.items() if value is not None]
        return f"({', '.join(words)})" if words else ""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Data:
    """The folder of images; ``sha256`` is of what ``sha256sum`` prints for all, sorted by path.

    ``order``: how folders became classes: ``sorted`` names are 0, 1, ..., or ``numbers`` are names.
    """

    name: _Name
    sha256: Sha256
    folders: _Number
    order: Literal["sorted", "numbers"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Preprocessing:
    """Shorter side to ``resize`` pixels, a centre crop, then (value - mean) / std a channel."""

    resize: _Pixels
    interpolation: Literal["bilinear"] = "bilinear"
    crop: _Pixels
    mean: tuple[_Unit, _Unit, _Unit]
    std: tuple[_Positive, _Positive, _Positive]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Calibration:
    """The folder of images that int8 was calibrated on, how many, and of their bytes the digest."""

    name: _Name
    images: _Number
    sha256: Sha256


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Evaluation:
    """One line: how many of the images a network with these weights got right.

    ``module`` is None for the plain host; ``source`` identifies the code of a custom module, as in
    a run's plan. An image is right in the top k where fewer than k other classes have a logit at
    least as high as its own; ``top1_tied`` counts the images that are wrong in the top 1 only
    because of an equal logit.
    """

    schema: int = SCHEMA
    host: _Name
    module: _Name | None
    source: str | None = None
    weights: Weights
    data: Data
    classes: _Number
    images: _Number
    top1_right: Figure
    top1_tied: Figure
    top5_right: Figure
    preprocessing: Preprocessing
    dtype: Literal["float32", "bfloat16", "float16", "int8"]
    device: Device
    channels_last: bool
    batch_size: Annotated[int, Field(ge=1, le=LIMITS["batch_size"][1])]
    threads: Annotated[int, Field(ge=1, le=LIMITS["threads"][1])]
    environment: Environment
    runtime: Runtime = "eager"
    relative_error: Share | None = None
    """Of a runtime that executes a file: to the logits of eager PyTorch, of the first batch."""
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if not self.top1_right <= self.top5_right <= self.images:
            raise ValueError("top1_right is at most top5_right, and that at most images")
        if self.top1_tied > self.images - self.top1_right:
            raise ValueError("top1_tied is at most images less top1_right")
        if self.data.folders > self.classes:
            raise ValueError("data.folders is at most classes")
        if (self.calibration is None) == (self.dtype == "int8"):
            raise ValueError("int8 has a calibration, and nothing else has one")
        if (self.relative_error is None) == (self.runtime in EXPORTED):
            raise ValueError("relative_error is that of a runtime that executes a file")
        if self.module in RESERVED:
            raise ValueError(f"no module can have the name {self.module!r}")

    @property
    def variant(self) -> str:
        """The name of the network as a variant of a run."""
        return self.module or PLAIN

    def right(self, metric: Metric) -> int:
        """Return the number of images that were right by that metric."""
        return self.top1_right if metric == "top1" else self.top5_right


FILE_NAME = "evaluations.jsonl"

FILE = JsonLines(FILE_NAME, Evaluation, SCHEMA, "evaluation", oldest=OLDEST)
begin, append, read, exist = FILE.begin, FILE.add, FILE.stored, FILE.exist
