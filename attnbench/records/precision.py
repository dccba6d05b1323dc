"""``precisions.jsonl``: average precision of detectors with given weights on COCO-format data.

One line an evaluation. ``reports/README.md`` explains every field.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from attnbench.records.bounds import EXACT, STRICT, Environment, Sha256
from attnbench.records.case import LIMITS
from attnbench.records.device import Device
from attnbench.records.evaluation import Weights
from attnbench.records.jsonl import JsonLines
from attnbench.records.variants import PLAIN

SCHEMA = 1

_Number = Annotated[int, Field(ge=1, le=EXACT)]
_Name = Annotated[str, Field(min_length=1)]
_Pixels = Annotated[int, Field(ge=1, le=2 * LIMITS["image_size"][1])]
_Share = Annotated[float, Field(ge=0, le=1)]
Figures = dict[str, _Share | None]
"""``ap``, ``ap50``, ``ap75``, ``ap_small``, ``ap_medium``, ``ap_large``, from 0 to 1; null where
there is nothing to find."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DetectionData:
    """The folder of images and its file of annotations, with a digest of both."""

    name: _Name
    annotations: _Name
    sha256: Sha256
    images: _Number
    objects: _Number
    categories: _Number


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Precision:
    """One line: how precisely a detector with these weights found the objects of the images."""

    schema: int = SCHEMA
    host: _Name
    module: _Name | None
    source: str | None = None
    weights: Weights
    data: DetectionData
    box: Figures
    mask: Figures | None
    shorter: _Pixels
    longer: _Pixels
    device: Device
    threads: Annotated[int, Field(ge=1, le=LIMITS["threads"][1])]
    environment: Environment

    @property
    def variant(self) -> str:
        """The name of the network as a variant of a run."""
        return self.module or PLAIN


FILE_NAME = "precisions.jsonl"

FILE = JsonLines(FILE_NAME, Precision, SCHEMA, "evaluation")
append, read, exist = FILE.add, FILE.stored, FILE.exist
