"""COCO's average precision and its masks, by the package faster-coco-eval: never our own.

``benchmarks/average_precision.py`` holds it against pycocotools, from which its figures do not
differ. It is the faster, leaves the annotations as they are, and has an answer where nothing was
detected; pycocotools 2.0.11 rewrites masks, fails there, and warns under numpy 2. pycocotools is
what the tests hold it against.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import UserError

FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""The first six of COCO's twelve, in its order: precision at most 100 detections an image."""

KINDS = {"box": "bbox", "mask": "segm"}
"""What is compared -> its name in the package."""

FEWEST = 6
"""Numbers of a polygon: three corners."""

NOTHING = -1.0
"""The package's figure where there is nothing to find, such as no large objects."""


def require() -> None:
    """Refuse to go on without the package.

    Raises:
        UserError: it is not installed.
    """
    _classes()


def precision(
    truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]], kind: str
) -> dict[str, float | None]:
    """Return average precisions from 0 to 1; None where there is nothing to find.

    ``truth`` is a file's content, ``kind`` is ``box`` or ``mask``. A detection has ``image_id``,
    ``category_id``, ``score`` and ``bbox`` (left, top, width, height) or ``segmentation``.

    Raises:
        UserError: the package is not installed.
    """
    coco, evaluator = _classes()
    with redirect_stdout(io.StringIO()):  # it tells what it does
        known = coco()
        known.dataset = deepcopy(dict(truth))
        for number, annotation in enumerate(known.dataset["annotations"], start=1):
            # The package marks what is found by its id, and takes an id of 0 for nothing.
            annotation["id"] = number
            # Optional in files that people have; COCO's own always hold them.
            annotation.setdefault("iscrowd", 0)
            annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        known.createIndex()
        evaluation = evaluator(known, known.loadRes([dict(one) for one in detections]), KINDS[kind])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = zip(FIGURES, map(float, evaluation.stats), strict=False)
    return {name: None if figure == NOTHING else figure for name, figure in figures}


def masks(segmentation: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the mask (height, width) of polygons or run lengths, zeros and ones.

    Raises:
        UserError: it is neither, or of another size.
    """
    _classes()
    from faster_coco_eval.core import mask as codec

    try:
        encoded = segmentation
        if isinstance(segmentation, list):
            # The package takes four numbers for a box; as two corners they enclose nothing.
            polygons = [polygon for polygon in segmentation if len(polygon) >= FEWEST]
            encoded = codec.merge(codec.frPyObjects(polygons, *size))
        elif isinstance(segmentation["counts"], list):
            encoded = codec.frPyObjects(segmentation, *size)
        decoded: NDArray[np.uint8] = codec.decode(encoded)
    except Exception as error:  # the package raises many kinds for malformed masks
        raise UserError(f"a mask is neither polygons nor run lengths of {size}") from error
    if decoded.shape != size:
        raise UserError(f"a mask is of {decoded.shape} and its image of {size} (height, width)")
    return decoded


def encoded(mask: NDArray[np.uint8]) -> dict[str, Any]:
    """Return a mask (height, width) of zeros and ones as compressed run lengths."""
    _classes()
    from faster_coco_eval.core import mask as codec

    return codec.encode(np.asfortranarray(mask))  # type: ignore[no-any-return]


def _classes() -> tuple[Any, Any]:
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise UserError(
            "detectors are evaluated by faster-coco-eval: pip install -e '.[coco]'"
        ) from error
    return COCO, COCOeval_faster
