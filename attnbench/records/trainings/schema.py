"""``trainings.jsonl``: networks trained under one recipe, an epoch a line.

The first line states everything that the trainings share; each later line an epoch of one network
and seed, or why its training ended. Counts are exact, and gains and intervals are derived when the
file is read. ``reports/README.md`` explains every field. A change of meaning raises
:data:`SCHEMA`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, field
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from attnbench.records.bounds import EXACT, STRICT, Environment, Figure, Seconds, Share
from attnbench.records.case import LIMITS
from attnbench.records.device import Device
from attnbench.records.evaluation import Weights
from attnbench.records.trainings.recipe import MOST_EPOCHS, Recipe
from attnbench.records.variants import CEILINGS, CONTROL, PLAIN, Blocks

SCHEMA = 1

WIDER = "wider"
"""The plain host with wider layers, as slow as the slowest module."""

_Count = Annotated[int, Field(ge=1, le=EXACT)]
_Name = Annotated[str, Field(min_length=1)]
_Seed = Annotated[int, Field(ge=0, lt=2**63)]
_Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
_Ratio = Annotated[float, Field(gt=0, le=1e6)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Precision = Literal["float32", "bfloat16", "float16"]
AMP: tuple[Precision, ...] = get_args(Precision)
"""What autocast can compute in."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingData:
    """What was trained and tested on.

    ``sha256``: of a package's data the digest of pixels and labels; of folders that of the lines
    ``SIZE PATH`` of all images, sorted by path; of COCO-format data that of the digests of both
    files of annotations and of these lines. ``split`` says in words what is tested on.
    """

    name: _Name
    sha256: Sha256
    split: str
    train_images: _Count
    test_images: _Count
    classes: _Count
    files: Mapping[str, str] = field(default_factory=dict)
    """Of COCO-format data that options named one by one: each option, and the name it was given."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Width:
    """How wide the widened plain host is, and what was measured to decide it.

    ``base``: channels of its stem, 64 in the plain host. Ratios are of latency to the plain host,
    each with the ends of its 95% interval.
    """

    base: Annotated[int, Field(ge=64, le=2**16)]
    ratio: _Ratio
    ratio_low: _Ratio
    ratio_high: _Ratio
    module: _Name
    """The slowest module."""
    module_ratio: _Ratio
    module_ratio_low: _Ratio
    module_ratio_high: _Ratio
    rounds: _Count


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Training:
    """The first line: what all trainings of the file share."""

    schema: int = SCHEMA
    task: _Name
    metric: _Name
    """The figure that gains are of: a name in ``right`` or ``figures`` of every epoch."""
    host: _Name
    variants: tuple[_Name, ...]
    """``plain``, ``control``, the modules, and ``wider`` where there is one."""
    seeds: Annotated[tuple[_Seed, ...], Field(min_length=1)]
    recipe: Recipe
    last: _Epochs
    """The figure of a training is the mean over so many epochs at its end."""
    data: TrainingData
    image_size: Annotated[int, Field(ge=1, le=LIMITS["image_size"][1])]
    stages: tuple[int, ...]
    blocks: Blocks
    at: str = ""
    """Patterns of the parts that modules stand behind; empty for the host's own sites."""
    replace: str = ""
    """The kind of the host's own modules that give way to them."""
    amp: Precision
    """What autocast computes in; weights are float32."""
    channels_last: bool
    device: Device
    threads: Annotated[int, Field(ge=1, le=LIMITS["threads"][1])]
    processes: _Count
    deterministic: bool
    """Whether torch was told to use deterministic algorithms alone."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """For each custom module the digest of its file, or its package's version."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Modules that do not fit, and why."""
    width: Width | None = None
    pretrained: Mapping[str, Weights] = field(default_factory=dict)
    """Files of detectors' backbones; under ``plain`` that of all that have none of their own."""
    environment: Environment

    def __post_init__(self) -> None:
        if self.variants[:2] != (PLAIN, CONTROL) or len({*self.variants}) < len(self.variants):
            raise ValueError("variants are plain, its control, then each other once")
        if unfit := {*CEILINGS} & {*self.variants}:
            raise ValueError(f"no module can have the name {min(unfit)!r}")
        if (self.width is not None) != (WIDER in self.variants):
            raise ValueError("width is stated where there is a wider host, and only there")
        if len({*self.seeds}) < len(self.seeds):
            raise ValueError("a seed stands twice")
        if self.last > self.recipe.epochs:
            raise ValueError("last is at most the number of epochs")

    @property
    def modules(self) -> tuple[str, ...]:
        """The attention modules."""
        return tuple(name for name in self.variants[2:] if name != WIDER)

    @property
    def described(self) -> str:
        """The training in one line."""
        recipe = self.recipe
        changed = f" with other {', '.join(recipe.changed)}" if recipe.changed else ""
        placed = "" if self.stages == (1, 2, 3, 4) else f"stages {' '.join(map(str, self.stages))}"
        parts = (
            self.host,
            placed,
            "last blocks" if self.blocks == "last" else "",
            f"at {self.at}" if self.at else "",
            f"in the place of {self.replace}" if self.replace else "",
            f"trained on {self.data.name}, {self.data.train_images:,} images "
            + (
                f"with a shorter side of {self.image_size}"
                if self.task == "detection"
                else f"of {self.image_size}x{self.image_size}"
            ),
            f"recipe {recipe.name}{changed}, {recipe.epochs} epoch{'s' * (recipe.epochs > 1)}, "
            f"batch {recipe.batch_size}",
            "" if self.amp == "float32" else f"autocast {self.amp}",
            "channels last" if self.channels_last else "",
            self.device,
        )
        return ", ".join(filter(None, parts))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Epoch:
    """One epoch of one network: trained, then tested."""

    number: _Epochs
    seconds: Seconds
    learning_rate: Annotated[float, Field(ge=0, le=1e3)]
    """Of its last step."""
    loss: Annotated[float, Field(ge=-1e39, le=1e39)]
    """Mean of the training images; a float32 fits."""
    right: Mapping[str, Figure] = field(default_factory=dict)
    """Test images that were right, by metric: ``top1``, ``top5``."""
    figures: Mapping[str, Share] = field(default_factory=dict)
    """Metrics that count no images: average precisions, from 0 to 1."""
    answers: Annotated[str, Field(pattern="^[0-9a-f]*$")] | None = None
    """Of the epochs that make the figure: which test images were right by the metric, in the data's
    order, eight in two hexadecimal digits, the first one highest."""

    def value(self, training: Training) -> float:
        """Return the training's metric from 0 to 1."""
        name = training.metric
        if name in self.right:
            return self.right[name] / training.data.test_images
        return self.figures[name]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Fault:
    """Why a training ended early. One that is ``final`` would end so again."""

    kind: Literal["loss", "data", "disk", "memory", "code"]
    message: str

    @property
    def final(self) -> bool:
        """Whether the same would happen again: a loss that is no number."""
        return self.kind == "loss"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Entry:
    """A later line: an epoch or a fault of one network and seed, and facts that have changed.

    ``seeds``: all that there are from here on, where more were asked for later.
    """

    variant: _Name | None = None
    seed: _Seed | None = None
    epoch: Epoch | None = None
    error: Fault | None = None
    seeds: tuple[_Seed, ...] | None = None
    environment: Environment = field(default_factory=dict)

    def __post_init__(self) -> None:
        held = (self.epoch, self.error, self.seeds)
        if sum(part is not None for part in held) != 1:
            raise ValueError("a line holds an epoch, an error or seeds")
        if (self.variant is None or self.seed is None) != (self.seeds is not None):
            raise ValueError("an epoch or an error is of one variant and seed")


