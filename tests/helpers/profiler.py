"""What a CPU really runs and allocates, by PyTorch's profiler: no dispatch mode is in its way."""

from collections.abc import Callable
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class Profile:
    operators: set[str]
    """Every operator that ran, those within others too, as ``aten.add``."""

    peak: int
    """The most bytes alive at once of what was allocated meanwhile."""


def profiled(function: Callable[[], object]) -> Profile:
    """Run a function on the CPU and return what ran; what it returns stays alive until then."""
    # One cycle: torch 2.11 warns that without acc_events only the last one's events are kept.
    cpu = [ProfilerActivity.CPU]
    with profile(activities=cpu, profile_memory=True, acc_events=True) as recorded:
        kept = function()
    events = recorded.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    alive = [sum(changes[: number + 1]) for number in range(len(changes))]
    names = {event.name().replace("::", ".") for event in events}
    del kept
    return Profile({name for name in names if name.startswith("aten.")}, max(alive, default=0))
