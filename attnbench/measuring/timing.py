"""From steps to raw seconds: warm-up, then rounds in which every variant runs once.

The clock is an argument, so that the engine also runs on a simulated machine with known costs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from torch import nn

from attnbench.devices import device_time
from attnbench.devices.clocks import Clock as Clock
from attnbench.devices.clocks import CpuClock as CpuClock
from attnbench.devices.cuda import CudaClock as CudaClock
from attnbench.devices.device_time import Ahead
from attnbench.devices.table import clock_for as clock_for
from attnbench.measuring.events import without_frames
from attnbench.records.schema import Block, DeviceTime, Round
from attnbench.system.disturbance import Counters
from attnbench.system.process_settings import MOVE_EVERY


@dataclass(frozen=True)
class Step:
    """Work that is timed: named parts that run in their order, each a call without arguments.

    ``move`` copies the tensors that the work reads to other addresses, where that can be done;
    ``network`` is what computes, if it is one; ``during`` sets what holds for its blocks alone.
    ``each``: every step of a block is timed too, as it is long beside reading the clock.
    """

    parts: Mapping[str, Callable[[], object]]
    move: Callable[[], None] | None = None
    network: nn.Module | None = None
    during: Callable[[], AbstractContextManager[object]] = nullcontext
    each: bool = False

    def __call__(self) -> object:
        """Run the whole step; return the last part's output."""
        output: object = None
        for part in self.parts.values():
            output = part()
        return output


BLOCK_S = 0.020
"""Least seconds of a block of steps, so that the cost of reading the clock is negligible."""

WARM_UP_S = 1.0
WARM_UP_BLOCKS = 3
WARM_UP_LIMIT_S = 10.0
STABLE = 0.98
"""Warm where a block takes more than this share of the fastest before it."""


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


@dataclass(frozen=True)
class BlockFailure:
    """What a variant's step has raised in its block of a round."""

    variant: str
    error: Exception


@dataclass(frozen=True)
class _Timed:
    """What a block has beside its variant and steps."""

    seconds: float
    parts: Mapping[str, float] | None
    issued_s: float | None
    device: DeviceTime | None
    each_s: tuple[float, ...] | None


@dataclass
class Rounds:
    """An endless series of rounds over the variants that can still run.

    Every round runs each variant's block once, in a fresh random order. No block's seconds depend
    on its neighbours: before each the device is synchronised and nothing is queued, and an error
    that a device reports late is that of the block that it waits for. Variants in ``ahead`` also
    have their device time taken, in a second block behind a spin. Steps move in memory every
    ``move_every`` rounds. ``watch`` is read before and after a round; ``busy`` is called when the
    work of the last block is issued, before waiting for it; ``begin`` is called with the variant's
    name before each block, and with None after the last; ``inspect`` is called with its name after
    each block, outside of what is timed, and what it raises ends the series without that
    round. A variant whose step raises leaves the series, and its error is in ``failures``.
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
    ahead: Mapping[str, Ahead] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    move_every: int = MOVE_EVERY

    def __iter__(self) -> Iterator[Round]:
        return (event for event in self.events() if isinstance(event, Round))

    def events(self) -> Iterator[Round | BlockFailure]:
        """Yield each failure as soon as it is known, within its round, and each round at its end.

        So a failure can be stored, and its memory released, before anything else is tried. The
        series may be given up at a failure.
        """
        number = self.first
        while self.steps:
            order = list(self.steps)
            # Seeded by the round too: a resumed run does not repeat its first orders.
            Random(f"{self.seed} {number}").shuffle(order)
            if number % self.move_every == 0 and number > self.first:
                for name in order:
                    if move := self.steps[name].move:
                        move()
            before = self.watch() if self.watch else None
            blocks: list[Block] = []
            collects = gc.isenabled()
            gc.disable()  # until the round ends
            try:
                for event in self._run(order):
                    if isinstance(event, Block):
                        blocks.append(event)
                    else:
                        yield event
            finally:
                if collects:
                    gc.enable()
            disturbance = self.watch() - before if self.watch and before else None
            if blocks:
                yield Round(number=number, blocks=tuple(blocks), disturbance=disturbance)
            number += 1

    def _run(self, order: list[str]) -> Iterator[Block | BlockFailure]:
        for name in order:
            if self.begin:
                self.begin(name)
            failure: BlockFailure | None = None
            known: _Timed | None = None
            try:
                with self.steps[name].during():
                    known = self._timed(name, self.busy if name == order[-1] else None)
            except Exception as error:  # of any kind: it ends this variant only
                self.failures[name] = without_frames(error)
                failure = BlockFailure(name, self.failures[name])
            gc.disable()  # again, where the step has enabled it
            if self.inspect:
                self.inspect(name)
            if failure:
                del self.steps[name]  # it may hold tensors of what it could not finish
                yield failure
            if known:
                yield Block(variant=name, steps=self.block_steps[name], **vars(known))
        if self.begin:
            self.begin(None)

    def _timed(self, name: str, busy: Callable[[], None] | None) -> _Timed:
        step, steps = self.steps[name], self.block_steps[name]
        self.clock.synchronize()
        marks, issued_s = self._marked(step, steps)
        if busy:
            busy()
        seconds = self.clock.seconds(marks[0], marks[-1])
        parts = None if len(step.parts) == 1 else self._parts(step, marks)
        # The last mark of each step, behind that before the first.
        between = marks[:: len(step.parts)] if step.each and steps > 1 else []
        each_s = device_time.each_s(between, self.clock) if between else None
        self.clock.synchronize()  # finds an error in work that the marks do not wait for
        ahead = self.ahead.get(name)
        device = device_time.measure(step, ahead, self.clock) if ahead else None
        return _Timed(seconds, parts, issued_s, device, each_s)

    def _marked(self, step: Step, steps: int) -> tuple[list[Any], float | None]:
        """Issue a block; return its marks and the seconds that issuing took.

        They stand around it, behind each part where there are several, and behind each step where
        each is timed.
        """
        marks, queue = [self.clock.mark()], self.clock.queue
        begun = queue.host_s() if queue else 0.0
        whole = len(step.parts) == 1 and not step.each
        if whole:
            for _ in range(steps):
                step()
        else:
            for _ in range(steps):
                for part in step.parts.values():
                    part()
                    marks.append(self.clock.mark())
        issued_s = queue.host_s() - begun if queue else None
        if whole:
            marks.append(self.clock.mark())
        return marks, issued_s

    def _parts(self, step: Step, marks: list[Any]) -> dict[str, float]:
        parts = list(step.parts)
        sums = dict.fromkeys(parts, 0.0)
        for number, (start, end) in enumerate(pairwise(marks)):
            sums[parts[number % len(parts)]] += self.clock.seconds(start, end)
        return sums
