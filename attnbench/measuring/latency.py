"""The timed rounds of a run's plan. It stores and shows nothing: a child process runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any, Literal

import torch
from torch.utils._pytree import tree_leaves

from attnbench.devices.device_time import Ahead, NotAheadError, calibrate
from attnbench.devices.recovery import recover
from attnbench.errors import UserError
from attnbench.measuring import isolated, timing, workload
from attnbench.measuring.events import HELD, Beginning, Event, failure, record
from attnbench.measuring.guard import Guard, is_custom
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
from attnbench.runtimes.table import TABLE
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
    for _, event in measure_together((run,), clock, look, others):
        yield event


def measure_together(
    runs: Sequence[Run],
    clock: timing.Clock | None = None,
    look: Callable[[], disturbance.Counters] = disturbance.read,
    others: Others | None = None,
) -> Iterator[tuple[int, Event]]:
    """Do the same for runs that differ in their runtime alone, in the same rounds.

    A round holds the blocks of all, shuffled among each other, and each run has a record of its own
    blocks. A run that has done its share leaves the rounds, and the others go on. Each event comes
    with the position of its run.

    Raises:
        UserError: a module's code is no longer what the plan says.
        OutOfMemoryError: the networks of several runs do not fit beside each other, or one of them
            would not fit alone either.
    """
    members = [_Member(position, deepcopy(run)) for position, run in enumerate(runs)]
    first = members[0].run
    of_modules = resolve.origins(map(resolve.parse, first.modules))
    for member in members:
        if of_modules | host_reference.origins(first.case.host) != member.run.plan.sources:
            raise UserError("the code of its modules or its host has changed since the run began")
    process_settings.settle(first.case)
    machine = _Machine(
        clock or timing.clock_for(first.case.device),
        look,
        others or busy.others_of(first.case, _quiet_left_s(members)),
        Guard(first),
    )
    for member, event in _guarded(members, machine):
        if isinstance(event, Record):
            member.run.add(event)
        yield member.position, event


@dataclass
class _Member:
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
class _Machine:
    """What times, and what looks at the machine meanwhile; simulated in tests."""

    clock: timing.Clock
    look: Callable[[], disturbance.Counters]
    others: Others
    guard: Guard


_Told = Iterator[tuple[_Member, Event]]


def _quiet_left_s(members: Sequence[_Member]) -> float | None:
    """Return for how long rounds may still be held back; None where others are not looked at."""
    most_s = members[0].run.wait_for_quiet_s
    held_s = max(member.run.held_s for member in members)
    return None if most_s is None else max(most_s - held_s, 0.0)


def _guarded(members: Sequence[_Member], machine: _Machine) -> _Told:
    """End the runs where a custom module changes what the others are timed with."""
    try:
        yield from _measure(members, machine)
    except SettingsError as error:
        for member in members:
            run = member.run
            if run.end is None:
                end = End(reason="failed", rounds=len(run.rounds), message=str(error))
                yield member, record(run, None, results=end)


def _measure(members: Sequence[_Member], machine: _Machine) -> _Told:
    """Warm up and time. It ends without End where another process is to go on.

    That is so when this one has done its share, and where the device is lost. After a failure its
    record comes first, then memory is released, then the device is probed.
    """
    guard = machine.guard
    for member, variant in _build_order(members):
        run = member.run
        if run.failed(variant, "latency") or variant in member.share.resting:
            continue
        yield member, Beginning("warm-up", variant)
        guard.begin(variant)
        failed: Failure | None = None
        try:
            first_s = _warm_up(member, variant, machine.clock)
            no_device_time = _calibrate(member, variant, machine.clock)
        except Exception as error:
            _require_room(error, members)
            failed = failure("latency", error)
        else:
            guard.built(variant, member.steps[variant].network)
        guard.inspect(variant, in_round=False)
        if failed:
            member.steps.pop(variant, None)
            yield member, record(run, variant, error=failed)
            if not recover(run.case.device):
                return
            continue
        # The control is the plain host, which is compiled by now.
        if run.case.compiled and variant not in (*run.compiled, run.plan.control):
            yield member, record(run, variant, results=Compiled(seconds=first_s))
        if no_device_time:
            yield member, record(run, variant, error=no_device_time)
    yield from _rounds(members, machine)


def _build_order(members: Sequence[_Member]) -> list[tuple[_Member, str]]:
    """Return what is built, run by run, in its order; custom modules last where runs are several.

    What these might change is watched from before their code is loaded, of every runtime.
    """
    order = [
        (member, variant)
        for member in variation.turned(members, members[0].share.process)
        for variant in variation.build_order(member.run, member.share.process)
    ]
    if len(members) > 1:
        order.sort(key=lambda pair: is_custom(pair[1], pair[0].run.case.isolated))
    return order


def _require_room(error: Exception, members: Sequence[_Member]) -> None:
    """Raise an error that a run by itself may not have: for want of memory beside the others'."""
    if len(members) > 1 and isinstance(error, torch.OutOfMemoryError):
        raise error


