"""The lines of ``records.jsonl``: what was measured, on what, raw.

A file of records is the only thing that passes from whoever measures to whoever shows.
Quantities are stored in base units (bytes, seconds, single operations) and never rounded.
``reports/README.md`` explains every field. A change of meaning raises :data:`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from attnbench.records import image_size as sizes
from attnbench.records.image_size import Size
from attnbench.records.variants import BASELINES, STAGES

SCHEMA = 3
"""What is written."""

READABLE = (2, SCHEMA)
"""What is read: a line of schema 2 is one in which no field that came later is stated."""

GRID = ("mode", "dtype", "batch_size", "image_size", "compiled")
"""The fields of a case of which a grid has every combination."""

LARGEST = 2**63
LONGEST_S = 1e9

Shape = tuple[int, ...]

Environment = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """The configuration that all variants of a run share."""

    host: str
    batch_size: int
    image_size: Size
    """Of a square image its side, else (height, width)."""
    dtype: Literal["float32", "bfloat16", "float16"]
    channels_last: bool
    mode: Literal["inference", "training"]
    compiled: bool = False
    cuda_graph: bool = False
    isolated: bool = False
    stages: tuple[int, ...] = STAGES
    """Of the host, 1 to 4: those that carry the module."""
    blocks: Literal["all", "last"] = "all"
    """Of each of these stages."""
    device: Literal["cpu", "cuda"]
    threads: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what no run can have."""
        if min(self.batch_size, *sizes.sides(self.image_size), self.threads) < 1:
            raise ValueError("batch_size, image_size and threads are at least 1")
        if sizes.of(*sizes.sides(self.image_size)) != self.image_size:
            raise ValueError("image_size is a single number where the image is square")

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(batch, channels, height, width) of one step's images."""
        return (self.batch_size, 3, *sizes.sides(self.image_size))

    @property
    def everywhere(self) -> bool:
        """Whether every block carries the module, as in all networks that papers speak of."""
        return self.stages == STAGES and self.blocks == "all"

    @property
    def placed(self) -> str:
        """Which blocks carry the module: ``stages 3 4, last blocks``; empty where all do."""
        words = [
            "" if self.stages == STAGES else f"stages {' '.join(map(str, self.stages))}",
            "last blocks" if self.blocks == "last" else "",
        ]
        return ", ".join(filter(None, words))

    @property
    def described(self) -> str:
        """The configuration in one line."""
        words = [
            f"modules alone at their sizes in {self.host}" if self.isolated else self.host,
            self.mode,
            f"batch {self.batch_size}",
            sizes.written(self.image_size),
            self.dtype,
            "channels last" if self.channels_last else "",
            "compiled" if self.compiled else "",
            "CUDA graphs" if self.cuda_graph else "",
            self.placed,
            self.device,
        ]
        return ", ".join(filter(None, words))


