"""What a run's intervals cover: rounds, processes, other runs; and the machine's ceilings."""

from __future__ import annotations

from collections import Counter

from attnbench import formatting
from attnbench.formatting import counted, joined, title
from attnbench.records.run import Run
from attnbench.report.tables.isolated import map_copies
from attnbench.report.tables.pooled import PooledRun
from attnbench.report.tables.run import WITHIN_RUN, LoadedRun
from attnbench.stats import between_runs, ratios, witness
from attnbench.stats.processes import FEWEST_PROCESSES
from attnbench.text import printable


def rounds(run: Run) -> str:
    """Return how many rounds ran, for how long, and why they ended."""
    many = counted(len(run.rounds), "interleaved round")
    count = f"{many} in {formatting.seconds(run.timed_s)}"
    if run.end is None:
        return f"{count}; the run is not finished."
    ends = {
        "target": f"every interval reached ±{formatting.percent(run.plan.target)}",
        "budget": f"the budget of {formatting.seconds(run.plan.budget_s)} was spent",
        "failed": f"then it failed: {printable(run.end.message or 'the baseline did')}",
    }
    return f"{count}; {ends[run.end.reason]}."


def processes(run: Run) -> list[str]:
    """Return over how many processes the rounds are spread, and how many a module sat out."""
    lines = []
    count = ratios.whole_processes(run.rounds)
    if count >= FEWEST_PROCESSES:
        lines.append(
            f"The rounds ran in {count} processes, one after the other; what differs between these "
            "is in every interval of a ratio."
        )
    if rested := Counter(name for timed in run.rounds for name in timed.sits_out or ()):
        listed = joined(f"{title(name)} {count}" for name, count in rested.items())
        lines.append(f"Rounds without a module that had as many as it needs: {listed}.")
    return lines


def beside_custom_code(run: Run) -> list[str]:
    """Return how the baseline fared beside custom code."""
    known = witness.ratio(run)
    if known is None:
        return []
    verdict = (
        "so its figures are worth nothing"
        if witness.shows_interference(known)
        else f"more than {formatting.percent(witness.MOST - 1, 0)} would be interference"
    )
    return [
        f"{title(run.plan.baseline)} in the processes with custom code took "
        f"{formatting.ratio(known)} times as long as in processes without, right after the same "
        f"rounds; {verdict}."
    ]


def covered(loaded: LoadedRun) -> list[str]:
    """Return what the intervals of latency ratios cover."""
    run = loaded.run
    if run.case.isolated or not run.rounds:
        return []
    deviation = formatting.percent(_assumed(loaded))
    return [
        "Intervals of latency ratios include the variation between runs, a standard deviation of "
        f"{deviation} until repeated runs show it; tables captioned '{WITHIN_RUN}' leave it out."
    ]


def of_several(loaded: PooledRun) -> list[str]:
    """Return what the intervals of latency ratios cover, and what the runs show of it."""
    assumed = formatting.percent(_assumed(loaded))
    return [
        "Intervals of latency ratios include the variation between runs: what these runs show of "
        f"it, with an assumed standard deviation of {assumed} at the weight of "
        f"{between_runs.WEIGHT} runs. The run-to-run part is what it alone adds."
    ]


def _assumed(loaded: LoadedRun) -> float:
    return between_runs.ASSUMED if loaded.scatter is None else loaded.scatter


def ceilings(loaded: LoadedRun) -> list[str]:
    """Return what the ceiling of bandwidth is, and which modules exceed one beyond the interval."""
    run = loaded.run
    if not run.case.isolated or not run.rounds:
        return []
    lines = []
    if not map_copies(run):
        lines.append(
            "This run has no copies of the maps that modules see, so its ceiling of bandwidth is "
            "that of a large copy, which a map in a cache exceeds."
        )
    above = [
        f"{title(row['module'])} stage {row['stage']:.0f} ({ceiling})"
        for _, row in loaded.frame.iterrows()
        for ceiling in ("launch", "bandwidth", "compute")
        if row[f"{ceiling}_share_low"] > 1
    ]
    if above:
        lines.append(
            f"Above a ceiling, beyond the interval: {joined(above)}. It is no ceiling of these; "
            "reading alone can be faster than copying."
        )
    return lines
