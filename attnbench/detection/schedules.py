"""The schedules by which the papers trained on COCO, as data with their sources. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """SGD with steps, and what of a pretrained network learns."""

    name: str
    source: str
    epochs: int
    milestones: tuple[int, ...]
    """After so many epochs the learning rate is divided by ten."""
    batch_size: int = 16
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up_steps: int = 500
    """Linear, from ``warm_up_from`` of the learning rate."""
    warm_up_from: float = 1 / 3
    most_norm: float | None = 35.0
    """Gradients are scaled down to this norm; None leaves them."""
    shorter: int = 800
    longer: int = 1333
    """Images are resized to that shorter side, or to that longer one where it would be passed."""
    flip: float = 0.5
    norms: Literal["fixed", "trained"] = "fixed"
    """Whether batch norms keep their running statistics."""
    frozen: bool = True
    """Whether stem and first stage keep their weights."""

    def rate(self, step: int, steps_an_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        passed = sum(step >= epoch * steps_an_epoch for epoch in self.milestones)
        warmth = 1.0
        if step < self.warm_up_steps:
            warmth -= (1 - step / self.warm_up_steps) * (1 - self.warm_up_from)
        return self.learning_rate * warmth * 0.1**passed


_GCNET = "xvjiarui/GCNet @029db54, configs/gcnet/r50/mask_rcnn_r16_gcb_c3-c5_r50_fpn_1x.py, _2x.py"
_INSIGHT = "implus/PytorchInsight @2864528, detection/local_configs"

_TABLE = (
    Schedule(name="1x", source=_GCNET, epochs=12, milestones=(8, 11)),
    Schedule(name="2x", source=f"{_INSIGHT}; {_GCNET}", epochs=24, milestones=(16, 22)),
    Schedule(
        name="2x-retinanet",
        source=_INSIGHT,
        epochs=24,
        milestones=(16, 22),
        learning_rate=0.01,
    ),
    Schedule(
        name="short",
        source="attnbench, for small data and networks without pretrained weights",
        epochs=12,
        milestones=(9, 11),
        batch_size=4,
        learning_rate=0.005,
        warm_up_steps=20,
        most_norm=10,
        norms="trained",
        frozen=False,
        flip=0.0,
    ),
)

SCHEDULES = {schedule.name: schedule for schedule in _TABLE}
