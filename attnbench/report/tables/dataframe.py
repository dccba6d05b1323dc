"""The frame of a run of networks: one row a variant, raw and in base units, as ``columns`` says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from math import expm1, inf, isfinite, nan
from typing import Any

import pandas as pd

from attnbench.claims import published_accuracy
from attnbench.claims.published_accuracy import Recipe
from attnbench.records import image_size
from attnbench.records.run import Run
from attnbench.records.schema import Count, Memory
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report import unknown_operators
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION
from attnbench.report.tables.figures.counted import RULES
from attnbench.report.tables.figures.memory import PEAKS
from attnbench.report.tables.figures.timed import PARTS
from attnbench.report.tables.table import ends_of, figures, typed
from attnbench.stats import between_runs, interval, ratios
from attnbench.stats.interval import Interval, percent_right
from attnbench.stats.quantities import joules, single_steps
from attnbench.stats.quantities.device_time import device_rounds, has_device_times, issued_share
from attnbench.stats.quantities.joules import as_energy
from attnbench.stats.replicates import Replicates, began, control_fault
from attnbench.stats.verdicts import reasons

Row = dict[str, object]

ONE = Interval(1.0, 1.0, 1.0)


def frame(run: Run, *, verdicts: bool, scatter: float | None = None) -> pd.DataFrame:
    """Return one row a variant of the plan; columns as in :data:`COLUMNS`, missing figures NaN.

    ``verdicts`` and ties are left out where the run's control does not hold. ``scatter`` is the
    standard deviation of log-ratios between runs; by default that of ``stats.between_runs``.
    """
    ties = _ties(run, scatter, verdicts=verdicts)
    of_device, own = device_times(run), has_device_times(run.rounds)
    code = None if verdicts else _control_code(run)
    device_code = None if control_fault(of_device) is None else _control_code(of_device)
    of_energy = as_energy(run)
    recipe = published_accuracy.recipe(run.case.host, modules=run.modules)
    rows = [
        {
            "variant": variant,
            **_counts(run, variant),
            **_latency(run, variant, scatter, code),
            **(
                under_device_keys(_latency(of_device, variant, scatter, device_code)) if own else {}
            ),
            "issued_share": issued_share(run.rounds, variant),
            **_of_energy(run, of_energy, variant, scatter),
            **_parts(run, variant),
            "compile_s": run.compiled[variant].seconds if variant in run.compiled else None,
            **_exported(run, variant),
            **ties[variant],
            **_memory(run.memory.get(variant)),
            **_published(run, recipe, variant),
            **measured(run, variant),
            "too_low": _listed(unknown_operators.too_low(run, variant, tuple(RULES))),
            "unknown_operators": unknown_operators.written(unknown_operators.unknown(run, variant)),
            "error": errors(run, variant),
        }
        for variant in run.plan.variants
    ]
    table = typed(rows, COLUMNS)
    plain = table.set_index("variant").loc[PLAIN]
    for column in COLUMNS:
        if (added := f"added_{column.key}") in table:
            table[added] = table[column.key] - plain[column.key]
    for peak in PEAKS:
        key = f"peak_{peak}_bytes"
        table[f"peak_{peak}_ratio"] = table[key] / _base(peak, plain[key])
    return table.copy()  # pandas warns of columns that each lie apart


def _listed(keys: Sequence[str]) -> str:
    known = {column.key for column in COLUMNS}
    mine = [key for key in keys if key in known]
    return json.dumps(mine) if mine else ""


SEGMENTS = {"reserved", "reserved_above"}
LEAST_SEGMENTS_BYTES = 10 * 20 * 2**20
"""Ten segments of the allocator: a ratio of fewer is one of rounding."""


def _base(peak: str, plain: Any) -> float:
    """Return what peaks are divided by; none of zero bytes, and of segments none of few."""
    few = peak in SEGMENTS and plain < LEAST_SEGMENTS_BYTES
    return nan if few or not plain else float(plain)


def errors(run: Run, variant: str) -> str:
    """Return what failed in a variant: each step with the type and message of its error."""
    failures = run.failures.get(variant, {}).items()
    return "; ".join(f"{step}: {error.type}: {error.message}" for step, error in failures)


def configuration(run: Run, name: str, control_fault: str | None) -> Row:
    """Return settings, machine and start of a run; keys as in ``columns.CONFIGURATION``."""
    size = run.case.image_size
    known = {
        "run": name,
        **run.environment,
        "time": began(run) if run.environment.get("time") else None,
        **asdict(run.case),
        "stages": " ".join(map(str, run.case.stages)),
        "image_size": size if isinstance(size, int) else image_size.option(size),
        "control_fault": control_fault,
        "processor": run.environment.get("gpu") or run.environment.get("cpu"),
    }
    return {column.key: known.get(column.key) for column in CONFIGURATION}


def _ties(run: Run, scatter: float | None, *, verdicts: bool) -> dict[str, dict[str, str]]:
    """Return by module and column those whose latency does not differ from its own significantly.

    They are lists in JSON, empty text where there are none. One column goes by the interval within
    this run, the other by the one that covers the variation between runs as well.
    """
    ties: dict[str, dict[str, list[str]]] = {
        variant: {"tied_with": [], "tied_between_runs": []} for variant in run.plan.variants
    }
    for one, other in combinations(run.modules, 2) if verdicts else ():
        ratio = ratios.ratio(run.rounds, one, baseline=other)
        if ratio is None:
            continue
        known = {"tied_with": ratio, "tied_between_runs": between_runs.known([ratio], scatter)}
        for key, interval_of_both in known.items():
            if not interval_of_both.excludes_one:
                ties[one][key].append(other)
                ties[other][key].append(one)
    return {
        variant: {key: json.dumps(names) if names else "" for key, names in of_variant.items()}
        for variant, of_variant in ties.items()
    }


def _published(run: Run, recipe: Recipe | None, variant: str) -> Row:
    known = {
        source.described: top1
        for source in published_accuracy.recipes(run.case.host)
        if (top1 := published_accuracy.top1(source, run.case, variant)) is not None
    }
    row: Row = {"published_by_recipe": json.dumps(known, ensure_ascii=False) if known else ""}
    if recipe is not None and recipe.described in known:
        described = recipe.described
        row |= {"published_top1": known[described], "published_recipe": described}
    return row


def measured(run: Run, variant: str) -> Row:
    """Return the accuracy of weights that were evaluated here; empty where there are several.

    Only of the network that was timed, on images of the size that it was timed on: networks are
    evaluated with the module in every block.
    """
    network = (run.case.host, variant, run.case.image_size)
    mine = [
        known
        for known in run.evaluations
        if (known.host, known.variant, known.preprocessing.crop) == network
    ]
    if len(mine) != 1 or not (run.case.everywhere or variant == PLAIN):
        return {}
    return {
        **figures("measured_top1", percent_right(mine[0], "top1")),
        **figures("measured_top5", percent_right(mine[0], "top5")),
        "measured_on": f"{mine[0].data.name}, {mine[0].images:,} images; {mine[0].weights.name}",
    }


def _counts(run: Run, variant: str) -> Row:
    counts = defaultdict(Count, run.counts.get(variant, {}))
    return {
        "params": counts["learnable"].params,
        "thop_params": counts["thop"].params,
        **{f"{rule}_operations": counts[rule].operations for rule in RULES},
        **executed(run, variant),
    }


def executed(run: Run, variant: str) -> dict[str, int]:
    """Return the work that the `executed` rule counted; empty where counting failed."""
    return work(run.counts.get(variant, {}).get("executed", Count()).details or {})


def work(sums: Mapping[str, int]) -> dict[str, int]:
    """Return sums of the `executed` rule by the keys of columns; empty where one is missing."""
    if not {"kernels", "bytes_read", "bytes_written", "macs"} <= sums.keys():
        return {}
    moved = sums["bytes_read"] + sums["bytes_written"]
    return {"kernels": sums["kernels"], "moved_bytes": moved, "macs": sums["macs"]}


def _control_code(run: Run) -> str:
    return Replicates((run,)).control_code or reasons.CONTROL


def _latency(run: Run, variant: str, scatter: float | None, control_code: str | None) -> Row:
    """Return figures, verdict and code; where the control fails, ``control_code`` alone."""
    samples = ratios.seconds_per_step(run.rounds, variant)
    if not samples:
        return {"code": reasons.UNTIMED} if run.rounds and variant in run.modules else {}
    step, images = interval.median_interval(samples), run.case.batch_size
    latency = Interval(step.median / images, step.low / images, step.high / images)
    row: Row = {
        **figures("latency_s", latency),
        **figures("images_per_s", _inverse(latency)),
        **single_steps_of([run], variant),
        "rounds": len(samples),
        "outliers": ratios.outliers(ratios.log_ratios(run.rounds, variant)),
    }
    ratio = ratios.ratio(run.rounds, variant)
    if ratio is not None:
        known = between_runs.known([ratio], scatter)
        within, between = (ONE, ONE) if variant == PLAIN else (ratio, known)
        row |= figures("ratio", within) | figures("ratio_between_runs", between)
        row |= _levels(run, variant)
        if variant not in (PLAIN, CONTROL):
            row["code"] = control_code or reasons.of_run(within, between)
            if control_code is None:
                row["verdict"] = _verdict(within, between)
    return row


def _inverse(seconds: Interval) -> Interval:
    most = 1 / seconds.low if seconds.low > 0 else inf  # of few rounds no end is known
    return Interval(1 / seconds.median, 1 / seconds.high, most)


def single_steps_of(runs: Sequence[Run], variant: str) -> Row:
    """Return percentiles of a variant's single steps in all of these runs."""
    rounds = [timed for run in runs for timed in run.rounds]
    known = single_steps.seconds_of_steps(rounds, variant)
    return {
        f"step_p{share}_s": single_steps.percentile(known, share)
        for share in single_steps.PERCENTILES
    }


