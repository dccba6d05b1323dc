"""A run with its frame, each computed once, and the tables that are printed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from attnbench import formatting
from attnbench.records.case import RUNTIMES, Case
from attnbench.records.device import kind_of
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, COPY, LAUNCH, PLAIN, PRODUCT, map_of
from attnbench.report.tables import columns, dataframe, isolated, stages
from attnbench.report.tables.dataframe import executed
from attnbench.report.tables.figures.counted import RULES
from attnbench.report.tables.figures.timed import PARTS
from attnbench.report.tables.inside import shares as inside
from attnbench.report.tables.table import Table, printed
from attnbench.stats import ratios
from attnbench.stats.interval import Interval, median_interval
from attnbench.stats.quantities.device_time import device_rounds, has_device_times, waited
from attnbench.stats.quantities.joules import as_energy, energy_rounds
from attnbench.stats.quantities.single_steps import PERCENTILES
from attnbench.stats.replicates import began, control_fault
from attnbench.text import printable

AT_A_GLANCE = (
    *("added_params", "added_leaf_operations", "ratio_between_runs", "verdict", "code"),
    "peak_live_ratio",
)
AT_A_GLANCE_OF_DEVICE = (
    *("device_ratio_between_runs", "device_verdict", "device_code"),
    *("ratio_between_runs", "verdict", "code"),
    *("issued_share", "added_params", "added_leaf_operations", "peak_live_ratio"),
)
COUNTED = ("params", *(f"{rule}_operations" for rule in RULES))
ADDED = ("added_params", *(f"added_{rule}_operations" for rule in RULES))
WORK = ("kernels", "added_kernels", "moved_bytes", "added_moved_bytes")
LATENCY = ("latency_s", "ratio", "ratio_rounds", "tied_with", "outliers")
LATENCY_OF_DEVICE = ("device_latency_s", "device_ratio", "latency_s", "ratio", "issued_share")
SPEED = tuple(
    f"{whose}{figure}"
    for whose in ("", "device_")
    for figure in ("images_per_s", *(f"step_p{share}_s" for share in PERCENTILES))
)
ENERGY = (
    *("energy_j", "energy_ratio_between_runs", "energy_verdict", "energy_code", "energy_ratio"),
    *("power_w", "energy_apart"),
)
MEMORY = {
    device: tuple(f"peak_{peak}_{figure}" for peak in peaks for figure in ("bytes", "ratio"))
    for device, peaks in (
        ("cpu", ("live", "resident")),
        ("cuda", ("live", "allocated", "allocated_above", "reserved_above")),
        ("xpu", ("live", "allocated", "allocated_above", "reserved_above")),
        ("mps", ("live",)),
    )
}
EXPORTED = (*("nodes", "added_nodes", "artefact_bytes", "added_artefact_bytes", "relative_error"),)
REACHED = (
    *("channels", "kernels", "moved_bytes", "latency_s", "bytes_per_s", "copy_bytes_per_s"),
    "map_copies",
)
EXPLAINED = ("channels", "launch_share", "bandwidth_share", "compute_share", "bound")
"""The columns of each printed table; ``columns`` and ``isolated`` have their headings."""

CEILINGS = (
    "What was timed in the same rounds as the modules.",
    "Its rate or time, with the interval within this run.",
)
"""The definitions of the table of ceilings."""

OVERVIEW = (
    *("ratio_between_runs", "verdict", "code", "tied_between_runs", "added_params"),
    *("added_leaf_operations", "added_kernels", "added_nodes", "peak_live_ratio", "relative_error"),
    "published_top1",
)
OVERVIEW_OF_DEVICE = (
    *("device_ratio_between_runs", "device_verdict", "device_code"),
    *("ratio_between_runs", "verdict", "code"),
    *("issued_share", "tied_between_runs", "added_params", "added_leaf_operations"),
    *("added_kernels", "peak_live_ratio", "published_top1"),
)
ISOLATED_OVERVIEW = (
    *("channels", "latency_s", "bound", "bandwidth_share", "bytes_per_s", "map_copies"),
    *("kernels", "moved_bytes"),
)
"""The columns of the table at the top of a page."""

AS_PAPERS_COUNT = {"added_leaf_operations": "added MFLOPs (as papers count)"}
"""Headings in the tables that do not compare rules."""

BETWEEN_RUNS = "; intervals include the variation between runs"
WITHIN_RUN = "within this run"
ROUNDS_ALONE = "with the uncertainty of rounds alone, mean"
"""What the intervals of a table cover."""

OF_SEVERAL = {
    "latency_s": "mean latency (ms/image) [95%]",
    "ratio": "mean ratio, rounds alone [95%]",
    "outliers": "outliers in all runs",
}
"""Headings in tables of several runs."""

WAITED = "; the GPU waited for Python: latency is that of issuing"
"""Follows captions and settings where issuing took more than nine tenths of the time."""

OF_ISSUING = {"ratio_between_runs": "ratio of issuing [95%]"}
"""Headings there."""

FAILED = "; too noisy to judge"
"""Follows the caption or setting of everything measured where the control does not hold."""


@dataclass(frozen=True)
class LoadedRun:
    """A run with what is derived from its records, computed on first use and kept."""

    run: Run
    scatter: float | None = None
    """Standard deviation of log-ratios between runs; None for that of ``stats.between_runs``."""
    copies: tuple[str, ...] = ()
    """The names of folders that hold this run again, which are left out."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that the figures are of; several where they are taken together."""
        return (self.run,)

    @property
    def left_out(self) -> list[str]:
        """A sentence for each copy of the run that is left out."""
        began_at = began(self.run)
        return [
            f"{printable(name)} is left out: it is a copy of the run that began at {began_at}."
            for name in self.copies
        ]

    @cached_property
    def timed(self) -> Run:
        """The run whose times tables of modules alone show: the device's own, where there are."""
        of_device = self.run.case.isolated and has_device_times(self.run.rounds)
        return dataframe.device_times(self.run) if of_device else self.run

    @cached_property
    def control_ratio(self) -> Interval | None:
        """The ratio of the control to what it repeats."""
        plan = self.run.plan
        return ratios.ratio(self.timed.rounds, plan.control, baseline=plan.baseline)

    @cached_property
    def control_fault(self) -> str | None:
        """Why the run's control does not hold, or None where it does."""
        return control_fault(self.timed)

    @property
    def across(self) -> str:
        """What intervals cover that are not those of rounds alone, as the end of a caption."""
        several = len(self.runs) > 1
        return f"; mean of {len(self.runs)} runs{BETWEEN_RUNS}" if several else BETWEEN_RUNS

    @property
    def within(self) -> str:
        """What intervals cover that are those of rounds alone, as the end of a caption."""
        several = len(self.runs) > 1
        return f"{ROUNDS_ALONE} of {len(self.runs)} runs" if several else WITHIN_RUN

    @cached_property
    def device_control_ratio(self) -> Interval | None:
        """The ratio of the control to what it repeats, of the device's own times."""
        plan = self.run.plan
        rounds = device_rounds(self.run.rounds)
        return ratios.ratio(rounds, plan.control, baseline=plan.baseline)

    @cached_property
    def device_control_fault(self) -> str | None:
        """Why the device's own times allow no verdicts, or None where their control holds."""
        return control_fault(dataframe.device_times(self.run))

    @cached_property
    def has_device_times(self) -> bool:
        """Whether the device's own times are known beside those of issued steps."""
        return any(has_device_times(run.rounds) for run in self.runs)

    @cached_property
    def energy_control_ratio(self) -> Interval | None:
        """The ratio of the control's energy to that of what it repeats."""
        plan = self.run.plan
        return ratios.ratio(energy_rounds(self.run), plan.control, baseline=plan.baseline)

    @cached_property
    def energy_control_fault(self) -> str | None:
        """Why energy allows no verdicts, or None where its control holds."""
        return control_fault(as_energy(self.run))

    @cached_property
    def has_energy(self) -> bool:
        """Whether the energy of any step is known."""
        return any(energy_rounds(run) for run in self.runs)

    @cached_property
    def waited(self) -> tuple[str, ...]:
        """The variants whose steps the device waited for: their latency is that of issuing."""
        names = self.run.plan.variants
        return tuple(name for name in names if any(waited(run.rounds, name) for run in self.runs))

    @cached_property
    def leads_with_device(self) -> bool:
        """Whether the device's own times stand first, as it waited for the host that issued."""
        return bool(self.waited) and self.has_device_times and not self.run.case.isolated

    @property
    def foremost_fault(self) -> str | None:
        """Why the time that stands first allows no verdicts; None where its control holds."""
        return self.device_control_fault if self.leads_with_device else self.control_fault

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a variant, or a module and stage of an isolated run."""
        if self.run.case.isolated:
            return isolated.frame(self.timed)
        return dataframe.frame(self.run, verdicts=self.control_fault is None, scatter=self.scatter)


Runs = Mapping[str, LoadedRun]
"""Several runs by the names of their folders."""


def tables(loaded: LoadedRun) -> list[Table]:
    """Return the printed tables of a run, each narrow enough for a terminal or a page."""
    return _of_modules(loaded) if loaded.run.case.isolated else _of_networks(loaded)


def of_several(loaded: LoadedRun) -> list[Table]:
    """Return what stands for several runs of one configuration beside the tables of each."""
    caption = f"{loaded.run.case.described}: "
    glance, *others = _of_networks(loaded)
    shown = [glance, *(table for table in others if table.caption.startswith("Latency"))]
    return [replace(table, caption=caption + table.caption) for table in shown]


def overview(loaded: LoadedRun) -> Table:
    """Return the table at the top of a page; after the plain host, the fastest first."""
    frame = loaded.frame
    if loaded.run.case.isolated:
        caption = f"Isolated modules, {WITHIN_RUN}{_isolated_note(loaded)}"
        return printed(caption, isolated.COLUMNS, ISOLATED_OVERVIEW, frame)
    networks = frame[frame["variant"] != CONTROL]  # the control stands above the table
    pinned = networks["variant"] == PLAIN
    fastest_first = "device_ratio" if loaded.leads_with_device else "ratio"
    ordered = pd.concat([networks[pinned], networks[~pinned].sort_values(fastest_first)])
    failed = "" if loaded.foremost_fault is None else FAILED
    caption = f"Compared with the plain host{loaded.across}{failed}{_waited(loaded)}"
    keys = _with_runs(loaded, OVERVIEW_OF_DEVICE if loaded.has_device_times else OVERVIEW)
    keys = _without_common_code(loaded, keys)
    headings = AS_PAPERS_COUNT | _of_issuing(loaded)
    return printed(caption, columns.POOLED_COLUMNS, keys, ordered, headings)


def _waited(loaded: LoadedRun) -> str:
    """Return the end of a caption where latency is that of issuing."""
    return WAITED if loaded.waited else ""


def _of_issuing(loaded: LoadedRun) -> dict[str, str]:
    return OF_ISSUING if loaded.waited else {}


def _with_runs(loaded: LoadedRun, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return columns, of several runs with what shows their variation behind the ratio."""
    if len(loaded.runs) == 1:
        return keys
    place = keys.index("ratio_between_runs") + 1
    return (*keys[:place], "run_to_run", "runs", *keys[place:])


