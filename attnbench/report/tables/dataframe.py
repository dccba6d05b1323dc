"""The frame of a run of networks: one row a variant, raw and in base units, as ``columns`` says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations

import pandas as pd

from attnbench.claims import published_accuracy
from attnbench.claims.published_accuracy import Recipe
from attnbench.records import image_size
from attnbench.records.run import Run
from attnbench.records.schema import Count, Memory
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION, PARTS, RULES, WORDS
from attnbench.report.tables.table import figures
from attnbench.stats import interval, ratios
from attnbench.stats.interval import Interval, percent_right

Row = dict[str, object]

ONE = Interval(1.0, 1.0, 1.0)


def frame(run: Run, *, verdicts: bool) -> pd.DataFrame:
    """Return one row a variant of the plan; columns as in :data:`COLUMNS`, missing figures NaN.

    ``verdicts`` and ties are left out where the run's control does not hold.
    """
    ties = _ties(run) if verdicts else {}
    recipe = published_accuracy.recipe(run.case.host, modules=run.modules)
    rows = [
        {
            "variant": variant,
            **_counts(run, variant),
            **_latency(run, variant, verdicts=verdicts),
            **_parts(run, variant),
            "compile_s": run.compiled[variant].seconds if variant in run.compiled else None,
            "tied_with": json.dumps(ties[variant], ensure_ascii=False) if variant in ties else "",
            **_memory(run, variant),
            **_published(run, recipe, variant),
            **_measured(run, variant),
            "error": errors(run, variant),
        }
        for variant in run.plan.variants
    ]
    table = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    return table.astype(dict.fromkeys(table.columns.drop(list(WORDS)), float))


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
        **asdict(run.case),
        "stages": " ".join(map(str, run.case.stages)),
        "image_size": size if isinstance(size, int) else image_size.option(size),
        "control_fault": control_fault,
        "processor": run.environment.get("gpu") or run.environment.get("cpu"),
    }
    return {column.key: known.get(column.key) for column in CONFIGURATION}


def _ties(run: Run) -> dict[str, list[str]]:
    """Return for each module those whose latency does not differ from its own significantly."""
    ties: dict[str, list[str]] = {}
    for one, other in combinations(run.modules, 2):
        ratio = ratios.ratio(run.rounds, one, baseline=other)
        if ratio is not None and not ratio.excludes_one:
            ties.setdefault(one, []).append(other)
            ties.setdefault(other, []).append(one)
    return ties


def _published(run: Run, recipe: Recipe | None, variant: str) -> Row:
    top1 = published_accuracy.top1(recipe, run.case, variant)
    if recipe is None or top1 is None:
        return {}
    return {"published_top1": top1, "published_recipe": recipe.described}


def _measured(run: Run, variant: str) -> Row:
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
    mine, plain = run.counts.get(variant), run.counts.get(PLAIN)
    if mine is None:
        return {}
    params, base_params = _of(mine, "learnable").params, _of(plain, "learnable").params
    row: Row = {
        "params": params,
        "added_params": _less(params, base_params),
        "thop_params": _of(mine, "thop").params,
    }
    for rule in RULES:
        operations = _of(mine, rule).operations
        row[f"{rule}_operations"] = operations
        row[f"added_{rule}_operations"] = _less(operations, _of(plain, rule).operations)
    executed = _executed(mine)
    row |= executed
    if plain is not None:
        base = _executed(plain)
        row |= {f"added_{key}": _less(value, base.get(key)) for key, value in executed.items()}
    return row


def _of(counts: Mapping[str, Count] | None, rule: str) -> Count:
    return (counts or {}).get(rule, Count())


def _executed(counts: Mapping[str, Count]) -> dict[str, int]:
    details = _of(counts, "executed").details or {}
    if not {"kernels", "bytes_read", "bytes_written"} <= set(details):
        return {}
    return {
        "kernels": details["kernels"],
        "moved_bytes": details["bytes_read"] + details["bytes_written"],
    }


def _less(value: int | None, base: int | None) -> int | None:
    return None if value is None or base is None else value - base


def _latency(run: Run, variant: str, *, verdicts: bool) -> Row:
    samples = ratios.seconds_per_step(run.rounds, variant)
    if not samples:
        return {}
    step, images = interval.median_interval(samples), run.case.batch_size
    latency = Interval(step.median / images, step.low / images, step.high / images)
    row: Row = {
        **figures("latency_s", latency),
        "rounds": len(samples),
        "outliers": ratios.outliers(ratios.log_ratios(run.rounds, variant)),
    }
    ratio = ratios.ratio(run.rounds, variant)
    if ratio is None:
        return row
    row |= figures("ratio", ONE if variant == PLAIN else ratio)
    if verdicts and variant not in (PLAIN, CONTROL):
        row["verdict"] = ratios.verdict(ratio)
    return row


def _parts(run: Run, variant: str) -> Row:
    row: Row = {}
    for part in PARTS:
        samples = ratios.seconds_per_step(run.rounds, variant, part)
        ratio = ratios.ratio(run.rounds, variant, part=part)
        if samples and ratio is not None:
            row[f"{part}_s"] = interval.median_interval(samples).median / run.case.batch_size
            row |= figures(f"{part}_ratio", ONE if variant == PLAIN else ratio)
    return row


def _memory(run: Run, variant: str) -> Row:
    mine, plain = run.memory.get(variant), run.memory.get(PLAIN)
    if mine is None:
        return {}
    peaks = _peaks(mine)
    row: Row = {f"{key}_bytes": value for key, value in peaks.items()}
    if plain is not None:
        base = _peaks(plain)
        row |= {
            f"{key}_ratio": value / base[key]  # type: ignore[operator]
            for key, value in peaks.items()
            if value is not None and base[key]
        }
    return row


def _peaks(memory: Memory) -> dict[str, int | None]:
    return {
        "peak_live": memory.peak_live_bytes,
        "peak_resident": memory.peak_resident_bytes,
        "peak_allocated_above": _less(memory.peak_allocated_bytes, memory.allocated_bytes),
        "peak_reserved_above": _less(memory.peak_reserved_bytes, memory.reserved_bytes),
        "peak_reserved": memory.peak_reserved_bytes,
    }
