"""The seam between what is trained and how: a task has data, a loss and a metric, and no more.

The engine (``engine.py``) owns epochs, seeds, the order of images, the optimiser, checkpoints,
records and processes, and reaches a task by this protocol alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from attnbench.hosts.conditions import Conditions
from attnbench.hosts.placement.choice import Choice
from attnbench.records.trainings.schema import TrainingData


class SampleError(Exception):
    """An image that cannot be read; the message is one line that names it."""


@dataclass(frozen=True)
class Scores:
    """How well a network did on all test images: see ``records.trainings.schema.Epoch``."""

    right: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    bits: Sequence[bool] | None = None
    """Which test images were right by the task's metric, in the data's order."""


class Task(Protocol):
    """Data, loss and metric of one kind of training."""

    @property
    def name(self) -> str:
        """What the records call it: ``classification``."""

    @property
    def metric(self) -> str:
        """The figure that gains are of, a name among the scores' ``right`` or ``figures``."""

    @property
    def data(self) -> TrainingData:
        """What is trained and tested on, with the numbers of images."""

    def network(self, variant: str) -> nn.Module:
        """Build a variant's network on the CPU; initial weights come from torch's generator.

        The engine has seeded it, equally for all variants of a seed. The host's own weights must
        be drawn before a module's.
        """

    @property
    def size(self) -> int:
        """Side of the images, in pixels; of detectors the shorter one."""

    @property
    def host(self) -> str:
        """The network that carries the modules."""

    @property
    def where(self) -> Choice:
        """At which of its positions."""

    def trial(self) -> Any:
        """Return a training batch of two random images."""

    def begin_training(self, network: nn.Module) -> None:
        """Set training mode, before every epoch and when one is resumed."""

    def training_sample(self, index: int) -> Any:
        """Return one training image, augmented by draws from torch's generator.

        It was seeded for this image, seed and epoch. Called in any process and any order.

        Raises:
            SampleError: it cannot be read.
        """

    def test_sample(self, index: int) -> Any:
        """Return one test image; nothing is drawn. Raises as :meth:`training_sample` does."""

    def collate(self, samples: list[Any]) -> Any:
        """Return a batch of samples."""

    def loss(self, network: nn.Module, batch: Any, place: Conditions) -> Tensor:
        """Return the mean loss of a batch's images, a scalar, of a network in training mode.

        ``place`` says where the network is: move the batch there.
        """

    def answers(self, network: nn.Module, batch: Any, place: Conditions) -> list[Any]:
        """Return for each image of a test batch what :meth:`scores` needs; plain values.

        The network is in evaluation mode, and no gradients are kept. Answers travel between
        processes.

        Raises:
            FloatingPointError: the network's output is not finite.
        """

    def scores(self, answers: Sequence[Any]) -> Scores:
        """Return the scores from the answers of all test images, in the data's order."""
