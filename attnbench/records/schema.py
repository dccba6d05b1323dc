"""The lines of ``records.jsonl``: raw results, and what they were measured on.

The file is the only interface between measuring and reporting. Quantities are in base units (bytes,
seconds, single operations) and never rounded. ``reports/README.md`` explains every field. A change
of meaning raises :data:`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from attnbench.records.case import Case as Case
from attnbench.records.variants import BASELINES

SCHEMA = 4
LONGEST_S = 1e9

Shape = tuple[int, ...]
Environment = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Count:
    """One network under one rule of counting, for one image.

    None where the rule does not define the quantity. ``not_counted``: operators that ran and were
    counted as zero, with the number of their calls. ``details`` splits the figure by name,
    ``parts`` does so for parts of the network. ``computed``: why the forward was run with data,
    one pass on the CPU with the seed's input; None where shapes sufficed.
    """

    params: int | None = None
    operations: int | None = None
    not_counted: Mapping[str, int] | None = None
    details: Mapping[str, int] | None = None
    parts: Mapping[str, Mapping[str, int]] | None = None
    computed: str | None = None

    def __post_init__(self) -> None:
        figures = [self.params, self.operations, *(self.details or {}).values()]
        if any(figure is not None and not 0 <= figure < 2**63 for figure in figures):
            raise ValueError("a count is at least 0 and below 2**63")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The first line of a run: which variants, and when the rounds stop."""

    kind: Literal["plan"] = "plan"
    variants: tuple[str, ...]
    budget_s: float
    target: float
    sources: Mapping[str, str] = field(default_factory=dict)
    """For each custom module the digest of its file, or its package's version."""

    def __post_init__(self) -> None:
        if self.variants[:2] not in BASELINES or len(set(self.variants)) < len(self.variants):
            raise ValueError("a plan names the baseline, its control, then each module once")

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.variants[0]

    @property
    def control(self) -> str:
        """The baseline a second time, under another name."""
        return self.variants[1]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts of one variant by rule; ``shape`` is its input's where a module runs alone."""

    kind: Literal["counts"] = "counts"
    rules: Mapping[str, Count]
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes before one warmed-up step of one variant, alone in its process, and at its peak.

    ``peak_live_bytes`` is what the step creates and holds at once, deterministic (see
    ``attnbench.measuring.memory``). The others include everything that was there before: resident
    size on a CPU; on CUDA allocated (to tensors, and to libraries within an operator) and reserved
    by the allocator. None where the device has no such figure.
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
    """Wall time in which one variant was built, compiled and gave its first output."""

    kind: Literal["compiled"] = "compiled"
    seconds: float

    def __post_init__(self) -> None:
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
        taken = (self.seconds, *(self.parts or {}).values())
        if self.steps < 1 or not all(0 < seconds < LONGEST_S for seconds in taken):
            raise ValueError("a block has at least one step and takes a positive time")


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What kept the machine from a round's work, in seconds; None where the system has no counter.

    ``asleep_s``: the machine was suspended. ``waited_s``: runnable threads of this process had no
    core (summed over threads). ``stolen_s``: steal time of the hypervisor (summed over cores).
    ``elapsed_s``: the round's length by a clock that also runs while the machine is suspended.
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
        """Seconds of all blocks together."""
        return sum(block.seconds for block in self.blocks)


@dataclass(frozen=True, kw_only=True)
class End:
    """The last line of a finished run: why the rounds stopped, and the ``message`` of a failure."""

    kind: Literal["end"] = "end"
    reason: Literal["target", "budget", "failed"]
    rounds: int
    message: str | None = None


FailedStep = Literal["counts", "memory", "latency"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The error that left a variant without results, or without further ones."""

    step: FailedStep
    type: str
    message: str


Results = Annotated[Plan | Counts | Memory | Compiled | Round | End, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line after the first: what it adds, and the facts of the environment that differ there.

    ``variant`` is None where the line is about all of them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    """Refuse unknown fields, at the top level and nested: they could change what figures mean."""

    variant: str | None = None
    results: Results | None = None
    environment: Environment = field(default_factory=dict)
    error: Failure | None = None

    def __post_init__(self) -> None:
        if (self.results is None) == (self.error is None):
            raise ValueError("a record has either results or an error")


@dataclass(frozen=True, kw_only=True)
class Record(Entry):
    """One result with all that it was measured on; stored whole as the first line of a file."""

    schema: int = SCHEMA
    case: Case
    environment: Environment

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain data: schema and case first, no fields that are None."""
        data = asdict(self, dict_factory=lambda items: {k: v for k, v in items if v is not None})
        return {key: data.pop(key) for key in ("schema", "case")} | data
