"""Train a small detector on composed digits, and print its average precision after each epoch.

``python benchmarks/train_detector.py --module eca``. The data are scikit-learn's real digits
(coco_digits.py), the backbone a ResNet-50 with one narrow block a stage, the images 96x96: minutes
on one core. The last line holds the precision of chance: of the same detector with its initial
weights.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

FEW = {
    "box_batch_size_per_image": 32,
    "rpn_pre_nms_top_n_train": 200,
    "rpn_post_nms_top_n_train": 100,
    "rpn_pre_nms_top_n_test": 100,
    "rpn_post_nms_top_n_test": 50,
}
"""torchvision's settings of its two-stage detectors, for images of few objects."""

CLASSES, HIDDEN = 10, 64
"""Digits; and channels of the heads on single proposals, which torchvision has at 256 and 1024."""


def narrow(network: Any) -> None:
    """Give a two-stage detector heads that are quick, on the same pooled features."""
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

    heads = network.roi_heads
    heads.box_head = TwoMLPHead(256 * 7 * 7, 2 * HIDDEN)
    heads.box_predictor = FastRCNNPredictor(2 * HIDDEN, CLASSES + 1)
    if heads.has_mask():
        heads.mask_head = MaskRCNNHeads(256, (HIDDEN, HIDDEN), 1)
        heads.mask_predictor = MaskRCNNPredictor(HIDDEN, HIDDEN, CLASSES + 1)


def precisions(network: Any, images: Any, kinds: tuple[str, ...]) -> str:
    """Return every average precision of a detector, in percent."""
    from attnbench.detection.evaluate import detections, of_kind
    from attnbench.detection.package import precision
    from attnbench.hosts.conditions import BASE

    found = detections(network.eval(), images, BASE, lambda *_: None)
    texts = []
    for kind in kinds:
        figures = precision(images.annotations.data, of_kind(found, kind), kind)
        shown = (f"{key} {100 * value:.1f}" for key, value in figures.items() if value is not None)
        texts.append(f"{kind} {', '.join(shown)}")
    return "; ".join(texts)


def batches(images: Any, schedule: Any, order: Any, *, masks: bool) -> Any:
    """Yield the images and targets of one epoch, in an order drawn from ``order``."""
    import torch

    places = torch.randperm(len(images), generator=order).tolist()
    for start in range(0, len(places), schedule.batch_size):
        batch = places[start : start + schedule.batch_size]
        flips = (torch.rand(len(batch), generator=order) < schedule.flip).tolist()
        samples = [
            images.sample(place, with_masks=masks, flipped=flipped)
            for place, flipped in zip(batch, flips, strict=True)
        ]
        yield zip(*samples, strict=True)


def train(network: Any, parts: Any, schedule: Any, options: argparse.Namespace) -> None:
    """Train by the schedule; print the loss of each epoch, and precisions."""
    import torch

    from attnbench.detection.networks import train_mode
    from attnbench.detection.options import has_masks
    from attnbench.detection.training import optimiser, step

    masks = has_masks(options.host)
    kinds = ("box", "mask") if masks else ("box",)
    chance = precisions(network, parts["val"], kinds)
    optimizer, order = optimiser(network, schedule), torch.Generator().manual_seed(options.seed)
    begun_s, taken = perf_counter(), 0
    steps = ceil(len(parts["train"]) / schedule.batch_size)
    for epoch in range(1, schedule.epochs + 1):
        train_mode(network, fixed_norms=schedule.norms == "fixed")
        total = 0.0
        for images, targets in batches(parts["train"], schedule, order, masks=masks):
            rate = schedule.rate(taken, steps)
            total += step(network, images, targets, optimizer, schedule, rate)
            taken += 1
        spent_s = perf_counter() - begun_s
        print(f"epoch {epoch}: loss {total / steps:.3f}, {spent_s:.0f} s", flush=True)
        if epoch % options.every == 0 or epoch == schedule.epochs:
            print(f"epoch {epoch}: {precisions(network, parts['val'], kinds)}", flush=True)
    print(f"initial weights: {chance}")


def main() -> None:
    """Read the options, compose, build, train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="maskrcnn_resnet50_fpn")
    parser.add_argument("--module", help="of the suite, such as eca; none by default")
    parser.add_argument("--train", type=int, default=120, help="images to train on (120)")
    parser.add_argument("--val", type=int, default=30, help="images to test on (30)")
    parser.add_argument("--schedule", default="short", help="1x, 2x, 2x-retinanet or short (short)")
    parser.add_argument("--epochs", type=int, help="in proportion to the schedule's")
    parser.add_argument("--rate", type=float, help="learning rate, other than the schedule's")
    parser.add_argument("--every", type=int, default=2, help="epochs between evaluations (2)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import torch
    from coco_digits import compose

    from attnbench.detection import annotations
    from attnbench.detection.classes import labels_of
    from attnbench.detection.images import DetectionImages
    from attnbench.detection.networks import detector
    from attnbench.detection.options import family
    from attnbench.detection.schedules import SCHEDULES
    from attnbench.hosts.build import HOSTS, Host

    schedule = SCHEDULES[options.schedule]
    schedule = replace(schedule, learning_rate=options.rate or schedule.learning_rate)
    if options.epochs:
        share = options.epochs / schedule.epochs
        milestones = tuple(round(share * epoch) for epoch in schedule.milestones)
        schedule = replace(schedule, epochs=options.epochs, milestones=milestones)
    HOSTS["resnet50"] = Host((1, 1, 1, 1), width_per_group=16)
    one_stage = family(options.host) == "retinanet"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compose(folder, {"train": options.train, "val": options.val}, seed=options.seed)
        parts = {}
        for part in ("train", "val"):
            known = annotations.read(folder / f"{part}.json")
            parts[part] = DetectionImages(known, folder / part, labels_of(known, CLASSES))
        torch.manual_seed(options.seed)
        network = detector(
            options.host,
            options.module,
            CLASSES,
            size=(96, 160),
            frozen=schedule.frozen,
            **({} if one_stage else FEW),
        )
        if not one_stage:
            narrow(network)
        train(network, parts, schedule, options)


if __name__ == "__main__":
    main()
