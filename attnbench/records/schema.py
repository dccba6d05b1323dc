"""The lines of ``records.jsonl``: raw results, and what they were measured on.

The file is the only interface between measuring and reporting. Quantities are in base units (bytes,
seconds, single operations) and never rounded. ``reports/README.md`` explains every field. A change
of meaning raises :data:`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from math import fsum, isclose
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from attnbench.records.bounds import (
    STRICT,
    Bytes,
    Figure,
    InputShape,
    Lost,
    Names,
    Number,
    Processes,
    Seconds,
    Sha256,
    Share,
    Spent,
    Steps,
    Target,
)
from attnbench.records.bounds import Environment as Environment
from attnbench.records.case import Case as Case
from attnbench.records.results.energy import EnergyRound as EnergyRound
from attnbench.records.results.energy import EnergyRounds
from attnbench.records.results.energy import Window as Window
from attnbench.records.variants import PLAIN, is_ceiling, piece

SCHEMA = 5

OLDEST = 4
"""Read too: later schemas have further fields, each with a default that says what was."""

Shape = tuple[int, ...]

FEWEST_ROUNDS = 6
"""Of fewer there is no 95% interval of a median."""

PEAK = "peak_live_bytes"
OF_CEILINGS = {"macs", "bytes_read", "bytes_written", "kernels"}
OF_NETWORKS = OF_CEILINGS | {"elementwise", "reductions", PEAK}
"""The details of rules that count every operator, whose names begin with ``executed``."""

SAME_SUM = 1e-12
"""Relative: profilers count nanoseconds, and a step takes less than minutes."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Count:
    """One network under one rule of counting, for one image.

    None where the rule does not define the quantity; one of the two it does. ``not_counted``:
    operators that ran and were counted as zero, with the number of their calls. ``details`` splits
    the figure by name, ``parts`` does so for parts of the network. ``computed``: why the forward
    was run with data, one pass on the CPU with the seed's input; None where shapes sufficed.
    """

    params: Figure | None = None
    operations: Figure | None = None
    not_counted: Mapping[str, Figure] | None = None
    details: Mapping[str, Figure] | None = None
    parts: Mapping[str, Mapping[str, Figure]] | None = None
    computed: str | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not split ``details``; peaks are no sums."""
        if not self.parts or self.details is None:
            return
        for name, part in self.parts.items():
            if odd := part.keys() ^ self.details.keys():
                raise ValueError(f"{min(odd)!r} is in its details or in its part {name!r} alone")
        for key, total in self.details.items():
            if key != PEAK and total != sum(part[key] for part in self.parts.values()):
                raise ValueError(f"the {key} of its parts are not those of its details")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Plan:
    """The first line of a run: which variants, and when the rounds stop."""

    kind: Literal["plan"] = "plan"
    variants: Names
    budget_s: Seconds
    target: Target
    sources: Mapping[str, str] = field(default_factory=dict)
    """For each custom module the digest of its file, or its package's version; under ``plain`` that
    of a custom host."""
    processes: Processes = 1
    """Fresh processes, one after the other, over which the rounds are spread at least."""
    sites: Mapping[str, Figure] = field(default_factory=dict)
    """At how many sites of the host each module stands; empty of runs that did not record it."""
    energy_rounds: EnergyRounds = 0
    """Rounds of windows in which energy is measured, apart from the timed ones."""

    def __post_init__(self) -> None:
        """Refuse the source of a module that is not in the plan."""
        pieces = map(piece, self.variants)
        modules = {PLAIN, *self.variants, *(known.module for known in pieces if known)}
        if unknown := self.sources.keys() - modules:
            raise ValueError(f"sources name {min(unknown)!r}, which is not in the plan")

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.variants[0]

    @property
    def control(self) -> str:
        """The baseline a second time, under another name."""
        return self.variants[1]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Counts:
    """The counts of one variant by rule; ``shape`` is its input's where a module runs alone."""

    kind: Literal["counts"] = "counts"
    rules: Mapping[str, Count]
    shape: InputShape | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that has counted nothing, or not what it counts."""
        for rule, count in self.rules.items():
            if count.params is None and count.operations is None:
                raise ValueError(f"{rule!r} counts params, operations or both, not neither")
            if count.details is None or not rule.startswith("executed"):
                continue
            names = {*count.details}
            if names not in (OF_NETWORKS, OF_CEILINGS):
                raise ValueError(
                    f"the details of {rule!r} lack or add {min(names ^ OF_NETWORKS)!r}"
                )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Memory:
    """Bytes before one warmed-up step of one variant, alone in its process, and at its peak.

    ``peak_live_bytes`` is what the step creates and holds at once, deterministic (see
    ``attnbench.measuring.memory``). The others include everything that was there before: resident
    size on a CPU; on CUDA allocated (to tensors, and to libraries within an operator) and reserved
    by the allocator. None where the device has no such figure.
    """

    kind: Literal["memory"] = "memory"
    peak_live_bytes: Bytes
    resident_bytes: Bytes | None = None
    peak_resident_bytes: Bytes | None = None
    allocated_bytes: Bytes | None = None
    peak_allocated_bytes: Bytes | None = None
    reserved_bytes: Bytes | None = None
    peak_reserved_bytes: Bytes | None = None
    graph_pool_bytes: Bytes | None = None
    """What a captured step keeps in its own pool, beside the others, which are the eager step's."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Compiled:
    """Wall time in which one variant was built, compiled and gave its first output."""

    kind: Literal["compiled"] = "compiled"
    seconds: Seconds


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Export:
    """The file that a runtime executes in place of one variant, and what the runtime made of it.

    ``seconds`` of the export, None where the file was there; ``load_s`` until it could run.
    ``operators`` by type, after the runtime's own optimisation, ``nodes`` of them in all; None of
    records before attnbench stored it. ``relative_error``: the largest
    difference to the outputs of eager PyTorch in float32, as a share of the largest of these; it is
    at most ``bound``. ``settings`` as the runtime states them.
    """

    kind: Literal["export"] = "export"
    file: str
    sha256: Sha256
    bytes: Bytes
    seconds: Seconds | None = None
    load_s: Seconds
    operators: Mapping[str, Figure]
    nodes: Figure | None = None
    relative_error: Share
    bound: Share
    settings: Environment = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.relative_error > self.bound:
            raise ValueError("relative_error is at most bound: what differs by more is a failure")
        if self.nodes not in {None, sum(self.operators.values())}:
            raise ValueError(f"nodes are those of operators, {sum(self.operators.values())}")


