"""The sentences above and below a run's tables, in their order."""

from __future__ import annotations

from attnbench import formatting
from attnbench.formatting import counted, joined, title
from attnbench.records.run import Run
from attnbench.records.variants import PLAIN
from attnbench.report.tables.energy import notes as energy_notes
from attnbench.report.tables.pooled import PooledRun
from attnbench.report.tables.run import LoadedRun
from attnbench.report.tables.sentences import intervals, scope
from attnbench.report.tables.sentences.control import control, of_device, of_latency
from attnbench.report.tables.sentences.disturbances import disturbances, failures
from attnbench.stats.replicates import began


def machine(run: Run) -> str:
    """Return where and when it ran, in one line."""
    return f"{place(run)}, {began(run)}"


def place(run: Run) -> str:
    """Return where it ran: processor, threads and versions."""
    case, environment = run.case, run.environment
    name = environment.get("gpu") or environment.get("cpu")
    return (
        f"{name}, {counted(case.threads, 'thread')}, torch {environment.get('torch')}, "
        f"Python {environment.get('python')}"
    )


def remarks(loaded: LoadedRun) -> list[str]:
    """Return the control's result, then the other remarks on a run."""
    first, *others = notes(loaded)
    return [first, control(loaded), *others]


def notes(loaded: LoadedRun) -> list[str]:
    """Return how many rounds ran, then disturbances, limits, sources of modules and failures."""
    run = loaded.run
    sources = (
        f"The code of {'the host' if name == PLAIN else title(name)}: {origin}."
        for name, origin in run.plan.sources.items()
    )
    limits = (
        *(*scope.sites(run), *scope.limits(run), *scope.executed_by(run)),
        *(*scope.computed(run), *scope.unknown_operators(run)),
    )
    if isinstance(loaded, PooledRun):
        of_runs = [*_of_several(loaded), *intervals.of_several(loaded)]
        of_runs += [*_device_times(loaded), *energy_notes.notes(loaded)]
        of_runs += [
            f"In the run of {began(run)}: {line}"
            for run in loaded.runs
            for line in disturbances(run)
        ]
        failed = dict.fromkeys(line for run in loaded.runs for line in failures(run))
        return [*of_runs, *limits, *sources, *failed]
    return [
        intervals.rounds(run),
        *loaded.left_out,
        *intervals.processes(run),
        *intervals.beside_custom_code(run),
        *intervals.covered(loaded),
        *intervals.ceilings(loaded),
        *_device_times(loaded),
        *energy_notes.notes(loaded),
        *disturbances(run),
        *limits,
        *sources,
        *failures(run),
    ]


def _of_several(loaded: PooledRun) -> list[str]:
    """Return which runs were taken together, and what the plain host took in each."""
    runs, first = loaded.runs, loaded.run
    begun = joined(f"{began(run)} ({counted(len(run.rounds), 'round')})" for run in runs)
    lines = [f"{counted(len(runs), 'run')} taken together, begun at {begun}."]
    lines += [
        f"The run that began at {began(run)} is left out: its control failed: {fault}."
        for run, fault in loaded.replicates.left_out
    ]
    lines += loaded.left_out
    plain = [formatting.thousandths(step.median) for step in loaded.replicates.latencies(PLAIN)]
    lines.append(f"Plain host: {joined(plain)} ms/image in these runs.")
    lines.append(f"Counts, memory and machine are those of the run that began at {began(first)}.")
    return lines


def _device_times(loaded: LoadedRun) -> list[str]:
    """Return what the device's own times are worth, and for which variants it waited."""
    if loaded.run.case.isolated:
        return ["Times are the device's own."] if loaded.has_device_times else []
    lines = []
    if loaded.waited:
        lines.append(
            f"The GPU waited for Python in {joined(map(title, loaded.waited))}: issuing took more "
            "than nine tenths of the time, so their latency and its ratio are of issuing. The "
            "device ratio is that of the GPU's own work."
        )
    if loaded.has_device_times:
        other = of_latency if loaded.leads_with_device else of_device
        lines.append(other(loaded))
    return lines
