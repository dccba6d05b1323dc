"""What the printed tables say, as text; how they are set is in ``layouts``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan

import pandas as pd

from attnbench import statistics, units
from attnbench.records import CONTROL, PLAIN, Case, Environment
from attnbench.runs import Run
from attnbench.statistics import Interval

from .frame import PARTS, RULES


@dataclass(frozen=True)
class Sheet:
    """A caption, headings with units, and rows of text."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Cell = Callable[[pd.Series], str]  # type: ignore[type-arg]  # a Series of mixed values

TITLES = {name: name.upper() for name in ("se", "cbam", "eca", "gc", "sk", "sge", "sa")}
"""How the papers write the names; any other name stands as it is."""


def title(variant: str) -> str:
    """The name that tables and plots show."""
    return TITLES.get(variant, variant)


def interval(row: pd.Series, key: str, low: str, high: str) -> Interval | None:  # type: ignore[type-arg]
    """The interval that three columns hold, or None where there is no figure."""
    return None if isnan(row[key]) else Interval(row[key], row[low], row[high])


def _latency(row: pd.Series) -> str:  # type: ignore[type-arg]
    return units.milliseconds(interval(row, "latency_s", "latency_low_s", "latency_high_s"))


def _ratio(row: pd.Series) -> str:  # type: ignore[type-arg]
    if row["variant"] == PLAIN:
        return "1" if row["rounds"] > 0 else units.NOTHING
    return units.ratio(interval(row, "ratio", "ratio_low", "ratio_high"))


def _total(rule: str) -> Cell:
    return lambda row: units.giga(row[f"{rule}_operations"])


def _added(rule: str) -> Cell:
    return lambda row: units.mega(row[f"added_{rule}_operations"], signed=True)


def _verdict(row: pd.Series) -> str:  # type: ignore[type-arg]
    return row["verdict"] if isinstance(row["verdict"], str) else units.NOTHING


AT_A_GLANCE: dict[str, Cell] = {
    "added parameters": lambda row: units.whole(row["added_params"], signed=True),
    "added leaf (M)": _added("leaf"),
    "latency ratio [95%]": _ratio,
    "verdict": _verdict,
    "live peak ratio": lambda row: units.fraction(row["peak_live_ratio"]),
}

COUNTED: dict[str, Cell] = {
    "parameters": lambda row: units.whole(row["params"]),
    **{f"{rule} (G)": _total(rule) for rule in RULES},
}

ADDED: dict[str, Cell] = {
    "parameters": lambda row: units.whole(row["added_params"], signed=True),
    **{f"{rule} (M)": _added(rule) for rule in RULES},
    "kernels": lambda row: units.whole(row["added_kernels"], signed=True),
    "moved (MiB)": lambda row: units.mebibytes(row["added_moved_bytes"], signed=True),
}

LATENCY: dict[str, Cell] = {
    "latency (ms/image)": _latency,
    "ratio to plain": _ratio,
    "verdict": _verdict,
    "outliers": lambda row: units.whole(row["outliers"]),
}

COMPILED: dict[str, Cell] = {"compiled in (s)": lambda row: units.tenths(row["compile_s"])}


def _part(part: str) -> dict[str, Cell]:
    def ratio(row: pd.Series) -> str:  # type: ignore[type-arg]
        if row["variant"] == PLAIN:
            return "1" if row["rounds"] > 0 else units.NOTHING
        keys = (f"{part}_ratio", f"{part}_ratio_low", f"{part}_ratio_high")
        return units.ratio(interval(row, *keys))

    return {f"{part} (ms/image)": lambda row: units.thousandths(row[f"{part}_s"]), "ratio": ratio}


TRAINING = tuple(_part(part) for part in PARTS)
"""The parts of a step: for each one table, so that it stays narrow enough for print."""

MEMORY: dict[str, Cell] = {
    "live peak (MiB)": lambda row: units.mebibytes(row["peak_live_bytes"]),
    "ratio": lambda row: units.fraction(row["peak_live_ratio"]),
}

ON_DEVICE: dict[str, dict[str, Cell]] = {
    "cpu": {
        "resident peak (MiB)": lambda row: units.mebibytes(row["peak_resident_bytes"]),
        "resident ratio": lambda row: units.fraction(row["peak_resident_ratio"]),
    },
    "cuda": {
        "allocated peak (MiB)": lambda row: units.mebibytes(row["peak_allocated_above_bytes"]),
        "allocated ratio": lambda row: units.fraction(row["peak_allocated_above_ratio"]),
        "reserved peak (MiB)": lambda row: units.mebibytes(row["peak_reserved_above_bytes"]),
        "reserved ratio": lambda row: units.fraction(row["peak_reserved_above_ratio"]),
    },
}


def sheets(run: Run, table: pd.DataFrame) -> list[Sheet]:
    """The printed tables, each narrow enough for a column of print or a terminal."""
    networks = table[table["variant"] != CONTROL]
    modules = networks[networks["variant"] != PLAIN]
    said = warning(run)
    latency = LATENCY | (COMPILED if run.case.compiled else {})
    parts = TRAINING if table["forward_s"].notna().any() else ()
    return [
        _sheet(f"At a glance, against the plain host{said}", AT_A_GLANCE, modules),
        _sheet("Parameters, and operations for one image by rule of counting", COUNTED, networks),
        _sheet("The same, over the plain host", ADDED, modules),
        _sheet(f"Latency, with 95% intervals{said}", latency, table),
        *(
            _sheet(f"Of it the {name}, with 95% intervals{said}", cells, table)
            for name, cells in zip(PARTS, parts, strict=False)
        ),
        _sheet("Peak memory of one step", MEMORY | ON_DEVICE[run.case.device], networks),
    ]


