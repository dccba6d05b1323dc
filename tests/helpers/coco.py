"""A COCO-format set of one's own making: two images with three objects, exact boxes and masks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from attnbench.records.evaluation import Weights
from attnbench.records.precision import DetectionData, Precision

SIDE = 96

BOXES = {1: [(10, 20, 20, 20, 3), (50, 40, 40, 40, 7)], 2: [(30, 30, 20, 20, 3)]}
"""Image -> left, top, width, height and category of its objects."""


def content() -> dict[str, Any]:
    """Return a file's content; ids of categories have gaps."""
    annotations = []
    for image, boxes in BOXES.items():
        for left, top, width, height, category in boxes:
            right, bottom = left + width, top + height
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": [left, top, width, height],
                    "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {"id": image, "file_name": f"{image}.png", "width": SIDE, "height": SIDE}
            for image in BOXES
        ],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "small"}, {"id": 7, "name": "large"}],
    }


def write(folder: Path, data: dict[str, Any] | None = None) -> Path:
    """Write the file, and the images into ``folder / "images"``; return the file."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for image, boxes in BOXES.items():
        picture = Image.new("RGB", (SIDE, SIDE))
        for left, top, width, height, _ in boxes:
            picture.paste((255, 128, 0), (left, top, left + width, top + height))
        picture.save(folder / "images" / f"{image}.png")
    file = folder / "annotations.json"
    file.write_text(json.dumps(content() if data is None else data))
    return file


def record(**changes: Any) -> Precision:
    """Return an evaluation of Mask R-CNN with ECA, of the size of COCO 2017 val."""
    figures = dict.fromkeys(("ap", "ap50", "ap75", "ap_small", "ap_medium"), 0.3801)
    usual = Precision(
        host="maskrcnn_resnet50_fpn",
        module="eca",
        weights=Weights(name="w", sha256="a" * 64),
        data=DetectionData(
            name="val2017",
            annotations="instances_val2017.json",
            sha256="b" * 64,
            images=5000,
            objects=36_781,
            categories=80,
        ),
        box=figures | {"ap_large": None},
        mask=figures,
        shorter=800,
        longer=1333,
        device="cpu",
        threads=1,
        environment={},
    )
    return replace(usual, **changes)