Key = tuple[str, int]
"""Variant and seed."""


class Trainings:
    """The lines of one file, put together in their order."""

    def __init__(self, training: Training, entries: Sequence[Entry] = ()) -> None:
        self.training = training
        self.seeds = training.seeds
        self.epochs: dict[Key, list[Epoch]] = {}
        self.faults: dict[Key, Fault] = {}
        self.machines = [_machine(training.environment)]
        """Processor and version of torch of the first line, then others that trained an epoch."""
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add a line.

        Raises:
            ValueError: it cannot follow the lines before it.
        """
        plan = self.training
        if entry.seeds is not None:
            if entry.seeds[: len(self.seeds)] != self.seeds:
                raise ValueError("seeds are added behind those that there are")
            self.seeds = entry.seeds
            return
        if entry.variant not in plan.variants or entry.seed not in self.seeds:
            raise ValueError(f"{entry.variant} with seed {entry.seed} is not asked for before")
        assert entry.variant is not None
        assert entry.seed is not None
        key = (entry.variant, entry.seed)
        if entry.error is not None:
            self.faults[key] = entry.error
        machine = _machine(plan.environment | entry.environment)
        if machine not in self.machines:
            self.machines.append(machine)
        if entry.epoch is not None:
            self._add(key, entry.epoch)

    def _add(self, key: Key, epoch: Epoch) -> None:
        plan, variant = self.training, key[0]
        known = self.epochs.setdefault(key, [])
        if epoch.number != len(known) + 1 or epoch.number > plan.recipe.epochs:
            raise ValueError(f"epoch {epoch.number} of {variant} after {len(known)}")
        if plan.metric not in {*epoch.right, *epoch.figures}:
            raise ValueError(f"epoch {epoch.number} of {variant} has no {plan.metric}")
        if any(count > plan.data.test_images for count in epoch.right.values()):
            raise ValueError("more images are right than there are")
        digits = 2 * -(-plan.data.test_images // 8)
        if epoch.answers is not None and len(epoch.answers) != digits:
            raise ValueError(f"answers have {digits} digits, not {len(epoch.answers)}")
        known.append(epoch)
        self.faults.pop(key, None)  # it was resumed

    def by(self, metric: str) -> Trainings:
        """Return the same trainings, with another figure that gains are of."""
        other = copy(self)
        other.training = dataclasses.replace(self.training, metric=metric)
        return other

    def finished(self, variant: str, seed: int) -> bool:
        """Return whether a training has had all of its epochs."""
        return len(self.epochs.get((variant, seed), ())) == self.training.recipe.epochs

    def figure(self, variant: str, seed: int) -> float | None:
        """Return the metric's mean over the last epochs, from 0 to 1; None where it is not done."""
        if not self.finished(variant, seed):
            return None
        last = self.epochs[variant, seed][-self.training.last :]
        return sum(epoch.value(self.training) for epoch in last) / len(last)

    def best(self, variant: str, seed: int) -> float | None:
        """Return the best epoch's metric, which was chosen on the images that it is given for."""
        if not self.finished(variant, seed):
            return None
        return max(epoch.value(self.training) for epoch in self.epochs[variant, seed])


def _machine(environment: Environment) -> str:
    processor = environment.get("gpu") or environment.get("cpu")
    return f"{processor}, torch {environment.get('torch')}"


def as_json(line: Training | Entry) -> dict[str, object]:
    """Return a line without what is empty in it."""
    return {key: value for key, value in asdict(line).items() if value not in (None, {}, ())}
