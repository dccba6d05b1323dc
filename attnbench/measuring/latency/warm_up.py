"""The networks that a process times: built, run for the first time, and calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.utils._pytree import tree_leaves

from attnbench.devices import device_time
from attnbench.devices.device_time import NotAheadError
from attnbench.hosts.values import initial, norm_statistics
from attnbench.measuring import isolated, timing, workload
from attnbench.measuring.events import failure
from attnbench.measuring.guard import is_custom
from attnbench.measuring.latency.member import Machine, Member
from attnbench.measuring.processes import variation
from attnbench.measuring.processes.norm_statistics import file_of as norm_statistics_file
from attnbench.records.run import Run
from attnbench.records.schema import Case, Failure
from attnbench.runtimes.table import TABLE


def step(case: Case, variant: str) -> timing.Step:
    """Build what is timed: a step of a host's network, or of a module alone.

    The batch norms of a network that infers normalise, so that its output can be finite.
    """
    if case.isolated:
        return isolated.step(case, variant)
    return workload.step(case, variant, statistics=case.mode == "inference")


def build_order(members: Sequence[Member]) -> list[tuple[Member, str]]:
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


def require_room(error: Exception, members: Sequence[Member]) -> None:
    """Raise an error that a run by itself may not have: for want of memory beside the others'."""
    if len(members) > 1 and isinstance(error, torch.OutOfMemoryError):
        raise error


def warm_up(member: Member, variant: str, machine: Machine) -> float:
    """Add the variant's step and the number of steps in its block; return the seconds of its first.

    They are those to its first output, building included.
    """
    run, clock = member.run, machine.clock
    TABLE[run.case.runtime].start(run.case.device)
    start = clock.mark()
    exported = run.case.exported
    with _shared_values(run, variant, machine.drawn):
        ready = workload.exported_step(run, variant) if exported else step(run.case, variant)
    member.steps[variant] = ready
    with ready.during():
        check_finite(ready())
        first_s = clock.seconds(start, clock.mark())
        member.block_steps[variant] = timing.warm_up(ready, clock)
    return first_s


@contextmanager
def _shared_values(run: Run, variant: str, drawn: initial.Drawn) -> Iterator[None]:
    """Let a network have the values that were drawn for the one before it, and known statistics.

    Where the code of others is in the run, which could change them, and where building is a part of
    what is recorded of compiling, each network is built anew.
    """
    if run.plan.sources or run.case.compiled:
        yield
        return
    file = norm_statistics_file(run, variant)
    with initial.drawn_once(drawn), norm_statistics.kept_in(file):
        yield


def calibrate(member: Member, variant: str, clock: timing.Clock) -> Failure | None:
    """Find how the variant's device time is taken, where the device has one; return why not."""
    run = member.run
    if clock.queue is None or not clock.queue.spins or run.failed(variant, "device time"):
        return None
    ready, most = member.steps[variant], member.block_steps[variant]
    try:
        with ready.during():
            launches = launches_of(run, variant)
            member.ahead[variant] = device_time.calibrate(
                ready, clock, launches, most, each=ready.each
            )
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
