"""A run on a simulated machine, in several processes and by the engine's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attnbench.measuring import timing
from attnbench.measuring.processes.share import Share
from attnbench.measuring.selftest.simulated import Machine
from attnbench.records.run import Run
from attnbench.records.schema import Case, Plan, Round
from attnbench.stats.processes import USUAL_PROCESSES
from attnbench.stats.ratios import TARGET

CASE = Case(
    host="resnet50",
    batch_size=1,
    image_size=224,
    dtype="float32",
    channels_last=False,
    mode="inference",
    device="cpu",
    threads=1,
    seed=0,
)
"""No field of it matters: the steps are simulated."""


def run_in_processes(
    machine: Machine,
    cost_s: Mapping[str, float],
    *,
    budget_s: float,
    processes: int = USUAL_PROCESSES,
    target: float = TARGET["cpu"],
) -> list[Round]:
    """Time steps of these costs, by the names of a plan's variants, until target or budget."""
    plan = Plan(variants=tuple(cost_s), budget_s=budget_s, target=target, processes=processes)
    run = Run(CASE, plan, {})
    while _time_share(machine, cost_s, run):
        pass
    return run.rounds


def _time_share(machine: Machine, cost_s: Mapping[str, float], run: Run) -> bool:
    """Add the rounds of one process; return whether another is to go on."""
    share, spent_s = Share(run), run.timed_s
    built = {n: machine.step(s, n) for n, s in cost_s.items() if n not in share.resting}
    steps = dict(built)
    rounds = timing.Rounds(
        steps, dict.fromkeys(steps, 1), machine, machine.seed, first=len(run.rounds)
    )
    for timed in rounds:
        resting = tuple(name for name in cost_s if name in share.resting) or None
        run.rounds.append(replace(timed, process=share.process, sits_out=resting))
        spent_s += timed.seconds
        over = "budget" if spent_s >= run.plan.budget_s else share.over(run)
        if over is not None:
            return over == "process"
        for name in share.resting & steps.keys():
            del steps[name]
    raise AssertionError("the series has no end")
