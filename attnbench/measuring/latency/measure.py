"""The timed rounds of a run's plan. It stores and shows nothing: a child process runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

from attnbench.devices import recovery
from attnbench.errors import UserError
from attnbench.measuring import timing
from attnbench.measuring.events import Beginning, Event, failure, record
from attnbench.measuring.guard import Guard
from attnbench.measuring.latency.member import Machine, Member, Told
from attnbench.measuring.latency.rounds import rounds
from attnbench.measuring.latency.warm_up import build_order, calibrate, require_room, warm_up
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference, resolve
from attnbench.records.run import Run
from attnbench.records.schema import Compiled, End, Failure, Record
from attnbench.system import busy, disturbance, process_settings
from attnbench.system.busy import Others


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
    members = [Member(position, deepcopy(run)) for position, run in enumerate(runs)]
    first = members[0].run
    of_modules = resolve.origins(map(resolve.parse, first.modules))
    for member in members:
        if of_modules | host_reference.origins(first.case.host) != member.run.plan.sources:
            raise UserError("the code of its modules or its host has changed since the run began")
    process_settings.settle(first.case)
    machine = Machine(
        clock or timing.clock_for(first.case.device),
        look,
        others or busy.others_of(first.case, _quiet_left_s(members)),
        Guard(first),
    )
    for member, event in _guarded(members, machine):
        if isinstance(event, Record):
            member.run.add(event)
        yield member.position, event


def _quiet_left_s(members: Sequence[Member]) -> float | None:
    """Return for how long rounds may still be held back; None where others are not looked at."""
    most_s = members[0].run.wait_for_quiet_s
    held_s = max(member.run.held_s for member in members)
    return None if most_s is None else max(most_s - held_s, 0.0)


def _guarded(members: Sequence[Member], machine: Machine) -> Told:
    """End the runs where a custom module changes what the others are timed with."""
    try:
        yield from _measure(members, machine)
    except SettingsError as error:
        for member in members:
            run = member.run
            if run.end is None:
                end = End(reason="failed", rounds=len(run.rounds), message=str(error))
                yield member, record(run, None, results=end)


def _measure(members: Sequence[Member], machine: Machine) -> Told:
    """Warm up and time. It ends without End where another process is to go on.

    That is so when this one has done its share, and where the device is lost. After a failure its
    record comes first, then memory is released, then the device is probed.
    """
    guard = machine.guard
    for member, variant in build_order(members):
        run = member.run
        if run.failed(variant, "latency") or variant in member.share.resting:
            continue
        yield member, Beginning("warm-up", variant)
        guard.begin(variant)
        failed: Failure | None = None
        try:
            first_s = warm_up(member, variant, machine)
            no_device_time = calibrate(member, variant, machine.clock)
        except Exception as error:
            require_room(error, members)
            failed = failure("latency", error)
        else:
            guard.built(variant, member.steps[variant].network)
        guard.inspect(variant, in_round=False)
        if failed:
            member.steps.pop(variant, None)
            yield member, record(run, variant, error=failed)
            if not recovery.recover(run.case.device):
                return
            continue
        # The control is the plain host, which is compiled by now.
        if run.case.compiled and variant not in (*run.compiled, run.plan.control):
            yield member, record(run, variant, results=Compiled(seconds=first_s))
        if no_device_time:
            yield member, record(run, variant, error=no_device_time)
    machine.drawn.clear()
    yield from rounds(members, machine)