def _levels(run: Run, variant: str) -> Row:
    """Return what rounds and processes leave open of the ratio."""
    processes = {
        timed.process
        for timed in run.rounds
        if any(block.variant == variant for block in timed.blocks)
    }
    row: Row = {"processes": len(processes)}
    parts = ratios.parts(run.rounds, variant)
    if variant != PLAIN and parts is not None and isfinite(parts.rounds):
        row["ratio_rounds"] = expm1(parts.rounds)
        row["ratio_processes"] = None if parts.processes is None else expm1(parts.processes)
    return row


def device_times(run: Run) -> Run:
    """Return the run with the device's own times in the place of those that users have."""
    return replace(run, rounds=device_rounds(run.rounds))


def under_device_keys(latency: Row) -> Row:
    """Return figures of latency under the keys of the device's own."""
    counted_once = {"rounds", "outliers"}
    return {f"device_{key}": value for key, value in latency.items() if key not in counted_once}


def _of_energy(run: Run, of_energy: Run, variant: str, scatter: float | None) -> Row:
    """Return figures of energy: those of latency, of joules in the place of seconds."""
    known = [*joules.windows(run, variant)]
    if not known:
        untimed = bool(of_energy.rounds) and variant in run.modules
        return {"energy_code": reasons.UNTIMED} if untimed else {}
    code = None if control_fault(of_energy) is None else _control_code(of_energy)
    latency = _latency(of_energy, variant, scatter, code)
    mine, its = (("energy_j", *ends_of("energy_j")), ("latency_s", *ends_of("latency_s")))
    row: Row = {one: latency[other] for one, other in zip(mine, its, strict=True)}
    row |= {
        f"energy_{key}": latency[key]
        for key in latency
        if key.startswith(("ratio", "verdict", "code"))
    }
    row |= {"power_w": joules.power_w(run, variant), "energy_windows": len(known)}
    sensed = all(window.power_j is not None for window in known)
    return row | ({"energy_apart": sum(map(joules.apart, known))} if sensed else {})


