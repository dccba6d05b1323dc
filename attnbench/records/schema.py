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

from attnbench.records.case import Case as Case
from attnbench.records.variants import BASELINES

SCHEMA = 3
"""What is written."""

READABLE = (2, SCHEMA)
"""What is read: a line of schema 2 is one in which no field that came later is stated."""

LARGEST = 2**63
LONGEST_S = 1e9

Shape = tuple[int, ...]

Environment = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Count:
    """One network under one rule of counting, for one image.

    ``None`` where the rule does not speak of the quantity. ``not_counted`` gives the operators
    that ran and were left at zero, with the number of times that each ran. ``details`` splits
    the figure by name, ``parts`` does so for parts of the network.
    """

    params: int | None = None
    operations: int | None = None
    not_counted: Mapping[str, int] | None = None
    details: Mapping[str, int] | None = None
    parts: Mapping[str, Mapping[str, int]] | None = None

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
