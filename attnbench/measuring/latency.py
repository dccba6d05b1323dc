"""The timed rounds of a run's plan. It stores and shows nothing: a child process runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch.utils._pytree import tree_leaves

from attnbench.devices.device_time import Ahead, NotAheadError, calibrate
from attnbench.devices.recovery import recover
from attnbench.errors import UserError
from attnbench.measuring import isolated, timing, workload
from attnbench.measuring.events import HELD, Beginning, Event, failure, record
from attnbench.measuring.guard import Guard
from attnbench.measuring.processes import variation
from attnbench.measuring.processes.share import Share
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference, resolve
from attnbench.records.run import Run
from attnbench.records.schema import (
    Case,
    Compiled,
    Disturbance,
    End,
    Environment,
    Failure,
    Record,
    Round,
)
from attnbench.system import busy, child, disturbance, environment, process_settings
from attnbench.system.busy import Others

NO_BLOCK = 2**16 - 1
"""What is marked between blocks."""


def step(case: Case, variant: str) -> timing.Step:
    """Build what is timed: a step of a host's network, or of a module alone.

    The batch norms of a network that infers normalise, so that its output can be finite.
    """
    if case.isolated:
        return isolated.step(case, variant)
    return workload.step(case, variant, statistics=case.mode == "inference")


def measure(
    run: Run,
    clock: timing.Clock | None = None,
    look: Callable[[], disturbance.Counters] = disturbance.read,
    others: Others | None = None,
) -> Iterator[Event]:
    """Warm every variant up, then time this process's share of the rounds.

    Ends with End where the run's target or budget is reached; else another process is to go on.
    ``run`` itself is not changed; timing resumes after its rounds and without what failed.

    Raises:
        UserError: a module's code is no longer what the plan says.
    """
    run = deepcopy(run)
    of_modules = resolve.origins(map(resolve.parse, run.modules))
    if of_modules | host_reference.origins(run.case.host) != run.plan.sources:
        raise UserError("the code of its modules or its host has changed since the run began")
    process_settings.settle(run.case)
    others = others or busy.others_of(run.case, _quiet_left_s(run))
    clock = clock or timing.clock_for(run.case.device)
    for event in _guarded(run, clock, look, Guard(run), others):
        if isinstance(event, Record):
            run.add(event)
        yield event


def _quiet_left_s(run: Run) -> float | None:
    """Return for how long rounds may still be held back; None where others are not looked at."""
    most_s = run.wait_for_quiet_s
    return None if most_s is None else max(most_s - run.held_s, 0.0)


def _guarded(
    run: Run,
    clock: timing.Clock,
    look: Callable[[], disturbance.Counters],
    guard: Guard,
    others: Others,
) -> Iterator[Event]:
    """End the run where a custom module changes what the others are timed with."""
    try:
        yield from _measure(run, clock, look, guard, others)
    except SettingsError as error:
        end = End(reason="failed", rounds=len(run.rounds), message=str(error))
        yield record(run, None, results=end)


@dataclass
class _Warm:
    """The variants that are ready for this process's share of the rounds."""

    share: Share
    steps: dict[str, timing.Step] = field(default_factory=dict)
    block_steps: dict[str, int] = field(default_factory=dict)
    ahead: dict[str, Ahead] = field(default_factory=dict)


def _measure(
    run: Run,
    clock: timing.Clock,
    look: Callable[[], disturbance.Counters],
    guard: Guard,
    others: Others,
) -> Iterator[Event]:
    """Warm up and time. It ends without End where another process is to go on.

    That is so when this one has done its share, and where the device is lost. After a failure its
    record comes first, then memory is released, then the device is probed.
    """
    share = Share(run)
    warm = _Warm(share)
    for variant in variation.build_order(run, share.process):
        if run.failed(variant, "latency") or variant in share.resting:
            continue
        yield Beginning("warm-up", variant)
        guard.begin(variant)
        failed: Failure | None = None
        try:
            first_s = _warm_up(run, variant, clock, warm)
            no_device_time = _calibrate(run, variant, clock, warm)
        except Exception as error:
            failed = failure("latency", error)
        else:
            guard.built(variant, warm.steps[variant].network)
        guard.inspect(variant, in_round=False)
        if failed:
            warm.steps.pop(variant, None)
            yield record(run, variant, error=failed)
            if not recover(run.case.device):
                return
            continue
        # The control is the plain host, which is compiled by now.
        if run.case.compiled and variant not in (*run.compiled, run.plan.control):
            yield record(run, variant, results=Compiled(seconds=first_s))
        if no_device_time:
            yield record(run, variant, error=no_device_time)
    yield from _rounds(run, clock, look, guard, others, warm)


