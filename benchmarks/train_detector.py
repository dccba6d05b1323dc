"""Train a small detector on composed digits by ``attnbench train``'s own engine, on a CPU.

``python benchmarks/train_detector.py --module eca``. The data are scikit-learn's real digits
(coco_digits.py), the backbone a ResNet-50 with one narrow block a stage, the images 96x96: minutes
on two cores. The last line holds the precision of chance: of the same detector with its initial
weights.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
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

CLASSES, HIDDEN, SHORTER = 10, 64, 96
"""Digits; channels of the heads on single proposals, which torchvision has at 256 and 1024; and
pixels."""


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


@dataclass
class Printer:
    """A listener of the trainer: prints each epoch."""

    begun_s: float = field(default_factory=perf_counter)

    def stop(self) -> bool:
        """Never ask to stop."""
        return False

    def moved(self, *_: object) -> None:
        """Say nothing within an epoch."""

    def told(self, epoch: Any) -> None:
        """Print an epoch's loss and precisions."""
        spent_s = perf_counter() - self.begun_s
        print(
            f"epoch {epoch.number}: loss {epoch.loss:.3f}; {shown(epoch.figures)}; {spent_s:.0f} s",
            flush=True,
        )


def shown(figures: Any) -> str:
    """Return average precisions in percent."""
    return ", ".join(f"{name} {100 * value:.1f}" for name, value in figures.items())


def main() -> None:
    """Read the options, compose, train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="maskrcnn_resnet50_fpn")
    parser.add_argument("--module", default="plain", help="of the suite, such as eca (plain)")
    parser.add_argument("--train", type=int, default=200, help="images to train on (200)")
    parser.add_argument("--val", type=int, default=30, help="images to test on (30)")
    parser.add_argument("--set", action="append", default=[], help="FIELD=VALUE of short-detector")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import torch
    from coco_digits import compose

    from attnbench.detection.options import family, has_masks
    from attnbench.hosts.build import HOSTS, Host
    from attnbench.hosts.conditions import Conditions
    from attnbench.hosts.placement.choice import Choice
    from attnbench.system import environment, machine_lock, process_settings
    from attnbench.training import recipes
    from attnbench.training.detection import files
    from attnbench.training.detection.data import read_data
    from attnbench.training.detection.task import Detection
    from attnbench.training.engine import Setting, Trainer
    from attnbench.training.processes import Processes

    one_stage = family(options.host) == "retinanet"

    class Narrow(Detection):
        def network(self, variant: str) -> Any:
            network = super().network(variant)
            if not one_stage:
                narrow(network)
            return network

    process_settings.settle_arithmetic(options.threads)
    HOSTS["resnet50"] = Host((1, 1, 1, 1), width_per_group=16)
    recipe = recipes.recipe("short-detector", options.set)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compose(folder, {"train": options.train, "val": options.val}, seed=options.seed)
        images = read_data(files.found(name, None, None, None), with_masks=has_masks(options.host))
        task = Narrow(
            images=images,
            recipe=recipe,
            size=SHORTER,
            host=options.host,
            where=Choice(),
            settings={} if one_stage else FEW,
        )
        setting = Setting(recipe, Conditions(options.device), "float32", folder / "out", last=1)
        printer = Printer()
        trainer = Trainer(
            task, options.module, options.seed, setting, Processes(device=options.device), printer
        )
        with machine_lock.alone(*environment.lock_names([options.device]), work="trains"):
            chance = trainer._test()
            for epoch in trainer.epochs():
                printer.told(epoch)
    print(f"initial weights: {shown(chance.figures)}; torch {torch.__version__}")


if __name__ == "__main__":
    main()
