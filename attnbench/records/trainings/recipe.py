"""A recipe of training: everything that decides how weights change, beside data and seed."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from attnbench.records.bounds import STRICT
from attnbench.records.case import LIMITS

MOST_EPOCHS = 100_000

_Share = Annotated[float, Field(ge=0, le=1)]
_Rate = Annotated[float, Field(gt=0, le=1e3)]
_Epoch = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Recipe:
    """Stochastic gradient descent with a schedule, and the augmentation of images.

    The learning rate of ``step`` is multiplied by ``factor`` when an epoch of ``milestones`` is
    done, that of ``exponential`` after each epoch; that of ``one_cycle`` rises from a 25th to
    ``learning_rate`` within the first 30% of all steps and falls to nearly nothing, both along a
    cosine (Smith and Topin, arXiv 1708.07120, as PyTorch's OneCycleLR; the momentum stays).
    During the first ``warm_up_steps`` it rises in a line from ``warm_up_from`` of its value.
    """

    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    """Where the values are printed."""
    task: Literal["classification", "detection"] = "classification"
    """What it trains."""
    changed: tuple[str, ...] = ()
    """The fields that the user has stated otherwise than the source."""
    epochs: _Epoch
    batch_size: Annotated[int, Field(ge=1, le=LIMITS["batch_size"][1])]
    """Images in one step, over all processes."""
    learning_rate: _Rate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: _Share
    """Of all parameters, biases and those of norms too."""
    schedule: Literal["step", "exponential", "one_cycle"]
    milestones: tuple[_Epoch, ...] = ()
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    warm_up_steps: Annotated[int, Field(ge=0, le=10**9)] = 0
    warm_up_from: Annotated[float, Field(gt=0, le=1)] = 1.0
    clip_norm: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """The greatest norm of all gradients together; None where they are not clipped."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    crop_least: Annotated[float, Field(gt=0, le=1)]
    """Least share of an image's area in the random crop that is resized to the input; at most all
    of it. Its sides relate as 3:4 to 4:3, as in torchvision."""
    flip: _Share
    """Share of the images that are mirrored left to right."""
    norms: Literal["trained", "fixed"] = "trained"
    """Whether a detector's backbone keeps the running statistics of its batch norms; their weights
    and biases learn all the same."""
    frozen: bool = False
    """Whether a detector's stem and first stage keep their weights."""

    def __post_init__(self) -> None:
        if self.schedule == "step" and not self.milestones:
            raise ValueError("the schedule 'step' needs milestones")
        if self.task == "detection" and (self.crop_least, self.label_smoothing) != (1, 0):
            raise ValueError("detectors are trained on whole images, and on labels as they are")
        if self.task == "classification" and (self.norms, self.frozen) != ("trained", False):
            raise ValueError("norms and frozen are of detectors, which start from trained weights")
        if any(later <= earlier for earlier, later in pairwise(self.milestones)):
            raise ValueError(f"milestones must rise, not {self.milestones}")
        if self.schedule == "step" and self.milestones[-1] >= self.epochs:
            # The rate would not have fallen: another training than the source's.
            listed = ",".join(map(str, self.milestones))
            raise ValueError(
                f"milestones {listed} with {self.epochs} epochs: the last must lie before the "
                "end; state both, such as epochs=30 and milestones=10,20"
            )