def _without_common_code(loaded: LoadedRun, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return columns without the code that all modules have where the control failed.

    The sentence on the control has said it, once for all.
    """
    modules = loaded.frame[~loaded.frame["variant"].isin((PLAIN, CONTROL))]
    common = loaded.control_fault is not None and modules["code"].nunique() == 1
    return tuple(key for key in keys if not (common and key == "code"))


def _of_networks(loaded: LoadedRun) -> list[Table]:
    case, frame = loaded.run.case, loaded.frame
    networks = frame[frame["variant"] != CONTROL]
    modules = networks[networks["variant"] != PLAIN]
    note = "" if loaded.control_fault is None else FAILED
    latency = (*LATENCY, "compile_s") if case.compiled else LATENCY
    pool = ("graph_pool_bytes",) if case.cuda_graph else ()
    of_device = [
        (
            f"The device's own time, and latency {loaded.within}{_waited(loaded)}",
            LATENCY_OF_DEVICE,
            frame,
        )
    ]
    of_parts = [
        (f"Latency of the {part} {loaded.within}{note}", (f"{part}_s", f"{part}_ratio"), frame)
        for part in PARTS
        if frame[f"{part}_s"].notna().any()
    ]
    step = stages.step_table(loaded.run)
    failed = "" if loaded.foremost_fault is None else FAILED
    glance = f"At a glance, compared with the plain host{loaded.across}{failed}{_waited(loaded)}"
    at_a_glance = AT_A_GLANCE_OF_DEVICE if loaded.has_device_times else AT_A_GLANCE
    glanced = _without_common_code(loaded, _with_runs(loaded, at_a_glance))
    headings = OF_SEVERAL if len(loaded.runs) > 1 else {}
    glance_headings = AS_PAPERS_COUNT | _of_issuing(loaded)
    return (
        [printed(glance, columns.POOLED_COLUMNS, glanced, modules, glance_headings)]
        + [
            printed(caption, columns.COLUMNS, keys, rows, headings)
            for caption, keys, rows in (
                ("Parameters, and operations for one image by counting rule", COUNTED, networks),
                ("The same, added to the plain host", ADDED, modules),
                ("Kernels and memory traffic of one forward pass, one image", WORK, networks),
                *(of_device if loaded.has_device_times else ()),
                (f"Latency {loaded.within}{note}", latency, frame),
                *_speeds(frame),
                *_energy(loaded),
                *of_parts,
                *_held(case, pool, networks),
            )
        ]
        + ([step] if step else [])
        + inside.tables(loaded.run)
    )


def _speeds(frame: pd.DataFrame) -> list[tuple[str, tuple[str, ...], pd.DataFrame]]:
    """Return the table of images a second and of single steps, where anything was timed."""
    caption = "Images a second, and single steps: what a share of them does not exceed"
    return [(caption, SPEED, frame)] if frame["images_per_s"].notna().any() else []


def _energy(loaded: LoadedRun) -> list[tuple[str, tuple[str, ...], pd.DataFrame]]:
    """Return the table of energy, where it was measured."""
    if not loaded.has_energy:
        return []
    failed = "" if loaded.energy_control_fault is None else FAILED
    return [(f"Energy{loaded.across}{failed}", ENERGY, loaded.frame)]


def _held(
    case: Case, pool: tuple[str, ...], networks: pd.DataFrame
) -> list[tuple[str, tuple[str, ...], pd.DataFrame]]:
    """Return the table of memory, or of files where a runtime executes these."""
    if not case.exported:
        return [("Peak memory of one step", (*MEMORY[kind_of(case.device)], *pool), networks)]
    name = RUNTIMES[case.runtime]
    modules = networks[networks["variant"] != PLAIN]
    return [
        (f"What {name} made of the networks", EXPORTED, networks),
        (f"Operators that modules add in {name}, by type", ("added_operators",), modules),
    ]


def _of_modules(loaded: LoadedRun) -> list[Table]:
    """Return the ceilings, what each module reaches, and what of its time ceilings explain."""
    note, frame = _isolated_note(loaded), loaded.frame
    explained = f"Share of their time that each ceiling explains, {WITHIN_RUN}{note}"
    return [
        Table(
            f"Ceilings of this machine, {WITHIN_RUN}{note}",
            ("ceiling", "best"),
            _ceilings(loaded.timed),
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
    for variant in isolated.map_copies(run):
        size = "x".join(map(str, map_of(variant) or ()))
        rows.append((f"copy of a map of {size}", variant, "GB/s", "moved_bytes"))
    rows += [
        ("large copy, of more than caches hold", COPY, "GB/s", "moved_bytes"),
        ("multiply-accumulates of a large matrix product", PRODUCT, "GMAC/s", "macs"),
    ]
    best = [
        (ceiling, _best(isolated.ceiling_rate(run, variant, amount), unit, 1e-9))
        for ceiling, variant, unit, amount in rows
    ]
    samples = ratios.seconds_per_step(run.rounds, LAUNCH)
    launch = median_interval(samples) if samples and executed(run, LAUNCH) else None
    return (*best, ("the smallest operator", _best(launch, "us", 1e6)))


def _best(figure: Interval | None, unit: str, scale: float) -> str:
    if figure is None:
        return formatting.NOTHING
    return formatting.with_interval(figure, scale=scale, unit=f" {unit}")
