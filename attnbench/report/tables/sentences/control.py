"""Whether a run can be judged, and what would do where it cannot."""

from __future__ import annotations

from math import ceil, isfinite
from statistics import median

from attnbench import formatting
from attnbench.formatting import counted
from attnbench.records.run import Run
from attnbench.report.tables.run import LoadedRun
from attnbench.stats import ratios
from attnbench.stats.interval import Interval
from attnbench.stats.processes import FEWEST_PROCESSES, USUAL_PROCESSES

LOAD = "load_average"

MORE_ROUNDS = 6
"""Times the budget that are advised where the control does not tell how many rounds it takes."""

MOST_ADVISED_S = 3600.0
"""What a longer budget would be is no advice: the machine has to be quieter."""


def control(loaded: LoadedRun) -> str:
    """Return whether the control of the time that stands first holds, with its figure."""
    return (of_device if loaded.leads_with_device else of_latency)(loaded)


def of_device(loaded: LoadedRun) -> str:
    """Return the same of the device's own times."""
    fault, ratio = loaded.device_control_fault, loaded.device_control_ratio
    figure = f"Control of the device's own times: {formatting.ratio(ratio)}"
    if fault is None:
        return f"{figure}; it holds."
    more = f" Try {ways[0]}." if (ways := _more_processes(loaded.run, ratio)) else ""
    return f"{figure}; too noisy to judge: {fault}.{more}"


def of_latency(loaded: LoadedRun) -> str:
    """Return the same of latency, which is that of issuing where the device waited."""
    run, fault = loaded.run, loaded.control_fault
    baseline = run.plan.baseline
    ratio = loaded.control_ratio
    what = "Control of issuing" if loaded.leads_with_device else "Control"
    figure = f"{what} ({baseline} against {baseline}): {formatting.ratio(ratio)}"
    if fault is None:
        return f"{figure}; it holds."
    rest = "; bounds rest on their own intervals" if run.case.isolated else ""
    return f"{figure}. Too noisy to judge: {fault}{rest}. {_advice(run, ratio)}"


def _advice(run: Run, control: Interval | None) -> str:
    """Return what would make the run judgeable: ``--budget`` by the control's own half-width."""
    wanted, known = run.plan.target, control is not None and isfinite(control.half_width)
    factor = ceil((control.half_width / wanted) ** 2) if control and known else MORE_ROUNDS
    budget_s = run.plan.budget_s * max(factor, 2)
    if not known:  # a round can take longer than the budget
        seconds = max(run.plan.budget_s, ceil(run.timed_s)) * max(factor, 2)
        return f"More rounds would do: --budget {seconds:g}."
    loads = [load for moment in run.moments if isinstance(load := moment.get(LOAD), int | float)]
    cores = run.environment.get("cores_allowed") or run.environment.get("cores")
    on = f" on {counted(cores, 'core')}" if isinstance(cores, int) else ""
    reason = f"Load was {median(loads):.0f}{on}: " if loads else ""
    ways = ["quiet the machine"]
    ways += ["--threads 1"] if run.case.device == "cpu" and run.case.threads > 1 else []
    ways += _more_processes(run, control)
    if control is not None and not control.excludes_one and budget_s <= MOST_ADVISED_S:
        ways.append(f"--budget {budget_s:g}")
    advice = f"{reason}{', or '.join(ways)}."
    return advice[0].upper() + advice[1:]


def _more_processes(run: Run, control: Interval | None) -> list[str]:
    """Return the option that helps where two copies differ, as they may by where they lie.

    What differs from process to process is in the interval of several alone.
    """
    known = control is not None and control.excludes_one
    few = ratios.whole_processes(run.rounds) < FEWEST_PROCESSES
    return [f"--processes {USUAL_PROCESSES}"] if known and few and not run.case.isolated else []
