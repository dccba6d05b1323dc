"""The rounds of one process: when they end, and the record of each run's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any, Literal

from attnbench.devices import recovery
from attnbench.measuring import timing
from attnbench.measuring.events import HELD, Beginning, failure, record
from attnbench.measuring.latency.member import Machine, Member, Told
from attnbench.measuring.latency.warm_up import require_room
from attnbench.measuring.processes import variation
from attnbench.records.run import Run
from attnbench.records.schema import Disturbance, End, Environment, Round
from attnbench.system import child, environment, process_settings

NO_BLOCK = 2**16 - 1
"""What is marked between blocks."""

PROCESS_BYTES = 4
"""Of the random name of a process, by which the rounds of its runs are known as the same ones."""


def rounds(members: Sequence[Member], machine: Machine) -> Told:
    """Time rounds of the variants that are ready; it ends where each run has its share."""
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

    timed = timing.Rounds(
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
    series = timed.events()
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
            require_room(event.error, members)
            yield member, record(member.run, variant, error=failure("latency", event.error))
            if not recovery.recover(first.case.device):
                return


def _records(
    timed: Round, going: Sequence[Member], process: str, driver_facts: Environment
) -> Told:
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


def _of_all(name: str, members: Sequence[Member]) -> dict[str, Any]:
    return {
        member.key(variant): value
        for member in members
        for variant, value in getattr(member, name).items()
    }


def _beside(lost: Disturbance | None, others_s: float | None) -> Disturbance | None:
    return lost and replace(lost, others_s=others_s)


def _reason_to_stop(
    member: Member,
) -> Literal["target", "budget", "failed", "process"] | None:
    run = member.run
    if run.failed(run.plan.baseline, "latency"):
        return "failed"
    if run.rounds and run.timed_s >= run.plan.budget_s:
        return "budget"
    return member.share.over(run)
