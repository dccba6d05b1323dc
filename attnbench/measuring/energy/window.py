"""One window: steps of one variant for some seconds, between two readings of a counter of energy.

Everything comes as an argument, so that windows also run on a simulated device with a known power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum
from threading import Event, Lock, Thread
from time import perf_counter

from attnbench.devices.clocks import Clock
from attnbench.devices.energy.counter import Counter
from attnbench.records.results.energy import LEAST_WINDOW_S, Window

LEAD_S = 1.0
"""Steps of the same variant before a window, so that power and its sensor, of which some show the
mean of a second, are the variant's own when it begins."""

SAMPLE_EVERY_S = 0.1
"""Between two readings within a window, of power and so that no counter wraps around unseen."""

CHUNK_S = 0.25
"""Seconds of steps between two looks at the clock, for which the device is waited for."""


class StillError(RuntimeError):
    """A counter of energy stood still, or went back, while the device worked."""


@dataclass
class Trace:
    """What a counter and a sensor of power showed at some moments, by a clock."""

    counter: Counter
    now: Callable[[], float] = perf_counter
    times_s: list[float] = field(default_factory=list)
    joules: list[dict[str, float]] = field(default_factory=list)
    powers_w: list[float | None] = field(default_factory=list)
    ended: bool = False
    _lock: Lock = field(default_factory=Lock)

    def look(self, *, last: bool = False) -> None:
        """Read both now; nothing is read after the last look."""
        with self._lock:
            if self.ended:
                return
            self.ended = last
            self.joules.append(dict(self.counter.read_j()))
            self.times_s.append(self.now())
            self.powers_w.append(self.counter.power_w())

    @property
    def seconds(self) -> float:
        """From the first look to the last."""
        return self.times_s[-1] - self.times_s[0]

    def spent_j(self) -> dict[str, float]:
        """Return the joules of each domain from the first look to the last.

        Raises:
            StillError: a counter shows none.
        """
        spent = {name: end - self.joules[0][name] for name, end in self.joules[-1].items()}
        if still := [name for name, joules in spent.items() if joules <= 0]:
            raise StillError(
                f"the counter of energy of {', '.join(still)} stood still for {self.seconds:.1f} s "
                "while the device worked: it tells nothing"
            )
        return spent

    def power_j(self) -> float | None:
        """Return the integral of the power over the same time; None where a sensor is silent."""
        known = [power for power in self.powers_w if power is not None]
        if len(known) < len(self.powers_w):
            return None
        steps_s = [end - start for start, end in pairwise(self.times_s)]
        means_w = [(one + other) / 2 for one, other in pairwise(known)]
        return fsum(s * w for s, w in zip(steps_s, means_w, strict=True)) or None


@contextmanager
def sampled(trace: Trace) -> Iterator[None]:
    """Look ten times a second from a thread of its own, until the body ends."""
    over = Event()

    def look_on() -> None:
        while not over.wait(SAMPLE_EVERY_S):
            trace.look()

    thread = Thread(target=look_on, name="energy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


Sampling = Callable[[Trace], AbstractContextManager[None]]


@dataclass(frozen=True)
class Meter:
    """A counter, the clock that it is read by, and what reads it within a window."""

    counter: Counter
    now: Callable[[], float] = perf_counter
    sampling: Sampling = sampled


def measure(  # noqa: PLR0913, PLR0917  what a window is made of
    variant: str,
    step: Callable[[], object],
    chunk: int,
    clock: Clock,
    meter: Meter,
    window_s: float = LEAST_WINDOW_S,
) -> Window:
    """Run steps for a second, then for as long as a window lasts, and return its energy.

    ``chunk`` steps run between two looks at the clock.

    Raises:
        ValueError: a window that is too short for a counter.
        StillError: the counter stood still.
    """
    if window_s < LEAST_WINDOW_S:
        raise ValueError(f"a window of energy lasts at least {LEAST_WINDOW_S:g} s, not {window_s}")
    _run(step, chunk, clock, meter.now, LEAD_S)
    trace = Trace(meter.counter, meter.now)
    trace.look()
    with meter.sampling(trace):
        steps = _run(step, chunk, clock, meter.now, window_s)
        trace.look(last=True)
    return Window(
        variant=variant,
        steps=steps,
        seconds=trace.seconds,
        joules=trace.spent_j(),
        power_j=trace.power_j(),
    )


def _run(
    step: Callable[[], object], chunk: int, clock: Clock, now: Callable[[], float], least_s: float
) -> int:
    """Run chunks of steps until those seconds are over and the device is done; count the steps."""
    clock.synchronize()
    steps, begun = 0, now()
    while now() - begun < least_s:
        for _ in range(chunk):
            step()
        clock.synchronize()
        steps += chunk
    return steps
