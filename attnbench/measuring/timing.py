"""From steps to raw seconds: warm-up, then rounds in which every variant runs once.

The clock is an argument, so that the engine also runs on a simulated machine with known costs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import nn

from attnbench.records.schema import Block, Round
from attnbench.system.disturbance import Counters
from attnbench.system.process_settings import MOVE_EVERY


@dataclass(frozen=True)
class Step:
    """Work that is timed: named parts that run in their order, each a call without arguments.

    ``move`` copies the tensors that the work reads to other addresses, where that can be done;
    ``network`` is what computes, if it is one.
    """

    parts: Mapping[str, Callable[[], object]]
    move: Callable[[], None] | None = None
    network: nn.Module | None = None

    def __call__(self) -> object:
        """Run the whole step; return the last part's output."""
        output: object = None
        for part in self.parts.values():
            output = part()
        return output


BLOCK_S = 0.020
"""Least seconds of a block of steps, so that the cost of reading the clock is negligible."""

FILL_CYCLES = 1_000_000

WARM_UP_S = 1.0
WARM_UP_BLOCKS = 3
WARM_UP_LIMIT_S = 10.0
STABLE = 0.98
"""Warm where a block takes more than this share of the fastest before it."""


class Clock(Protocol):
    """Marks in a stream of work, read only when they have passed: a GPU's queue stays full."""

    def fill(self) -> None:
        """Give an idle device something to do while the first steps of a round are issued."""

    def mark(self) -> Any:
        """Mark a point in the stream of work."""

    def seconds(self, start: Any, end: Any) -> float:
        """Return the seconds between two marks; wait until both have passed."""


class CpuClock:
    """Wall time, by a monotonic clock, of work that is done when its call returns."""

    def fill(self) -> None:
        """Do nothing: there is no queue."""

    def mark(self) -> float:
        return perf_counter()

    def seconds(self, start: float, end: float) -> float:
        return end - start


class CudaClock:
    """Events in the current stream: the device's own time between them.

    Where the device is faster than Python issues its work, as with small batches, it waits, and
    that is in the seconds too; a CUDA graph leaves it out.
    """

    def fill(self) -> None:
        """Launch a kernel that spins, for about half a millisecond at 2 GHz."""
        torch.cuda._sleep(FILL_CYCLES)

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3  # of milliseconds


def clock_for(device: str) -> Clock:
    """Return the clock for work on a device."""
    return CudaClock() if device == "cuda" else CpuClock()


def timed(step: Callable[[], object], steps: int, clock: Clock) -> float:
    """Return the seconds of consecutive steps."""
    start = clock.mark()
    for _ in range(steps):
        step()
    return clock.seconds(start, clock.mark())


def warm_up(step: Callable[[], object], clock: Clock) -> int:
    """Run steps until their speed is stable; return how many make a block of BLOCK_S.

    At least WARM_UP_S or WARM_UP_BLOCKS blocks, then on while blocks still get faster, and
    never longer than WARM_UP_LIMIT_S.
    """
    timed(step, 1, clock)  # libraries initialise themselves
    steps, blocks, spent_s, fastest_s = 1, 0, 0.0, float("inf")
    while True:
        block_s = timed(step, steps, clock)
        spent_s += block_s
        if block_s < BLOCK_S:
            steps, blocks, fastest_s = 2 * steps, 0, float("inf")
            continue
        blocks += 1
        warm = spent_s >= WARM_UP_S or blocks >= WARM_UP_BLOCKS
        if (warm and block_s > STABLE * fastest_s) or spent_s >= WARM_UP_LIMIT_S:
            return steps
        fastest_s = min(fastest_s, block_s)


@dataclass
class Rounds:
    """An endless series of rounds over the variants that can still run.

    Every round runs each variant's block once, in a fresh random order, and waits for the
    device once, at its end. Steps move in memory every MOVE_EVERY rounds. ``watch`` is read
    before and after a round; ``busy`` is called when all work is issued, before waiting for it;
    ``begin`` is called with the variant's name before each block, and with None after the last;
    ``inspect`` is called with the variant's name after each block, outside of what is timed, and
    what it raises ends the series without that round.
    A variant whose step raises leaves the series, and its error is in ``failures``.
    """

    steps: dict[str, Step]
    block_steps: Mapping[str, int]
    clock: Clock
    seed: int
    first: int = 0
    watch: Callable[[], Counters] | None = None
    busy: Callable[[], None] | None = None
    inspect: Callable[[str], None] | None = None
    begin: Callable[[str | None], None] | None = None
    failures: dict[str, Exception] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Round]:
        number = self.first
        while self.steps:
            order = list(self.steps)
            # Seeded by the round too: a resumed run does not repeat its first orders.
            Random(f"{self.seed} {number}").shuffle(order)
            if number % MOVE_EVERY == 0 and number > self.first:
                for name in order:
                    if move := self.steps[name].move:
                        move()
            before = self.watch() if self.watch else None
            collects = gc.isenabled()
            gc.disable()  # until the round ends
            try:
                blocks = self._run(order)
            finally:
                if collects:
                    gc.enable()
            disturbance = self.watch() - before if self.watch and before else None
            if blocks:
                yield Round(number=number, blocks=blocks, disturbance=disturbance)
            number += 1

    def _run(self, order: list[str]) -> tuple[Block, ...]:
        marks: dict[str, list[Any]] = {}
        self.clock.fill()
        for name in order:
            if self.begin:
                self.begin(name)
            try:
                marks[name] = self._marked(self.steps[name], self.block_steps[name])
            except Exception as error:  # of any kind: it ends this variant only
                error.__cause__ = error.__context__ = None  # their frames hold tensors
                self.failures[name] = error.with_traceback(None)
            gc.disable()  # again, where the step has enabled it
            if self.inspect:
                self.inspect(name)
        if self.begin:
            self.begin(None)
        for name in self.failures:
            self.steps.pop(name, None)  # it may hold tensors of what it could not finish
        if self.busy:
            self.busy()
        return tuple(self._block(name, marked) for name, marked in marks.items())

    def _marked(self, step: Step, steps: int) -> list[Any]:
        """Run a block; return the marks around it, and between parts where there are several."""
        marks = [self.clock.mark()]
        if len(step.parts) == 1:
            for _ in range(steps):
                step()
            return [*marks, self.clock.mark()]
        for _ in range(steps):
            for part in step.parts.values():
                part()
                marks.append(self.clock.mark())
        return marks

    def _block(self, name: str, marks: list[Any]) -> Block:
        seconds = self.clock.seconds(marks[0], marks[-1])
        parts, steps = list(self.steps[name].parts), self.block_steps[name]
        if len(parts) == 1:
            return Block(variant=name, steps=steps, seconds=seconds)
        sums = dict.fromkeys(parts, 0.0)
        for number, (start, end) in enumerate(pairwise(marks)):
            sums[parts[number % len(parts)]] += self.clock.seconds(start, end)
        return Block(variant=name, steps=steps, seconds=seconds, parts=sums)
