"""Compute what a detector finds in images, and how precise that is: prepare, then compute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.accuracy.checkpoints import load_authors_state_dict, read_weights, wrapper_of
from attnbench.accuracy.evaluate import digest, facts
from attnbench.accuracy.options import EvaluationOptions
from attnbench.detection import package
from attnbench.detection.annotations import read
from attnbench.detection.classes import classes_of, labels_of
from attnbench.detection.images import DetectionImages
from attnbench.detection.networks import detector
from attnbench.detection.options import has_masks
from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.hosts import check_module
from attnbench.hosts.conditions import Conditions
from attnbench.plugins.resolve import parse
from attnbench.records.evaluation import Weights
from attnbench.records.precision import DetectionData, Precision
from attnbench.records.variants import PLAIN
from attnbench.system import process_settings

Progress = Callable[[str, int], None]

HALF = 0.5
"""From this probability a pixel belongs to a mask."""


@dataclass(frozen=True)
class Prepared:
    """A detector with its weights, and the images: everything but the answers."""

    options: EvaluationOptions
    network: nn.Module
    weights: Weights
    images: DetectionImages
    classes: int
    source: str | None
    device: str
    threads: int

    @property
    def described(self) -> str:
        """Network, weights and images, in one line."""
        known = self.images.annotations
        weights = " ".join(filter(None, (self.weights.name, self.weights.part)))
        return (
            f"{self.options.module or PLAIN} in {self.options.host} with {weights}; "
            f"{len(self.images):,} images with {len(known.annotations):,} annotations of "
            f"{len(known.categories):,} categories"
        )


def prepare(options: EvaluationOptions) -> Prepared:
    """Read annotations and weights, build their network and find the images.

    ``options`` are checked, and name a detector and a file of annotations.

    Raises:
        UserError: annotations or weights that cannot be read or do not fit, an image that is not
            there, or the package that computes precision.
        SettingsError: a module that does not fit.
    """
    assert options.annotations is not None
    package.require()
    known = read(options.annotations)
    if has_masks(options.host):
        known.require_masks()
    device = devices.chosen(options.device)
    module = None if options.module is None else parse(options.module)
    if module is not None and module.is_custom:
        image = (1, 3, options.image_size, options.image_size)
        check_module.in_subprocess(
            check_module.check, module, options.host, [image], [Conditions(device)]
        )
    attention = None if module is None else module.load()
    state_dict = read_weights(options.weights)
    chosen = {"key": options.key, "prefix": options.prefix}
    try:
        classes = classes_of(state_dict, options.host, **chosen)
        with redirect_stdout(sys.stderr):  # stdout is for results, not for a module's own prints
            network = detector(
                options.host, attention, classes, size=sizes(options.image_size)
            ).eval()
        load_authors_state_dict(network, state_dict, **chosen)
    except (UserError, RuntimeError) as error:  # torch's: sparse tensors, or meta ones
        raise UserError(f"{options.weights}: {error}") from error
    return Prepared(
        options=options,
        network=network,
        weights=Weights(
            name=options.weights.name,
            sha256=digest(options.weights),
            key=options.key or wrapper_of(state_dict),
            prefix=options.prefix,
        ),
        images=DetectionImages(known, options.data, labels_of(known, classes)),
        classes=classes,
        source=None if module is None else module.origin(),
        device=device,
        threads=options.threads or torch.get_num_threads(),
    )


def sizes(shorter: int) -> tuple[int, int]:
    """Return the shorter side and the most of the longer, in COCO's proportion of 800 to 1333."""
    return shorter, round(shorter * 1333 / 800)


def evaluate(prepared: Prepared, progress: Progress) -> Precision:
    """Compute detections image by image, then their precision.

    Raises:
        UserError: an image that cannot be read, or scores that are not finite numbers.
    """
    devices.select(prepared.device)
    process_settings.settle_arithmetic(prepared.threads)
    options, images = prepared.options, prepared.images
    place = Conditions(prepared.device)
    network = place.place(prepared.network)
    found = detections(network, images, place, progress)
    kinds = ("box", "mask") if has_masks(options.host) else ("box",)
    figures = {
        kind: package.precision(images.annotations.data, of_kind(found, kind), kind)
        for kind in kinds
    }
    return Precision(
        host=options.host,
        module=options.module,
        source=prepared.source,
        weights=prepared.weights,
        data=DetectionData(
            name=resolved(images.folder).name,
            annotations=images.annotations.file.name,
            sha256=images.digest(),
            images=len(images),
            objects=len(images.annotations.annotations),
            categories=len(images.annotations.categories),
        ),
        box=figures["box"],
        mask=figures.get("mask"),
        shorter=options.image_size,
        longer=sizes(options.image_size)[1],
        device=prepared.device,
        threads=prepared.threads,
        environment=facts(prepared.device),
    )


def detections(
    network: nn.Module, images: DetectionImages, place: Conditions, progress: Progress
) -> list[dict[str, Any]]:
    """Return what a network in evaluation mode finds, in COCO's fields, image by image."""
    categories = {label: category for category, label in images.labels.items()}
    found: list[dict[str, Any]] = []
    progress("detecting", 0)
    for number, entry in enumerate(images.annotations.images):
        pixels = images.image(number).to(place.device)
        with torch.inference_mode():
            (output,) = network([pixels])
        found += answers(output, entry["id"], categories)
        progress("detecting", number + 1)
    return found


def answers(
    output: Mapping[str, Tensor], image: int, categories: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return one image's output of a detector of torchvision in COCO's fields.

    Raises:
        UserError: a score or a box is not finite.
    """
    output = {name: value.cpu() for name, value in output.items()}
    if not all(bool(output[name].isfinite().all()) for name in ("scores", "boxes")):
        raise UserError("the network's scores or boxes are not finite numbers")
    corners = output["boxes"]
    boxes = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).tolist()
    found = []
    for place, (label, score, box) in enumerate(
        zip(output["labels"].tolist(), output["scores"].tolist(), boxes, strict=True)
    ):
        if label not in categories:
            continue  # of a network that knows more classes than are annotated
        one = {
            "image_id": image,
            "category_id": categories[label],
            "score": score,
            "bbox": box,
        }
        if "masks" in output:
            mask = (output["masks"][place, 0] >= HALF).to(torch.uint8).numpy()
            one["segmentation"] = package.encoded(mask)
        found.append(one)
    return found


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return detections for one kind of precision: masks have an area of their own.

    With a box, the package would take the box's area for a mask's size.
    """
    dropped = "segmentation" if kind == "box" else "bbox"
    return [{key: value for key, value in one.items() if key != dropped} for one in found]
