"""A small task of classification: squares of one colour a class, and a network of a few layers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from attnbench.errors import UserError
from attnbench.hosts.placement.choice import Choice
from attnbench.records.trainings import store
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import Epoch, Fault, TrainingData, Trainings
from attnbench.training import checkpoints, planning, recipes, runner
from attnbench.training.classification.task import Classification
from attnbench.training.options import TrainOptions
from attnbench.training.task import SampleError

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))
SIDE = 8
RECIPE = ("epochs=3", "batch_size=8", "learning_rate=0.05", "crop_least=0.5")


@dataclass(frozen=True)
class Squares:
    """Image n has the colour of class n modulo 3, with a corner that differs by its number."""

    train: int = 20
    test_images: int = 11
    broken: tuple[int, ...] = ()
    """Images to train on that cannot be read."""
    mean = std = (0.5, 0.5, 0.5)
    whole = True

    @property
    def data(self) -> TrainingData:
        return TrainingData(
            name="squares",
            sha256="0" * 64,
            split="others",
            train_images=self.train,
            test_images=self.test_images,
            classes=len(COLOURS),
        )

    def training(self, index: int) -> tuple[Image.Image, int]:
        if index in self.broken:
            raise SampleError(f"squares/{index}.png cannot be read as an image")
        return _square(index), index % len(COLOURS)

    def test(self, index: int) -> tuple[Image.Image, int]:
        return _square(index + 999), index % len(COLOURS)


def _square(number: int) -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), COLOURS[number % len(COLOURS)])
    image.putpixel((number % SIDE, number // SIDE % SIDE), (255, 255, 255))
    return image


class Net(nn.Module):
    """A convolution, a norm (none with ``norm`` off), a mean and a linear layer."""

    def __init__(self, variant: str, norm: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = dropout
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.fc = nn.Linear(4, len(COLOURS))
        # What a module adds comes after the host's own weights are drawn.
        self.extra = nn.Conv2d(4, 4, 1) if variant not in {"plain", "control"} else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.extra(self.norm(self.conv(x)).relu())
        return self.fc(torch.nn.functional.dropout(x.mean((2, 3)), self.dropout, self.training))


@dataclass(frozen=True)
class SmallTask(Classification):
    norm: bool = True
    dropout: float = 0.2

    def network(self, variant: str) -> nn.Module:
        return Net(variant, self.norm, self.dropout)


@dataclass
class Log:
    """A listener that keeps what it hears; ``stop_after`` steps it asks to stop."""

    stop_after: int | None = None
    steps: int = 0
    epochs: list[tuple[str, int, Epoch | Fault]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    folder: Path | None = None

    def stop(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after

    def moved(self, variant: str, seed: int, epoch: int, images: int, test: bool) -> None:  # noqa: ARG002
        self.steps += not test

    def waiting(self, holder: str) -> None:
        self.waits.append(holder)

    def planned(self, trainings: Trainings, folder: Path) -> None:  # noqa: ARG002
        self.folder = folder

    def recorded(self, variant: str, seed: int, result: Epoch | Fault) -> None:
        self.epochs.append((variant, seed, result))


def options(**stated: object) -> TrainOptions:
    known = {
        "data": "digits",
        "modules": ("eca",),
        "host": "resnet18",
        "seeds": 1,
        "seed": 0,
        "last": 1,
        "image_size": SIDE,
        "stages": (1, 2, 3, 4),
        "blocks": "all",
        "amp": "float32",
        "device": "cpu",
        "threads": 1,
        "deterministic": True,
        "save_minutes": 10.0,
    }
    return TrainOptions(**known | stated)  # type: ignore[arg-type]


def use(monkeypatch: pytest.MonkeyPatch, squares: Squares | None = None, **network: object) -> None:
    """Make the runner train the small task, whatever the options say."""

    def small(given: TrainOptions, recipe: Recipe) -> SmallTask:
        images = squares or Squares()
        where = Choice(tuple(given.stages or ()), given.blocks)  # type: ignore[arg-type]
        return SmallTask(images, recipe, SIDE, given.host, where, **network)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "task_of", small)


def train(
    folder: Path, log: Log | None = None, changes: tuple[str, ...] = RECIPE, **stated: object
) -> Trainings:
    recipe = recipes.recipe("short", changes)
    return runner.run(options(**stated), recipe, folder, log or Log()).trainings


def weights(folder: Path, variant: str, seed: int = 0) -> dict[str, torch.Tensor]:
    stored = checkpoints.read(checkpoints.path_of(folder, variant, seed))
    assert stored is not None
    return stored[0]["state_dict"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def figures(trainings: Trainings) -> dict[tuple[str, int], list[object]]:
    """All that epochs hold but the seconds that they took."""
    return {
        key: [(e.number, e.learning_rate, e.loss, e.right, e.answers) for e in epochs]
        for key, epochs in trainings.epochs.items()
    }


class Ticking(Log):
    """A listener that calls a function at every step."""

    def __init__(self, tick: Callable[[], None]) -> None:
        super().__init__()
        self.tick = tick

    def moved(self, *_: object) -> None:
        self.tick()


def tick_at_writes(monkeypatch: pytest.MonkeyPatch, tick: Callable[[], None]) -> None:
    """Call a function before and after everything that a training writes."""
    for module, name in ((checkpoints, "write"), (store, "append"), (store, "begin")):
        function = getattr(module, name)

        def around(*given: object, function: Callable[..., None] = function) -> None:
            tick()
            function(*given)
            tick()

        monkeypatch.setattr(module, name, around)


def killed_at(ticks: int, in_a_checkpoint: bool, folder: str) -> None:
    """Train, and kill this process and all of its group; called in a process of its own.

    At that tick of :func:`tick_at_writes`, or at that checkpoint, while its file is being written.
    """
    left = [ticks]

    def tick() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.killpg(os.getpgrp(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as monkeypatch:
        use(monkeypatch)
        if in_a_checkpoint:
            write_whole = checkpoints.write_whole

            def watched(*given: Any) -> None:
                with monkeypatch.context() as patched:
                    patched.setattr(os, "fsync", lambda _: tick())
                    write_whole(*given)

            monkeypatch.setattr(checkpoints, "write_whole", watched)
            train(Path(folder), save_minutes=1e-9)
        else:
            tick_at_writes(monkeypatch, tick)
            train(Path(folder), Ticking(tick), save_minutes=1e-9)


def in_two_processes(rank: int, port: int, folder: str) -> dict[tuple[str, int], list[object]]:
    """Train as one of two processes that torchrun would start; called in a process of its own."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(monkeypatch, norm=False, dropout=0.0)
        try:
            return figures(train(Path(folder)))
        except UserError as error:
            return {("error", rank): [str(error)]}
