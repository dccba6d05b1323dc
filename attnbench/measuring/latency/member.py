"""A run in the process that times it, and what times it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from attnbench.devices.device_time import Ahead
from attnbench.hosts.values.initial import Drawn
from attnbench.measuring import timing
from attnbench.measuring.events import Event
from attnbench.measuring.guard import Guard
from attnbench.measuring.processes.share import Share
from attnbench.records.run import Run
from attnbench.records.schema import Environment
from attnbench.system import disturbance
from attnbench.system.busy import Others


@dataclass
class Member:
    """A run with the variants that are ready for this process's share of its rounds."""

    position: int
    run: Run
    steps: dict[str, timing.Step] = field(default_factory=dict)
    block_steps: dict[str, int] = field(default_factory=dict)
    ahead: dict[str, Ahead] = field(default_factory=dict)
    process_facts: Environment = field(default_factory=dict)
    """What is recorded with its first round."""

    def __post_init__(self) -> None:
        self.share = Share(self.run)

    def key(self, variant: str) -> str:
        """Return the name of a variant among those of all runs: no two have a runtime in common."""
        return f"{self.run.case.runtime} {variant}"


@dataclass(frozen=True)
class Machine:
    """What times, and what looks at the machine meanwhile; simulated in tests."""

    clock: timing.Clock
    look: Callable[[], disturbance.Counters]
    others: Others
    guard: Guard
    drawn: Drawn = field(default_factory=dict)
    """The host as its initial values were drawn, while networks are built."""


Told = Iterator[tuple[Member, Event]]
