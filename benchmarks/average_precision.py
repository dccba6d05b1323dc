"""Hold the two packages for COCO's average precision against each other, on real annotations.

``python benchmarks/average_precision.py`` composes digits (coco_digits.py), plants detections that
are moved, doubled, missing, wrong and equal in score, and prints the largest difference between
pycocotools and faster-coco-eval over all twelve figures, of boxes and of masks, with the time of
each.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from contextlib import redirect_stdout
from copy import deepcopy
from pathlib import Path
from time import perf_counter
from typing import Any

KINDS = ("bbox", "segm")


def planted(truth: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return detections made from the annotations: shifted boxes and masks, and false ones."""
    import numpy as np
    from pycocotools import mask as codec

    draw = np.random.default_rng(seed)
    found = []
    for annotation in truth["annotations"]:
        size = annotation["segmentation"]["size"]
        mask = codec.decode(codec.frPyObjects(annotation["segmentation"], *size))
        for _ in range(int(draw.integers(0, 3))):
            down, right = (int(shift) for shift in draw.normal(0, 2, 2).round())
            moved = np.asfortranarray(np.roll(mask, (down, right), (0, 1)))
            left, top, width, height = annotation["bbox"]
            wrong = draw.integers(10) == 0
            found.append(
                {
                    "image_id": annotation["image_id"],
                    "category_id": 1 if wrong else annotation["category_id"],
                    "bbox": [left + right, top + down, width, height],
                    "segmentation": codec.encode(moved),
                    "score": float(draw.integers(1, 20)) / 20,  # many are equal
                }
            )
    return found


def figures(package: str, truth: dict[str, Any], found: list[dict[str, Any]], kind: str) -> Any:
    """Return the twelve figures of COCO by one of the packages, and the seconds it took."""
    if package == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    begun_s = perf_counter()
    with redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = deepcopy(truth)  # pycocotools rewrites its masks
        known.createIndex()
        evaluation = COCOeval(known, known.loadRes([dict(one) for one in found]), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:12], perf_counter() - begun_s


def main() -> None:
    """Compose, plant, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5, help="sets of planted detections")
    options = parser.parse_args()

    from coco_digits import compose

    with tempfile.TemporaryDirectory() as folder:
        compose(Path(folder), {"val": options.images})
        truth = json.loads((Path(folder) / "val.json").read_text(encoding="utf-8"))
    from attnbench.system import machine_lock

    with machine_lock.alone():  # it prints seconds
        _compare(truth, options.seeds)


def _compare(truth: dict[str, Any], seeds: int) -> None:
    import numpy as np

    for kind in KINDS:
        farthest, seconds = 0.0, {"pycocotools": 0.0, "faster-coco-eval": 0.0}
        for seed in range(seeds):
            found = planted(truth, seed)
            both = []
            for package in seconds:
                stats, took_s = figures(package, truth, found, kind)
                both.append(np.asarray(stats))
                seconds[package] += took_s
            farthest = max(farthest, float(np.abs(both[0] - both[1]).max()))
        ap = ", ".join(f"{package} {took_s:.2f} s" for package, took_s in seconds.items())
        print(f"{kind}: AP {both[0][0]:.4f}; largest difference {farthest:.1e}; {ap}")


if __name__ == "__main__":
    main()
