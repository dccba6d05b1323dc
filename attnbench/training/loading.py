"""A task's images in batches, read by this process or by others, with their faults as values."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch.utils.data import DataLoader, Dataset

from attnbench.training import draws
from attnbench.training.task import SampleError, Task

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that a command ends at after it has written a checkpoint."""


@dataclass(frozen=True)
class Broken:
    """Stands for what could not be read: an exception would come with another process's stack."""

    message: str


@dataclass(frozen=True)
class _Images(Dataset[Any]):
    """The images of one epoch of training by their number, or those of the test."""

    task: Task
    seed: int
    epoch: int | None
    """None for the images of the test."""

    def __getitem__(self, index: int) -> Any:
        try:
            if self.epoch is None:
                return self.task.test_sample(index)
            with draws.drawing(self.seed, "image", self.epoch, index):
                return self.task.training_sample(index)
        except SampleError as error:
            return Broken(str(error))


def training(
    task: Task, seed: int, epoch: int, batches: Sequence[list[int]], workers: int
) -> Iterator[Any]:
    """Yield the batches of these images, augmented by the draws of their seed and epoch."""
    return _batches(task, _Images(task, seed, epoch), batches, workers)


def testing(task: Task, batches: Sequence[list[int]], workers: int) -> Iterator[Any]:
    """Yield batches of test images."""
    return _batches(task, _Images(task, 0, None), batches, workers)


def _batches(
    task: Task, images: _Images, batches: Sequence[list[int]], workers: int
) -> Iterator[Any]:
    collate = partial(_collated, task)
    loader = DataLoader(
        images,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        worker_init_fn=_ignore_signals,
    )
    return iter(loader)


def _ignore_signals(_: int) -> None:
    """Leave the signals that end a command to the process that trains, which ends this one.

    Terminals, schedulers and torchrun send them to every process of a group. One that reads images
    and ended at once would fail the network that is being trained.
    """
    for name in ENDING:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _collated(task: Task, samples: list[Any]) -> Any:
    broken = next((sample for sample in samples if isinstance(sample, Broken)), None)
    return task.collate(samples) if broken is None else broken
