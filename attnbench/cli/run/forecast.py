"""What a run will take and can tell, said before it is over."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench import formatting
from attnbench.records.run import Run
from attnbench.records.schema import Environment
from attnbench.stats.interval import FEWEST
from attnbench.stats.ratios import FEWEST_ROUNDS
from attnbench.stats.witness import custom_modules

STEP_S = {
    "counts": 1.5,
    "export": 25.0,
    "memory": 2.5,
    "profile": 4.0,
    "energy": 6.5,
    "norm statistics": 1.0,
    "warm-up": 1.0,
    "process": 4.0,
}
"""Seconds that one step takes beside the timed rounds, roughly."""

KNOWN_STATISTICS_S = 0.3
"""Less for the warm-up of a network whose batch norms' statistics are taken before the process."""

BUSY = 2.0
"""Load a core from which other programs are expected to disturb every round."""


def beside_the_rounds_s(run: Run) -> float:
    """Return the seconds that counts, memory and warm-up are expected to take, as a whole."""
    kind = "export" if run.case.exported else "memory"
    counted, measured = STEP_S["counts"] * len(run.counted), STEP_S[kind] * len(run.networks)
    processes_s = warm_up_s(run) * run.plan.processes + further_s(run)
    if run.shares_statistics:
        measured += STEP_S["norm statistics"] * len(run.networks)
    profiled = STEP_S["profile"] * len(run.profiled) * run.profiling
    return counted + measured + profiled + energy_s(run) + processes_s + witness_s(run)


def energy_s(run: Run) -> float:
    """Return the seconds of all windows of energy, and of the process that measures them."""
    if not run.plan.energy_rounds:
        return 0.0
    windows = run.plan.energy_rounds * len(run.plan.variants)
    return STEP_S["process"] + warm_up_s(run) + STEP_S["energy"] * windows


def warm_up_s(run: Run) -> float:
    """Return the seconds in which a process builds all networks and warms them up."""
    each_s = STEP_S["warm-up"] - KNOWN_STATISTICS_S * run.shares_statistics
    return each_s * len(run.plan.variants)


def witness_s(run: Run) -> float:
    """Return the seconds that the plain host takes in processes without custom modules, if any.

    Of each round two blocks of its own, in processes with two networks each.
    """
    if not custom_modules(run):
        return 0.0
    begin_s = STEP_S["process"] + 2 * STEP_S["warm-up"]
    return run.plan.processes * begin_s + run.plan.budget_s * 2 / len(run.plan.variants)


def further_s(run: Run) -> float:
    """Return the seconds that processes after the first take to start and import."""
    return STEP_S["process"] * (run.plan.processes - 1)


def before_all(runs: Sequence[Run], waiting_s: float = 0.0) -> str:
    """Return what the budget limits, and what it does not.

    ``waiting_s``: from the start of the first repetition to that of the last, at least.
    """
    beside = formatting.seconds(sum(map(beside_the_rounds_s, runs)))
    budget = formatting.seconds(sum(run.plan.budget_s for run in runs))
    compiled = ", and as long as it takes to compile" if any(r.case.compiled for r in runs) else ""
    apart = formatting.seconds(waiting_s)
    what = "counts, memory, energy" if any(map(energy_s, runs)) else "counts, memory"
    waiting = f" The last repetition begins {apart} after the first at the earliest." * (
        waiting_s > 0
    )
    return (
        f"At most {budget} of timed rounds; {what} and warm-up before them take about "
        f"{beside}{compiled}.{_processes(runs)}{waiting}"
    )


def _processes(runs: Sequence[Run]) -> str:
    """Return what the first run's processes take of that, where there are several."""
    run = max(runs, key=lambda known: known.plan.processes)
    processes = run.plan.processes
    if processes == 1:
        return ""
    each = formatting.seconds(STEP_S["process"] + warm_up_s(run))
    return (
        f" A run's rounds are spread over {processes} fresh processes, one after the other, each "
        f"with a warm-up of its own: about {each} each of that. --processes 1 saves it, and leaves "
        "what differs between processes out of the intervals."
    )


def bounds_s(runs: Sequence[Run], waiting_s: float) -> tuple[float, float]:
    """Return about how many seconds the runs take at least, and at most.

    At least: nothing is known of a round before the first, so that none is counted.
    """
    left = [run for run in runs if not run.finished]
    beside = sum(map(beside_the_rounds_s, left))
    budget = sum(max(run.plan.budget_s - run.timed_s, 0.0) for run in left)
    return max(beside, waiting_s), beside + budget + waiting_s


def of_rounds(run: Run, now: Environment) -> str:
    """Return how many rounds are expected, from those that are done, and whether they will do."""
    fit = max(len(run.rounds), round(run.plan.budget_s * len(run.rounds) / run.timed_s))
    fitting = "1 round fits" if fit == 1 else f"{fit} rounds fit"
    text = f"About {fitting} into the budget; {FEWEST} are needed for an interval"
    text += f", {FEWEST_ROUNDS} to stop before it is spent"
    load, cores = now.get("load_average"), now.get("cores_allowed") or now.get("cores")
    busy = isinstance(load, float | int) and isinstance(cores, int) and load > BUSY * cores
    if busy:
        text += f"; load {load:.0f} on {cores} cores: expect no verdict"
    elif fit < FEWEST:
        needed = run.timed_s / len(run.rounds) * FEWEST_ROUNDS
        text += f": expect no verdict; --budget {needed:.0f} would do"
    return f"{text}."