def _rounds(members: Sequence[_Member], machine: _Machine) -> _Told:
    # In the order of the plans: that of a round depends on the seed and its number alone.
    every = {
        member.key(variant): (member, variant)
        for member in members
        for variant in member.run.plan.variants
    }
    numbers = {key: number for number, key in enumerate(every)}
    steps = {
        key: member.steps.pop(variant)  # one that fails is held nowhere else
        for key, (member, variant) in every.items()
        if variant in member.steps
    }
    driver_facts: Environment = {}
    first = members[0].run

    def read_driver() -> None:  # while the device still works on a round
        driver_facts.update(environment.of_driver(first.environment))

    def inspect(key: str) -> None:
        machine.guard.inspect(every[key][1])

    def mark_block(key: str | None) -> None:
        child.mark(NO_BLOCK if key is None else numbers[key])

    rounds = timing.Rounds(
        steps,
        _of_all("block_steps", members),
        machine.clock,
        first.case.seed,
        max(_next_round(member.run) for member in members),
        machine.look,
        read_driver,
        inspect,
        mark_block,
        _of_all("ahead", members),
        move_every=process_settings.moves_every(first.case),
    )
    series = rounds.events()
    resting: dict[str, timing.Step] = {}  # they keep their place in memory
    names = [member.run.case.runtime for member in members]
    for member in members:
        member.process_facts = variation.facts(member.run, member.share.process, names)
        if member.run.wait_for_quiet_s is not None:
            member.process_facts["wait_for_quiet_s"] = member.run.wait_for_quiet_s
    going, process = [*members], token_hex(PROCESS_BYTES)
    while True:
        for member in [*going]:
            if (reason := _reason_to_stop(member)) is None:
                continue
            going.remove(member)
            if reason != "process":
                end = End(reason=reason, rounds=len(member.run.rounds))
                yield member, record(member.run, None, results=end)
        if not going:
            return
        rest = [
            key
            for key, (member, variant) in every.items()
            if key in steps and (member not in going or variant in member.share.resting)
        ]
        resting |= {key: steps.pop(key) for key in rest}
        for _ in machine.others.wait():
            yield going[0], Beginning(HELD, None)
        yield going[0], Beginning("round", None)
        machine.others.begin()
        for event in series:
            if isinstance(event, Round):
                finished = replace(
                    event,
                    held_s=machine.others.held_s,
                    disturbance=_beside(event.disturbance, machine.others.end()),
                )
                yield from _records(finished, going, process, driver_facts)
                break
            member, variant = every[event.variant]
            _require_room(event.error, members)
            yield member, record(member.run, variant, error=failure("latency", event.error))
            if not recover(first.case.device):
                return


PROCESS_BYTES = 4
"""Of the random name of a process, by which the rounds of its runs are known as the same ones."""


def _records(
    timed: Round, going: Sequence[_Member], process: str, driver_facts: Environment
) -> _Told:
    """Yield the record of each run's own blocks of a round."""
    own = {
        member.position: tuple(
            replace(block, variant=variant)
            for block in timed.blocks
            for variant in member.run.plan.variants
            if block.variant == member.key(variant)
        )
        for member in going
    }
    several = sum(map(bool, own.values())) > 1
    for member in going:
        run, share = member.run, member.share
        if not own[member.position]:
            continue
        sits_out = tuple(name for name in run.plan.variants if name in share.resting)
        results = replace(
            timed,
            number=_next_round(run),
            blocks=own[member.position],
            process=share.process,
            sits_out=sits_out or None,
            together=f"{process}-{timed.number}" if several else None,
        )
        yield member, record(run, None, results=results, facts=driver_facts | member.process_facts)
        member.process_facts = {}


def _next_round(run: Run) -> int:
    return run.rounds[-1].number + 1 if run.rounds else 0


def _of_all(name: str, members: Sequence[_Member]) -> dict[str, Any]:
    return {
        member.key(variant): value
        for member in members
        for variant, value in getattr(member, name).items()
    }


def _beside(lost: Disturbance | None, others_s: float | None) -> Disturbance | None:
    return lost and replace(lost, others_s=others_s)


def _warm_up(member: _Member, variant: str, clock: timing.Clock) -> float:
    """Add the variant's step and the number of steps in its block; return the seconds of its first.

    They are those to its first output, building included.
    """
    run = member.run
    TABLE[run.case.runtime].start(run.case.device)
    start = clock.mark()
    exported = run.case.exported
    ready = workload.exported_step(run, variant) if exported else step(run.case, variant)
    member.steps[variant] = ready
    with ready.during():
        check_finite(ready())
        first_s = clock.seconds(start, clock.mark())
        member.block_steps[variant] = timing.warm_up(ready, clock)
    return first_s


def _calibrate(member: _Member, variant: str, clock: timing.Clock) -> Failure | None:
    """Find how the variant's device time is taken, where the device has one; return why not."""
    run = member.run
    if clock.queue is None or not clock.queue.spins or run.failed(variant, "device time"):
        return None
    ready, most = member.steps[variant], member.block_steps[variant]
    try:
        with ready.during():
            launches = launches_of(run, variant)
            member.ahead[variant] = calibrate(ready, clock, launches, most, each=ready.each)
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


def check_finite(output: object) -> None:
    """Refuse outputs that are not finite.

    Raises:
        FloatingPointError: some are not.
    """
    tensors = (leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise FloatingPointError("the output is not finite: what follows would time a defect")


def _reason_to_stop(
    member: _Member,
) -> Literal["target", "budget", "failed", "process"] | None:
    run = member.run
    if run.failed(run.plan.baseline, "latency"):
        return "failed"
    if run.rounds and run.timed_s >= run.plan.budget_s:
        return "budget"
    return member.share.over(run)