def _rounds(  # noqa: PLR0913, PLR0917  the machine is simulated in tests
    run: Run,
    clock: timing.Clock,
    look: Callable[[], disturbance.Counters],
    guard: Guard,
    others: Others,
    warm: _Warm,
) -> Iterator[Event]:
    first, share = run.rounds[-1].number + 1 if run.rounds else 0, warm.share
    driver_facts: Environment = {}

    def read_driver() -> None:  # while the device still works on a round
        driver_facts.update(environment.of_driver(run.environment))

    numbers = {name: number for number, name in enumerate(run.plan.variants)}

    def mark_block(name: str | None) -> None:
        child.mark(NO_BLOCK if name is None else numbers[name])

    # In the order of the plan: that of a round depends on the seed and its number alone.
    warm.steps = {name: warm.steps[name] for name in run.plan.variants if name in warm.steps}
    rounds = timing.Rounds(
        warm.steps,
        warm.block_steps,
        clock,
        run.case.seed,
        first,
        look,
        read_driver,
        guard.inspect,
        mark_block,
        warm.ahead,
        move_every=process_settings.moves_every(run.case),
    )
    series = rounds.events()
    resting: dict[str, timing.Step] = {}  # they keep their place in memory
    process_facts = variation.facts(run, share.process)
    if run.wait_for_quiet_s is not None:
        process_facts["wait_for_quiet_s"] = run.wait_for_quiet_s
    while (reason := _reason_to_stop(run, warm)) is None:
        resting |= {name: warm.steps.pop(name) for name in share.resting if name in warm.steps}
        for _ in others.wait():
            yield Beginning(HELD, None)
        yield Beginning("round", None)
        others.begin()
        for event in series:
            if isinstance(event, Round):
                sits_out = tuple(name for name in run.plan.variants if name in share.resting)
                finished = replace(
                    event,
                    process=share.process,
                    sits_out=sits_out or None,
                    held_s=others.held_s,
                    disturbance=_beside(event.disturbance, others.end()),
                )
                yield record(run, None, results=finished, facts=driver_facts | process_facts)
                process_facts = {}
                break
            yield record(run, event.variant, error=failure("latency", event.error))
            if not recover(run.case.device):
                return
    if reason == "process":
        return
    yield record(run, None, results=End(reason=reason, rounds=len(run.rounds)))


def _beside(lost: Disturbance | None, others_s: float | None) -> Disturbance | None:
    return lost and replace(lost, others_s=others_s)


def _warm_up(run: Run, variant: str, clock: timing.Clock, warm: _Warm) -> float:
    """Add the variant's step and the number of steps in its block; return the seconds of its first.

    They are those to its first output, building included.
    """
    start = clock.mark()
    exported = run.case.exported
    ready = workload.exported_step(run, variant) if exported else step(run.case, variant)
    warm.steps[variant] = ready
    with ready.during():
        _check_finite(ready())
        first_s = clock.seconds(start, clock.mark())
        warm.block_steps[variant] = timing.warm_up(ready, clock)
    return first_s


def _calibrate(run: Run, variant: str, clock: timing.Clock, warm: _Warm) -> Failure | None:
    """Find how the variant's device time is taken, where the device has one; return why not."""
    if clock.queue is None or not clock.queue.spins or run.failed(variant, "device time"):
        return None
    ready, most = warm.steps[variant], warm.block_steps[variant]
    try:
        with ready.during():
            launches = launches_of(run, variant)
            warm.ahead[variant] = calibrate(ready, clock, launches, most, each=ready.each)
    except NotAheadError as error:
        return failure("device time", error)
    return None


def launches_of(run: Run, variant: str) -> int | None:
    """Return the kernels that one step launches, as counted; None where that is not known."""
    if run.case.cuda_graph:
        return 1
    if run.case.exported:
        return None  # counted are the eager network's
    counted = run.plan.baseline if variant == run.plan.control else variant
    rule = "executed, training step" if run.case.mode == "training" else "executed"
    count = run.counts.get(counted, {}).get(rule)
    return None if count is None else (count.details or {}).get("kernels")


def _check_finite(output: object) -> None:
    tensors = (leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise FloatingPointError("the output is not finite: what follows would time a defect")


def _reason_to_stop(
    run: Run, warm: _Warm
) -> Literal["target", "budget", "failed", "process"] | None:
    if run.failed(run.plan.baseline, "latency"):
        return "failed"
    if run.rounds and run.timed_s >= run.plan.budget_s:
        return "budget"
    return warm.share.over(run)
