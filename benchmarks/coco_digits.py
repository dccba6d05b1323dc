"""Compose a COCO-format set from scikit-learn's real handwritten digits, with exact masks.

``python benchmarks/coco_digits.py FOLDER`` writes ``train.json``, ``val.json`` and their images. No
digit stands in both, none touches another, and each mask is of the pixels that its digit colours:
boxes and masks are exact.
"""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import Any

SIDE, ENLARGED = 96, (3, 4, 6)
"""Pixels of an image, and of one of the 8x8 pixels of a digit: 24, 32 or 48 a digit."""

GREYS, TEST_EVERY, TRIES = 16, 5, 20


def compose(folder: Path, images: dict[str, int], *, seed: int = 0, side: int = SIDE) -> None:
    """Write so many images of each part (``train``, ``val``), with one to three digits each."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    draw = np.random.default_rng(seed)
    digits = load_digits()
    test = np.arange(len(digits.target)) % TEST_EVERY == 0
    for part, number in images.items():
        known = np.flatnonzero(test if part == "val" else ~test)
        (folder / part).mkdir(parents=True, exist_ok=True)
        data: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            # COCO's ids have gaps too: a reader that takes them for places is wrong.
            "categories": [{"id": 2 * digit + 1, "name": str(digit)} for digit in range(10)],
        }
        for image in range(number):
            pixels = np.zeros((side, side), np.uint8)
            taken = np.zeros((side, side), bool)
            for _ in range(int(draw.integers(1, 4))):
                place = int(draw.choice(known))
                times = int(draw.choice(ENLARGED))
                greys = digits.images[place].astype(np.uint8).repeat(times, 0).repeat(times, 1)
                if (at := _free(taken, len(greys), draw)) is None:
                    continue
                rows, columns = (slice(start, start + len(greys)) for start in at)
                pixels[rows, columns] = greys.astype(np.uint16) * 255 // GREYS
                taken[rows, columns] = True
                mask = np.zeros((side, side), bool)
                mask[rows, columns] = greys > 0
                data["annotations"].append(
                    {
                        "id": len(data["annotations"]) + 1,
                        "image_id": image + 1,
                        "category_id": 2 * int(digits.target[place]) + 1,
                        "bbox": box_of(mask),
                        "segmentation": run_lengths(mask),
                        "area": int(mask.sum()),
                        "iscrowd": 0,
                    }
                )
            name = f"{image + 1:06}.png"
            Image.fromarray(pixels).convert("RGB").save(folder / part / name)
            data["images"].append(
                {"id": image + 1, "file_name": name, "width": side, "height": side}
            )
        (folder / f"{part}.json").write_text(json.dumps(data), encoding="utf-8")


def box_of(mask: Any) -> list[int]:
    """Return the tight box of a mask (height, width): left, top, width, height."""
    rows, columns = (mask.any(1).nonzero()[0], mask.any(0).nonzero()[0])
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def run_lengths(mask: Any) -> dict[str, list[int]]:
    """Return a mask as COCO's run lengths, column by column, of zeros first."""
    runs = [(bool(value), len([*run])) for value, run in groupby(mask.ravel(order="F"))]
    counts = [length for _, length in runs]
    return {"counts": [0, *counts] if runs[0][0] else counts, "size": list(mask.shape)}


def _free(taken: Any, size: int, draw: Any) -> tuple[int, int] | None:
    """Return where a digit of that size touches no other; None if no place was found."""
    for _ in range(TRIES):
        top, left = (int(draw.integers(0, len(taken) - size + 1)) for _ in range(2))
        if not taken[max(0, top - 1) : top + size + 1, max(0, left - 1) : left + size + 1].any():
            return top, left
    return None


def main() -> None:
    """Read the options and write the set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=400, help="images to train on (400)")
    parser.add_argument("--val", type=int, default=100, help="images to test on (100)")
    options = parser.parse_args()
    compose(options.folder, {"train": options.train, "val": options.val})


if __name__ == "__main__":
    main()