@dataclass(frozen=True, kw_only=True)
class Count:
    """One network under one rule of counting, for one image.

    ``None`` where the rule does not speak of the quantity. ``not_counted`` gives the operators
    that ran and were left at zero, with the number of times that each ran. ``details`` splits
    the figure by name, ``parts`` does so for parts of the network. ``computed``: why the forward
    was run with data, one pass on the CPU with the seed's input; None where shapes sufficed.
    """

    params: int | None = None
    operations: int | None = None
    not_counted: Mapping[str, int] | None = None
    details: Mapping[str, int] | None = None
    parts: Mapping[str, Mapping[str, int]] | None = None
    computed: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no network has."""
        figures = [self.params, self.operations, *(self.details or {}).values()]
        if any(figure is not None and not 0 <= figure < LARGEST for figure in figures):
            raise ValueError("a count is at least 0 and below 2**63")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The first line of a run: which variants, and when the rounds stop."""

    kind: Literal["plan"] = "plan"
    variants: tuple[str, ...]
    budget_s: float
    target: float
    sources: Mapping[str, str] = field(default_factory=dict)
    """For each module that is not the suite's own, what tells its code from any other."""

    def __post_init__(self) -> None:
        """Refuse a run without its baseline."""
        if self.variants[:2] not in BASELINES or len(set(self.variants)) < len(self.variants):
            raise ValueError("a plan names the baseline, its control, then each module once")

    @property
    def baseline(self) -> str:
        """What the others are compared with."""
        return self.variants[0]

    @property
    def control(self) -> str:
        """The baseline under its other name."""
        return self.variants[1]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What every rule says of one variant; with its input's shape where a module runs alone."""

    kind: Literal["counts"] = "counts"
    rules: Mapping[str, Count]
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """One warmed-up step of one variant, alone in its process: before it, and at its peak.

    ``peak_live_bytes`` is what the step creates and holds at once, deterministic (see
    ``attnbench.measuring.memory``). The others are what the device saw, with everything that was
    there before: resident size on a CPU; on CUDA allocated (to tensors, and to what libraries take
    within an operator) and reserved by the allocator.
    ``None`` where the device has no such figure.
    """

    kind: Literal["memory"] = "memory"
    peak_live_bytes: int
    resident_bytes: int | None = None
    peak_resident_bytes: int | None = None
    allocated_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    peak_reserved_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What one variant took to its first answer: built and compiled, in seconds of wall time."""

    kind: Literal["compiled"] = "compiled"
    seconds: float

    def __post_init__(self) -> None:
        """Refuse what no clock gives."""
        if not 0 < self.seconds < LONGEST_S:
            raise ValueError("compiling takes a positive time")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Consecutive steps of one variant within a round, and the seconds they took together.

    ``parts`` splits the seconds of training steps: forward, backward, optimizer.
    """

    variant: str
    steps: int
    seconds: float
    parts: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Refuse what no clock gives."""
        taken = (self.seconds, *(self.parts or {}).values())
        if self.steps < 1 or not all(0 < seconds < LONGEST_S for seconds in taken):
            raise ValueError("a block has at least one step and takes a positive time")


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What kept the machine from a round's work, in seconds; None where it cannot be known.

    ``asleep_s``: the machine was suspended. ``waited_s``: threads of this process that could
    have run had no core (summed over threads). ``stolen_s``: the hypervisor gave cores to others
    (summed over cores). ``elapsed_s`` is the round's length by a clock that goes on in sleep.
    """

    elapsed_s: float
    asleep_s: float | None = None
    waited_s: float | None = None
    stolen_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Round:
    """Every variant once, in the order in which they ran."""

    kind: Literal["round"] = "round"
    number: int
    blocks: tuple[Block, ...]
    disturbance: Disturbance | None = None

    @property
    def seconds(self) -> float:
        """What the whole round took."""
        return sum(block.seconds for block in self.blocks)


@dataclass(frozen=True, kw_only=True)
class End:
    """The last line of a finished run: why the rounds stopped; ``message`` says what failed."""

    kind: Literal["end"] = "end"
    reason: Literal["target", "budget", "failed"]
    rounds: int
    message: str | None = None


FailedStep = Literal["counts", "memory", "latency"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a variant has no result, or no further ones."""

    step: FailedStep
    type: str
    message: str


Results = Annotated[Plan | Counts | Memory | Compiled | Round | End, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line. ``variant`` is None where the line speaks of all of them."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    """A field that nobody here knows, of a line or within it, could mean anything."""

    schema: int = SCHEMA
    case: Case
    variant: str | None = None
    results: Results | None = None
    environment: Environment
    error: Failure | None = None

    def __post_init__(self) -> None:
        """Refuse a line that says nothing or contradicts itself."""
        if (self.results is None) == (self.error is None):
            raise ValueError("a record has either results or an error")

    def as_json(self) -> dict[str, Any]:
        """The line as plain data."""
        return asdict(self)


LIMITS = {
    "batch_size": (1, 2**20),
    "image_size": (1, 2**16),  # each side
    "threads": (1, 2**12),
    "seed": (0, 2**63 - 1),
}
