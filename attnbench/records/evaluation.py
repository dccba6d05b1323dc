"""``evaluations.jsonl``: how often given weights were right on a folder of images. No torch.

One line an evaluation. Stored are exact counts and what is needed to get them again; percent,
intervals and what was published elsewhere are derived when it is read. ``reports/README.md``
explains every field. A change of meaning raises :data:`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from attnbench.records.jsonl import JsonLines
from attnbench.records.schema import Environment
from attnbench.records.variants import PLAIN

SCHEMA = 1

IMAGENET_CLASSES, IMAGENET_IMAGES = 1000, 50_000
"""Of ImageNet's validation set (Russakovsky et al., arXiv 1409.0575, table 2)."""

PUBLISHED_SIZE = 224
"""The centre crop by which every accuracy in the catalogue was measured."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Metric = Literal["top1", "top5"]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The file of weights: its name and what it holds, to the byte."""

    name: str
    sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class Data:
    """The folder of images.

    ``sha256`` is that of what ``sha256sum`` prints for every image, sorted by path. ``order`` says
    how folders became classes: ``sorted`` names are 0, 1, ..., or they are ``numbers`` themselves.
    """

    name: str
    sha256: Sha256
    folders: int
    order: Literal["sorted", "numbers"]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Shorter side to ``resize`` pixels, a centre crop, then (value - mean) / std a channel."""

    resize: int
    interpolation: Literal["bilinear"] = "bilinear"
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One line: how many of the images a network with these weights had right.

    ``module`` is None for the plain host; ``source`` tells the code of one that is not the suite's
    own, as in a run's plan. An image is right in the top k where fewer than k other
    classes have a logit at least as high as its own; ``top1_tied`` counts the images that are
    wrong in the top 1 for an equal logit alone.
    """

    schema: int = SCHEMA
    host: str
    module: str | None
    source: str | None = None
    weights: Weights
    data: Data
    classes: int
    images: int
    top1_right: int
    top1_tied: int
    top5_right: int
    preprocessing: Preprocessing
    dtype: Literal["float32", "bfloat16", "float16"]
    device: Literal["cpu", "cuda"]
    channels_last: bool
    batch_size: int
    threads: int
    environment: Environment

    def __post_init__(self) -> None:
        """Refuse what no evaluation can give."""
        if not 0 <= self.top1_right <= self.top5_right <= self.images:
            raise ValueError(
                "right in the top 1 are some of those in the top 5, and these some images"
            )
        if not 0 <= self.top1_tied <= self.images - self.top1_right:
            raise ValueError("only images that are wrong in the top 1 can be tied there")
        if min(self.classes, self.images, self.data.folders) < 1:
            raise ValueError("there is at least one class, one folder and one image")

    @property
    def variant(self) -> str:
        """The network's name in a run: the module's, or that of the plain host."""
        return self.module or PLAIN

    def right(self, metric: Metric) -> int:
        """The images that were right by that metric."""
        return self.top1_right if metric == "top1" else self.top5_right


FILE_NAME = "evaluations.jsonl"

_FILE = JsonLines(FILE_NAME, Evaluation, SCHEMA, "evaluation")


def begin(folder: Path) -> None:
    """Make folder and file where there are none, and see that they can be written to.

    Raises:
        UserError: they cannot.
    """
    _FILE.begin(folder)


def exist(folder: Path) -> bool:
    """Whether the folder has such a file."""
    return _FILE.exist(folder)


def append(folder: Path, evaluation: Evaluation) -> None:
    """Write one line behind those that are there.

    Raises:
        UserError: the folder cannot be written to.
    """
    if _FILE.exist(folder):
        _FILE.repair(folder)
    _FILE.append(folder, asdict(evaluation))


def read(folder: Path) -> tuple[Evaluation, ...]:
    """The evaluations in a folder, none where it has no such file.

    Raises:
        UserError: a file that cannot be read.
    """
    return tuple(_FILE.read(folder)) if _FILE.exist(folder) else ()


def of(evaluations: Iterable[Evaluation], host: str, variant: str) -> list[Evaluation]:
    """Those of one network."""
    return [each for each in evaluations if (each.host, each.variant) == (host, variant)]
