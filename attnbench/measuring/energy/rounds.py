"""The rounds of energy of a run's plan: every variant's window once, in a new order each time.

It stores and shows nothing: a child process runs it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from math import ceil
from random import Random

from attnbench.devices.clocks import Clock
from attnbench.devices.energy.counter import NoCounterError
from attnbench.devices.recovery import recover
from attnbench.devices.table import clock_for, kind_of
from attnbench.measuring import timing, workload
from attnbench.measuring.energy import window
from attnbench.measuring.energy.window import CHUNK_S, Meter, StillError
from attnbench.measuring.events import Beginning, Event, failure, record, without_frames
from attnbench.measuring.guard import Guard
from attnbench.measuring.latency import warm_up
from attnbench.measuring.processes import variation
from attnbench.modules import SettingsError
from attnbench.records.device import number_of
from attnbench.records.run import Run
from attnbench.records.schema import EnergyRound, Environment, Record, Window
from attnbench.system import process_settings


def measure(run: Run, clock: Clock | None = None, meter: Meter | None = None) -> Iterator[Event]:
    """Warm every variant up, then measure the rounds of energy that the run still lacks.

    ``run`` itself is not changed. It ends early where the device is lost: another process is to go
    on, without the variant whose failure is the last record. Where the counter tells nothing, or a
    custom module changes what the others are measured with, the baseline fails, and with it all.
    """
    run = deepcopy(run)
    process_settings.settle(run.case)
    for event in _guarded(run, clock, meter):
        if isinstance(event, Record):
            run.add(event)
        yield event


def _guarded(run: Run, clock: Clock | None, meter: Meter | None) -> Iterator[Event]:
    try:
        counter = meter or Meter(kind_of(run.case.device).energy(_facts_now(run)))
        yield from _measure(run, clock or clock_for(run.case.device), counter, Guard(run))
    except (NoCounterError, StillError, SettingsError) as error:
        if not run.failed(run.plan.baseline, "energy"):
            yield record(run, run.plan.baseline, error=failure("energy", error))


def _facts_now(run: Run) -> Environment:
    """Return the facts of the device that computes now: a run may be resumed on another."""
    device = run.case.device
    return run.environment | kind_of(device).facts(number_of(device))


@dataclass
class _Warm:
    """The variants that are ready, and how many of their steps run between two looks."""

    steps: dict[str, timing.Step] = field(default_factory=dict)
    chunks: dict[str, int] = field(default_factory=dict)


def _measure(run: Run, clock: Clock, meter: Meter, guard: Guard) -> Iterator[Event]:
    warm = _Warm()
    for variant in variation.build_order(run, 0):
        if run.failed(variant, "energy"):
            continue
        yield Beginning("warm-up", variant)
        guard.begin(variant)
        try:
            _warm_up(run, variant, clock, warm)
            guard.built(variant, warm.steps[variant].network)
        except Exception as error:
            warm.steps.pop(variant, None)
            yield record(run, variant, error=failure("energy", error))
            if not recover(run.case.device):
                return
        guard.inspect(variant, in_round=False)
    for number in range(len(run.energy), run.plan.energy_rounds):
        windows: list[Window] = []
        for variant in _order(run, number, warm):
            yield Beginning("energy", variant)
            try:
                windows.append(_window(variant, clock, meter, warm))
            except (NoCounterError, StillError):
                raise
            except Exception as error:
                warm.steps.pop(variant)
                yield record(run, variant, error=failure("energy", without_frames(error)))
                if not recover(run.case.device):
                    return
            guard.inspect(variant)
        if run.failed(run.plan.baseline, "energy"):
            return
        yield record(run, None, results=EnergyRound(number=number, windows=tuple(windows)))


def _order(run: Run, number: int, warm: _Warm) -> list[str]:
    """Return who runs in a round, in its order; in every round they lie elsewhere in memory."""
    order = [name for name in run.plan.variants if name in warm.steps]
    Random(f"{run.case.seed} energy {number}").shuffle(order)
    for name in order:
        if move := warm.steps[name].move:
            move()
    return order


def _warm_up(run: Run, variant: str, clock: Clock, warm: _Warm) -> None:
    exported = run.case.exported
    step = workload.exported_step(run, variant) if exported else warm_up.step(run.case, variant)
    with step.during():
        warm_up.check_finite(step())
        steps = timing.warm_up(step, clock)
        block_s = timing.timed(step, steps, clock)
    warm.steps[variant], warm.chunks[variant] = step, max(1, ceil(steps * CHUNK_S / block_s))


def _window(variant: str, clock: Clock, meter: Meter, warm: _Warm) -> Window:
    step, collects = warm.steps[variant], gc.isenabled()
    gc.disable()  # as in a timed round
    try:
        with step.during():
            return window.measure(variant, step, warm.chunks[variant], clock, meter)
    finally:
        if collects:
            gc.enable()