def _verdict(within: Interval, between: Interval) -> str:
    """Return what the ratio allows to say of any run, else what it says of this one alone."""
    if within.excludes_one and not between.excludes_one:
        return f"{ratios.verdict(within)} in this run"
    return ratios.verdict(between)


def _parts(run: Run, variant: str) -> Row:
    row: Row = {}
    for part in PARTS:
        samples = ratios.seconds_per_step(run.rounds, variant, part)
        ratio = ratios.ratio(run.rounds, variant, part=part)
        if samples and ratio is not None:
            row[f"{part}_s"] = interval.median_interval(samples).median / run.case.batch_size
            row |= figures(f"{part}_ratio", ONE if variant == PLAIN else ratio)
    return row


def _exported(run: Run, variant: str) -> Row:
    """Return what is known of the variant's file; of the plain host's for the control's."""
    export, plain = run.export.get(variant), run.export.get(PLAIN)
    if export is None:
        return {}
    more = Counter(export.operators)
    more.subtract(plain.operators if plain else {})
    listed = (f"{name} {count:+d}" for name, count in more.most_common() if count)
    return {
        "nodes": sum(export.operators.values()),
        "added_operators": ", ".join(listed) if plain else "",
        "artefact_bytes": export.bytes,
        "relative_error": export.relative_error,
        "export_s": export.seconds,
    }


def _memory(memory: Memory | None) -> Row:
    if memory is None:
        return {}
    return {
        "peak_live_bytes": memory.peak_live_bytes,
        "peak_resident_bytes": memory.peak_resident_bytes,
        "peak_allocated_bytes": memory.peak_allocated_bytes,
        "peak_allocated_above_bytes": _less(memory.peak_allocated_bytes, memory.allocated_bytes),
        "peak_reserved_above_bytes": _less(memory.peak_reserved_bytes, memory.reserved_bytes),
        "peak_reserved_bytes": memory.peak_reserved_bytes,
        "graph_pool_bytes": memory.graph_pool_bytes,
    }


def _less(value: int | None, base: int | None) -> int | None:
    return None if value is None or base is None else value - base
