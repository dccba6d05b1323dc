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

from attnbench.records import image_size as sizes
from attnbench.records.image_size import Size
from attnbench.records.variants import BASELINES, STAGES

SCHEMA = 4

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

    None where the rule does not define the quantity. ``not_counted``: operators that ran and were
    counted as zero, with the number of their calls. ``details`` splits the figure by name,
    ``parts`` does so for parts of the network.
    """

    params: int | None = None
    operations: int | None = None
    not_counted: Mapping[str, int] | None = None
    details: Mapping[str, int] | None = None
    parts: Mapping[str, Mapping[str, int]] | None = None

    def __post_init__(self) -> None:
        """Refuse counts that no network has."""
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
    """For each custom module the digest of its file, or its package's version."""

    def __post_init__(self) -> None:
        """Refuse a run without its baseline."""
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
        """Refuse times that no clock gives."""
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
        """Refuse times that no clock gives."""
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
    """A line after the first: what it adds to that.

    ``variant`` is None where the line is about all of them. ``environment`` has the facts that
    differ from the first line's.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    """Refuse unknown fields, at the top level and nested: they could change what figures mean."""

    variant: str | None = None
    results: Results | None = None
    environment: Environment = field(default_factory=dict)
    error: Failure | None = None

    def __post_init__(self) -> None:
        """Refuse a line that says nothing or contradicts itself."""
        if (self.results is None) == (self.error is None):
            raise ValueError("a record has either results or an error")

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain data, without its fields that are None."""
        return asdict(self, dict_factory=lambda items: {k: v for k, v in items if v is not None})


@dataclass(frozen=True, kw_only=True)
class Record(Entry):
    """One result with all that it was measured on; stored whole as the first line of a file."""

    schema: int = SCHEMA
    case: Case
    environment: Environment

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain data, its schema and case first."""
        data = super().as_json()
        return {key: data.pop(key) for key in ("schema", "case")} | data


LIMITS = {
    "batch_size": (1, 2**20),
    "image_size": (1, 2**16),  # each side
    "threads": (1, 2**12),
    "seed": (0, 2**63 - 1),
}
