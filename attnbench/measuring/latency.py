"""The timed rounds of a run's plan. It stores and shows nothing: a child process runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Literal

import torch
from torch.utils._pytree import tree_leaves

from attnbench.errors import UserError
from attnbench.measuring import isolated, timing, workload
from attnbench.measuring.events import Beginning, Event, failure, record
from attnbench.measuring.guard import Guard
from attnbench.measuring.processes import variation
from attnbench.measuring.processes.share import Share
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference, resolve
from attnbench.records.run import Run
from attnbench.records.schema import Case, Compiled, End, Environment, Failure, Record
from attnbench.system import child, disturbance, nvml, process_settings

NO_BLOCK = 2**16 - 1
"""What is marked between blocks."""


def step(case: Case, variant: str) -> timing.Step:
    """Build what is timed: a step of a host's network, or of a module alone."""
    return isolated.step(case, variant) if case.isolated else workload.step(case, variant)


def measure(
    run: Run,
    clock: timing.Clock | None = None,
    look: Callable[[], disturbance.Counters] = disturbance.read,
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
    for event in _guarded(run, clock or timing.clock_for(run.case.device), look, Guard(run)):
        if isinstance(event, Record):
            run.add(event)
        yield event


def _guarded(
    run: Run, clock: timing.Clock, look: Callable[[], disturbance.Counters], guard: Guard
) -> Iterator[Event]:
    """End the run where a custom module changes what the others are timed with."""
    try:
        yield from _measure(run, clock, look, guard)
    except SettingsError as error:
        end = End(reason="failed", rounds=len(run.rounds), message=str(error))
        yield record(run, None, results=end)


def _measure(
    run: Run, clock: timing.Clock, look: Callable[[], disturbance.Counters], guard: Guard
) -> Iterator[Event]:
    steps: dict[str, timing.Step] = {}
    block_steps: dict[str, int] = {}
    share = Share(run)
    for variant in variation.build_order(run, share.process):
        if run.failed(variant, "latency") or variant in share.resting:
            continue
        yield Beginning("warm-up", variant)
        guard.begin(variant)
        failed: Failure | None = None
        try:
            steps[variant], block_steps[variant], first_s = _warmed_up(run, variant, clock)
        except Exception as error:
            failed = failure("latency", error)
        else:
            guard.built(variant, steps[variant].network)
        guard.inspect(variant, in_round=False)
        if failed:
            torch.cuda.empty_cache()  # here, where nothing holds the error's frames and tensors
            yield record(run, variant, error=failed)
        # The control is the plain host, which is compiled by now.
        elif run.case.compiled and variant not in (*run.compiled, run.plan.control):
            yield record(run, variant, results=Compiled(seconds=first_s))
    first = run.rounds[-1].number + 1 if run.rounds else 0
    driver_facts: Environment = {}

    def read_driver() -> None:  # while the device still works on a round
        if isinstance(uuid := run.environment.get("gpu_uuid"), str):
            driver_facts.update(nvml.moment(uuid))

    numbers = {name: number for number, name in enumerate(run.plan.variants)}

    def mark_block(name: str | None) -> None:
        child.mark(NO_BLOCK if name is None else numbers[name])

    # A GPU runs a block some time after it was issued, so there none can be told.
    begin = mark_block if run.case.device == "cpu" else None
    # In the order of the plan: that of a round depends on the seed and its number alone.
    steps = {name: steps[name] for name in run.plan.variants if name in steps}
    rounds = timing.Rounds(
        steps, block_steps, clock, run.case.seed, first, look, read_driver, guard.inspect, begin
    )
    series = iter(rounds)
    resting: dict[str, timing.Step] = {}  # they keep their place in memory
    process_facts = variation.facts(run, share.process)
    while (reason := _reason_to_stop(run, share)) is None:
        resting |= {name: steps.pop(name) for name in share.resting if name in steps}
        yield Beginning("round", None)
        finished = next(series, None)
        for variant, raised in rounds.failures.items():
            if not run.failed(variant, "latency"):
                torch.cuda.empty_cache()
                yield record(run, variant, error=failure("latency", raised))
        if finished:
            sits_out = tuple(name for name in run.plan.variants if name in share.resting) or None
            finished = replace(finished, process=share.process, sits_out=sits_out)
            yield record(run, None, results=finished, facts=driver_facts | process_facts)
            process_facts = {}
    if reason == "process":
        return
    yield record(run, None, results=End(reason=reason, rounds=len(run.rounds)))


def _warmed_up(run: Run, variant: str, clock: timing.Clock) -> tuple[timing.Step, int, float]:
    """Return a warm step, the number of steps in its block, and the seconds to its first output."""
    start = clock.mark()
    exported = run.case.exported
    ready = workload.exported_step(run, variant) if exported else step(run.case, variant)
    _check_finite(ready())
    first_s = clock.seconds(start, clock.mark())
    return ready, timing.warm_up(ready, clock), first_s


def _check_finite(output: object) -> None:
    tensors = (leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise FloatingPointError("the output is not finite: what follows would time a defect")


def _reason_to_stop(
    run: Run, share: Share
) -> Literal["target", "budget", "failed", "process"] | None:
    if run.failed(run.plan.baseline, "latency"):
        return "failed"
    if run.rounds and run.timed_s >= run.plan.budget_s:
        return "budget"
    return share.over(run)