BETWEEN_OPERATORS = "between operators"
"""Stands for an operator: the rest of a module's own time, in Python and in torch's calls."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Profile:
    """The seconds of one step by part of the network and operator, as a profiler saw them.

    Part as in the counts of the rule ``executed`` (``layer1 attention``), then operator, with the
    seconds of all its calls that lie in no other operator. ``steps`` were profiled, and those
    between the quartiles averaged. ``host_s`` and ``attention_s`` are those of each step, and
    ``plain_s`` those of the plain host's steps, which alternated with these; empty for itself.
    A profiler slows what it watches: these are shares, no latency.
    """

    kind: Literal["profile"] = "profile"
    steps: Steps
    seconds: Mapping[str, Mapping[str, Spent]]
    host_s: tuple[Spent, ...]
    attention_s: tuple[Spent, ...]
    plain_s: tuple[Seconds, ...] = ()
    total_s: Seconds | None = None
    """The sum of ``seconds``, without which a lost one would be silent; None of older records."""

    def __post_init__(self) -> None:
        """Refuse a step that took no time, of which nothing has a share, and a sum that is none."""
        spent_s = fsum(spent for part in self.seconds.values() for spent in part.values())
        if spent_s <= 0:
            raise ValueError("seconds of a profile are above 0 for an operator at least")
        if self.total_s is not None and not isclose(spent_s, self.total_s, rel_tol=SAME_SUM):
            raise ValueError(f"seconds of a profile add up to {spent_s:g}, not to total_s")
        known = [self.host_s, self.attention_s, *([self.plain_s] if self.plain_s else [])]
        if any(len(seconds) != self.steps for seconds in known):
            raise ValueError("host_s, attention_s and plain_s have a figure for each step")


def _require_each(each_s: tuple[float, ...] | None, steps: int) -> None:
    if each_s is not None and len(each_s) != steps:
        raise ValueError(f"each_s has a figure for each of {steps} steps, not {len(each_s)}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DeviceTime:
    """The seconds that a device itself took for consecutive steps, which all lay in its queue.

    They were issued while it was busy with a spin of about ``spin_s``, which outlasted issuing.
    ``each_s`` splits the seconds by step, as in a block.
    """

    steps: Steps
    seconds: Seconds
    spin_s: Seconds
    each_s: tuple[Seconds, ...] | None = None

    def __post_init__(self) -> None:
        _require_each(self.each_s, self.steps)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Block:
    """Consecutive steps of one variant within a round, and the seconds they took together.

    ``parts`` splits the seconds of training steps: forward, backward, optimizer. ``each_s`` splits
    them by step, where there are several; None where that was not taken. Where a device
    executes behind the host, ``issued_s`` are the seconds in which the host issued the steps, to an
    idle device, and ``device`` the device's own time, of other steps of the same round; None where
    it could not be taken.
    """

    variant: str
    steps: Steps
    seconds: Seconds
    parts: Mapping[str, Seconds] | None = None
    issued_s: Seconds | None = None
    device: DeviceTime | None = None
    each_s: tuple[Seconds, ...] | None = None

    def __post_init__(self) -> None:
        _require_each(self.each_s, self.steps)

    @property
    def spent_s(self) -> float:
        """All seconds that the variant took in the round: its steps, spin and device time."""
        return self.seconds + (self.device.seconds + self.device.spin_s if self.device else 0.0)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Disturbance:
    """What kept the machine from a round's work, in seconds; None where the system has no counter.

    ``asleep_s``: the machine was suspended. ``waited_s``: runnable threads of this process had no
    core (summed over threads). ``stolen_s``: steal time of the hypervisor (summed over cores).
    ``elapsed_s``: the round's length by a clock that also runs while the machine is suspended.
    ``others_s``: other programs ran on the run's cores (summed over cores, beyond those that the
    run leaves free).
    """

    elapsed_s: Lost
    asleep_s: Lost | None = None
    waited_s: Lost | None = None
    stolen_s: Lost | None = None
    others_s: Lost | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Round:
    """Every variant once, in the order in which they ran, but those that sit out.

    ``process``: which of the run's processes it ran in, from 0. ``sits_out``: the modules that did
    not run because they had the rounds that they need; None where there were none.
    ``witness``: the baseline's block, right after the round, in a process without custom modules.
    ``shared``: another process of this suite measured, trained or evaluated on the same device, or
    trained on a GPU of the same machine, as far as was seen when the round had ended. ``held_s``:
    for how long it was held back before it began, as other programs used the run's cores.
    ``together``: a name that the rounds of other runs have which ran in the same one, with other
    runtimes; None where there were none.
    """

    kind: Literal["round"] = "round"
    number: Number
    blocks: tuple[Block, ...]
    disturbance: Disturbance | None = None
    process: Number = 0
    sits_out: tuple[str, ...] | None = None
    witness: Block | None = None
    shared: bool = False
    held_s: Lost = 0.0
    together: str | None = None

    @property
    def seconds(self) -> float:
        """Seconds of all blocks together."""
        return sum(block.spent_s for block in self.blocks)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class End:
    """The last line of a finished run: why the rounds stopped, and the ``message`` of a failure."""

    kind: Literal["end"] = "end"
    reason: Literal["target", "budget", "failed"]
    rounds: Number
    message: str | None = None

    def __post_init__(self) -> None:
        """Refuse a target that so few rounds cannot have reached."""
        if self.reason == "target" and self.rounds < FEWEST_ROUNDS:
            raise ValueError(
                f"reason target after {self.rounds} rounds: fewer than {FEWEST_ROUNDS} have no "
                "interval that could be narrow enough"
            )


FailedStep = Literal["counts", "export", "memory", "profile", "energy", "latency", "device time"]
"""A variant whose ``device time`` failed has the times of its issued steps all the same."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Failure:
    """The error that left a variant without results, or without further ones."""

    step: FailedStep
    type: str
    message: str