def _sheet(caption: str, cells: dict[str, Cell], table: pd.DataFrame) -> Sheet:
    rows = tuple(
        (title(row["variant"]), *(cell(row) for cell in cells.values()))
        for _, row in table.iterrows()
    )
    return Sheet(caption, ("module", *cells), rows)


def uncounted(run: Run) -> list[str]:
    """What each rule left at zero in a module, beyond what it leaves in the plain host."""
    said = []
    plain = run.counts.get(PLAIN, {})
    for variant in run.modules:
        for rule, found in run.counts.get(variant, {}).items():
            base = plain[rule].not_counted if rule in plain else None
            more = Counter(found.not_counted or {}) - Counter(base or {})
            if more:
                listed = ", ".join(f"{name} x{times}" for name, times in sorted(more.items()))
                said.append(f"{title(variant)} by {rule}: {listed}.")
    return said


def warning(run: Run) -> str:
    """What stands above everything measured where the control does not hold; else nothing."""
    return "" if fault(run) is None else "; the control failed: no verdicts"


def fault(run: Run) -> str | None:
    """Why the run's control does not hold, or None where it does."""
    return statistics.control_fault(
        run.rounds, run.plan.target, baseline=run.plan.baseline, control=run.plan.control
    )


def machine(case: Case, environment: Environment) -> str:
    """Where it ran, in one line."""
    name = environment.get("gpu") or environment.get("cpu")
    return (
        f"{name}, {case.threads} threads, torch {environment.get('torch')}, "
        f"Python {environment.get('python')}, {environment.get('time')}"
    )


def remarks(run: Run) -> list[str]:
    """What must be known before a figure is believed: rounds, control, disturbance, failures."""
    said = [_rounds(run), _control(run), *_disturbed(run), *_reservations(run.case)]
    said += [
        f"{title(variant)} failed at {step}: {failure.type}: {_one_line(failure.message)}."
        for variant, steps in run.failures.items()
        for step, failure in steps.items()
    ]
    return said


def _rounds(run: Run) -> str:
    count = f"{len(run.rounds)} interleaved rounds in {units.seconds(run.timed_s)}"
    if run.end is None:
        return f"{count}; the run is not finished."
    ends = {
        "target": f"every interval reached ±{units.percent(run.plan.target)}",
        "budget": f"the budget of {units.seconds(run.plan.budget_s)} was spent",
        "failed": f"then it failed: {_one_line(run.end.message or 'the baseline did')}",
    }
    return f"{count}; {ends[run.end.reason]}."


def _rounds_of(count: int) -> str:
    return f"{count} round{'' if count == 1 else 's'}"


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _control(run: Run) -> str:
    baseline = run.plan.baseline
    control = statistics.ratio(run.rounds, run.plan.control, baseline=baseline)
    figure = f"Control ({baseline} against {baseline}): {units.ratio(control)}"
    why = fault(run)
    if why is None:
        return f"{figure}; it holds."
    if run.case.isolated:
        return f"{figure}. THE CONTROL FAILED; bounds rest on their own intervals: {why}."
    return f"{figure}. THE CONTROL FAILED, so no verdicts are given: {why}."


def _reservations(case: Case) -> list[str]:
    """What the counted figures do not speak of in this configuration (``attnbench.live``)."""
    said = []
    if case.compiled:
        said.append("Counts, kernels and live peaks are those of the eager networks.")
    if case.channels_last:
        said.append("Live peaks are too low for modules that reshape: on meta no copy is seen.")
    if case.mode == "training" and case.dtype != "float32":
        said.append("Live peaks take batch norm's statistics for single precision.")
    if case.device == "cuda" and case.dtype == "float32":
        said.append("Convolutions may use TF32 within float32, as is PyTorch's default.")
    return said


def _disturbed(run: Run) -> list[str]:
    """Rounds that something kept from their work, and what the GPU's driver said meanwhile."""
    said = []
    flagged = statistics.flags(run.rounds)
    if flagged:
        listed = ", ".join(f"{count} {name}" for name, count in flagged.items())
        said.append(f"Rounds flagged, none dropped: {listed}.")
    throttles = Counter(
        str(each["gpu_throttle"]) for each in run.moments if each.get("gpu_throttle")
    )
    said += [f"The GPU was throttled after {_rounds_of(n)}: {why}." for why, n in throttles.items()]
    foreign = sum(bool(each.get("gpu_other_processes")) for each in run.moments)
    if foreign:
        said.append(f"WARNING: after {_rounds_of(foreign)} other processes were on the GPU.")
    clocks = [mhz for each in run.moments if isinstance(mhz := each.get("gpu_clock_mhz"), int)]
    if clocks:
        said.append(f"The GPU's clock was at {min(clocks)} to {max(clocks)} MHz after the rounds.")
    return said
