"""A run with its frame, each computed once, and the tables that are printed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from attnbench import formatting
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, COPY, LAUNCH, PLAIN, PRODUCT
from attnbench.report.tables import columns, dataframe, isolated, stages
from attnbench.report.tables.columns import PARTS, RULES
from attnbench.report.tables.dataframe import executed
from attnbench.report.tables.isolated import rate
from attnbench.report.tables.table import Table, printed
from attnbench.stats import ratios
from attnbench.stats.interval import median_interval

AT_A_GLANCE = (
    *("added_params", "added_leaf_operations", "ratio_between_runs", "verdict", "peak_live_ratio"),
)
COUNTED = ("params", *(f"{rule}_operations" for rule in RULES))
ADDED = ("added_params", *(f"added_{rule}_operations" for rule in RULES))
WORK = ("kernels", "added_kernels", "moved_bytes", "added_moved_bytes")
LATENCY = ("latency_s", "ratio", "tied_with", "outliers")
MEMORY = {
    device: tuple(f"peak_{peak}_{figure}" for peak in peaks for figure in ("bytes", "ratio"))
    for device, peaks in (
        ("cpu", ("live", "resident")),
        ("cuda", ("live", "allocated_above", "reserved_above")),
    )
}
REACHED = ("channels", "kernels", "moved_bytes", "latency_s", "bytes_per_s", "map_copies")
EXPLAINED = ("channels", "launch_share", "bandwidth_share", "compute_share", "bound")
"""The columns of each printed table; ``columns`` and ``isolated`` have their headings."""

CEILINGS = (
    "What was timed in the same rounds as the modules.",
    "Its rate or time, with the interval within this run.",
)
"""The definitions of the table of ceilings."""

OVERVIEW = (
    *("ratio_between_runs", "verdict", "tied_between_runs", "added_params"),
    *("added_leaf_operations", "added_kernels", "peak_live_ratio", "published_top1"),
)
ISOLATED_OVERVIEW = (
    *("channels", "latency_s", "bound", "bytes_per_s", "map_copies", "kernels", "moved_bytes"),
)
"""The columns of the table at the top of a page."""

AS_PAPERS_COUNT = {"added_leaf_operations": "added MFLOPs (as papers count)"}
"""Headings in the tables that do not compare rules."""

BETWEEN_RUNS = "; intervals include the variation between runs"
WITHIN_RUN = "within this run"
"""What the intervals of a table cover."""

FAILED = "; too noisy to judge"
"""Follows the caption or setting of everything measured where the control does not hold."""


@dataclass(frozen=True)
class LoadedRun:
    """A run with what is derived from its records, computed on first use and kept."""

    run: Run

    @cached_property
    def control_fault(self) -> str | None:
        """Why the run's control does not hold, or None where it does."""
        plan = self.run.plan
        return ratios.control_fault(
            self.run.rounds, plan.target, baseline=plan.baseline, control=plan.control
        )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a variant, or a module and stage of an isolated run."""
        if self.run.case.isolated:
            return isolated.frame(self.run)
        return dataframe.frame(self.run, verdicts=self.control_fault is None)


Runs = Mapping[str, LoadedRun]
"""Several runs by the names of their folders."""


def tables(loaded: LoadedRun) -> list[Table]:
    """Return the printed tables of a run, each narrow enough for a terminal or a page."""
    return _of_modules(loaded) if loaded.run.case.isolated else _of_networks(loaded)


def overview(loaded: LoadedRun) -> Table:
    """Return the table at the top of a page; after the plain host, the fastest first."""
    frame = loaded.frame
    if loaded.run.case.isolated:
        caption = f"Isolated modules, {WITHIN_RUN}{_isolated_note(loaded)}"
        return printed(caption, isolated.COLUMNS, ISOLATED_OVERVIEW, frame)
    networks = frame[frame["variant"] != CONTROL]  # the control stands above the table
    pinned = networks["variant"] == PLAIN
    ordered = pd.concat([networks[pinned], networks[~pinned].sort_values("ratio")])
    caption = f"Compared with the plain host{BETWEEN_RUNS}"
    return printed(caption, columns.COLUMNS, OVERVIEW, ordered, AS_PAPERS_COUNT)


def _of_networks(loaded: LoadedRun) -> list[Table]:
    case, frame = loaded.run.case, loaded.frame
    networks = frame[frame["variant"] != CONTROL]
    modules = networks[networks["variant"] != PLAIN]
    note = "" if loaded.control_fault is None else FAILED
    latency = (*LATENCY, "compile_s") if case.compiled else LATENCY
    of_parts = [
        (f"Latency of the {part} {WITHIN_RUN}{note}", (f"{part}_s", f"{part}_ratio"), frame)
        for part in PARTS
        if frame[f"{part}_s"].notna().any()
    ]
    step = stages.step_table(loaded.run)
    glance = f"At a glance, compared with the plain host{BETWEEN_RUNS}{note}"
    return (
        [printed(glance, columns.COLUMNS, AT_A_GLANCE, modules, AS_PAPERS_COUNT)]
        + [
            printed(caption, columns.COLUMNS, keys, rows)
            for caption, keys, rows in (
                ("Parameters, and operations for one image by counting rule", COUNTED, networks),
                ("The same, added to the plain host", ADDED, modules),
                ("Kernels and memory traffic of one forward pass, one image", WORK, networks),
                (f"Latency {WITHIN_RUN}{note}", latency, frame),
                *of_parts,
                ("Peak memory of one step", MEMORY[case.device], networks),
            )
        ]
        + ([step] if step else [])
    )


def _of_modules(loaded: LoadedRun) -> list[Table]:
    """Return the ceilings, what each module reaches, and what of its time ceilings explain."""
    note, frame = _isolated_note(loaded), loaded.frame
    explained = f"Share of their time that each ceiling explains, {WITHIN_RUN}{note}"
    return [
        Table(
            f"Ceilings of this machine, {WITHIN_RUN}{note}",
            ("ceiling", "best"),
            _ceilings(loaded.run),
            CEILINGS,
        ),
        printed(f"Isolated modules, {WITHIN_RUN}{note}", isolated.COLUMNS, REACHED, frame),
        printed(explained, isolated.COLUMNS, EXPLAINED, frame),
    ]


def _isolated_note(loaded: LoadedRun) -> str:
    failed = loaded.control_fault is not None
    return "; noisy: bounds rest on their intervals" if failed else ""


def _ceilings(run: Run) -> tuple[tuple[str, str], ...]:
    rows = []
    for variant, ceiling, unit, amount in (
        (COPY, "bytes read and written by a large copy", "GB/s", "moved_bytes"),
        (PRODUCT, "multiply-accumulates of a large matrix product", "GMAC/s", "macs"),
        (LAUNCH, "the smallest operator", "us", ""),
    ):
        samples, work = ratios.seconds_per_step(run.rounds, variant), executed(run, variant)
        best = formatting.NOTHING
        if samples and work:
            step = median_interval(samples)
            figure, scale = (rate(work[amount], step), 1e-9) if amount else (step, 1e6)
            best = formatting.with_interval(figure, scale=scale, unit=f" {unit}")
        rows.append((ceiling, best))
    return tuple(rows)
