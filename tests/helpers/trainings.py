"""Simulated trainings with known gains, without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from attnbench.records.trainings import store
from attnbench.records.trainings.schema import (
    Entry,
    Epoch,
    Fault,
    Training,
    TrainingData,
    Trainings,
)
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.training.recipes import recipe

IMAGES = 400


def training(modules: Sequence[str] = ("sa",), seeds: int = 3, **others: object) -> Training:
    known: dict[str, object] = {
        "task": "classification",
        "metric": "top1",
        "host": "resnet50",
        "variants": (PLAIN, CONTROL, *modules),
        "seeds": tuple(range(seeds)),
        "recipe": recipe("short", ["epochs=2"]),
        "last": 1,
        "data": TrainingData(
            name="images",
            sha256="a" * 64,
            split="trained on train/, tested on val/",
            train_images=1000,
            test_images=IMAGES,
            classes=10,
        ),
        "image_size": 32,
        "stages": (1, 2, 3, 4),
        "blocks": "all",
        "amp": "float32",
        "channels_last": False,
        "device": "cpu",
        "threads": 1,
        "processes": 1,
        "deterministic": False,
        "environment": {"cpu": "a CPU", "time": "2026-11-26T10:00:00+00:00", "torch": "2.15"},
    }
    return Training(**known | others)  # type: ignore[arg-type]


def bits(right: int, images: int = IMAGES, shift: int = 0) -> str:
    """The first images are right, or those from ``shift`` on."""
    row = np.zeros(images, dtype=np.uint8)
    row[shift : shift + right] = 1
    return np.packbits(row).tobytes().hex()


def epoch(number: int, right: int, images: int = IMAGES, answers: str | None = None) -> Epoch:
    return Epoch(
        number=number,
        seconds=1.0,
        learning_rate=0.1,
        loss=0.5,
        right={"top1": right, "top5": images},
        answers=answers,
    )


def done(
    plan: Training,
    last: Mapping[str, Sequence[int]],
    first: int = 300,
    faults: Mapping[tuple[str, int], Fault] | None = None,
) -> list[Entry]:
    """The entries of trainings of two epochs, whose last has so many right of each seed."""
    entries = []
    images = plan.data.test_images
    for variant, rights in last.items():
        for seed, right in zip(plan.seeds, rights, strict=False):
            for number, count in ((1, first), (2, right)):
                answers = bits(count, images) if number == plan.recipe.epochs else None
                known = epoch(number, count, images, answers)
                entries.append(Entry(variant=variant, seed=seed, epoch=known))
    for (variant, seed), fault in (faults or {}).items():
        entries.append(Entry(variant=variant, seed=seed, error=fault))
    return entries


def trainings(rights: Mapping[str, Sequence[int]], **others: object) -> Trainings:
    modules = [name for name in rights if name not in {PLAIN, CONTROL}]
    plan = training(modules, seeds=len(rights[PLAIN]), **others)
    return Trainings(plan, done(plan, rights))


def stored(folder: Path, rights: Mapping[str, Sequence[int]], **others: object) -> Path:
    known = trainings(rights, **others)
    store.begin(folder, known.training)
    for entry in done(known.training, rights):
        store.append(folder, entry, known.training)
    return folder