Results = Annotated[
    Plan | Counts | Export | Memory | Profile | Compiled | EnergyRound | Round | End,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Entry:
    """A line after the first: what it adds, and the facts of the environment that differ there.

    ``variant`` is None where the line is about all of them.
    """

    variant: str | None = None
    results: Results | None = None
    environment: Environment = field(default_factory=dict)
    error: Failure | None = None

    def __post_init__(self) -> None:
        if (self.results is None) == (self.error is None):
            raise ValueError("a record has either results or an error")
        of_all = isinstance(self.results, Plan | EnergyRound | Round | End)
        if of_all != (self.variant is None):
            what = self.results.kind if self.results else "error"
            raise ValueError(f"a line with {what} {'has no' if of_all else 'names a'} variant")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Record(Entry):
    """One result with all that it was measured on; stored whole as the first line of a file."""

    schema: int = SCHEMA
    case: Case
    environment: Environment

    def __post_init__(self) -> None:
        super().__post_init__()
        plan = self.results if isinstance(self.results, Plan) else None
        if plan and self.case.isolated != is_ceiling(plan.baseline):
            raise ValueError("results.variants are those of an isolated run, or case.isolated is")

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain data: schema and case first, no fields that are None."""
        data = asdict(self, dict_factory=lambda items: {k: v for k, v in items if v is not None})
        return {key: data.pop(key) for key in ("schema", "case")} | data
