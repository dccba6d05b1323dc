"""A run as a tidy DataFrame: one row a variant, raw and in base units, as ``columns`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations

import pandas as pd

from attnbench.claims import published_accuracy
from attnbench.claims.published_accuracy import Recipe
from attnbench.records import evaluation, image_size
from attnbench.records.image_size import Size
from attnbench.records.run import Run
from attnbench.records.schema import Count, Memory
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION, PARTS, RULES, WORDS, listed
from attnbench.stats import interval, ratios
from attnbench.stats.interval import Interval, percent_right

Row = dict[str, object]


def frame(run: Run) -> pd.DataFrame:
    """One row a variant of the plan, columns as in :data:`COLUMNS`, missing figures as NaN."""
    fault = control_fault(run)
    ties = _ties(run) if fault is None else {}
    recipe = published_accuracy.recipe(run.case.host, modules=run.modules)
    rows = [
        {
            "variant": variant,
            **_counts(run, variant),
            **_latency(run, variant, verdicts=fault is None),
            **_parts(run, variant),
            "compile_s": run.compiled[variant].seconds if variant in run.compiled else None,
            "tied_with": listed(ties.get(variant, [])),
            **_memory(run, variant),
            **_published(run, recipe, variant),
            **_measured(run, variant),
            "error": "; ".join(
                f"{step}: {failure.type}: {failure.message}"
                for step, failure in run.failures.get(variant, {}).items()
            ),
        }
        for variant in run.plan.variants
    ]
    table = pd.DataFrame(rows, columns=[column.key for column in COLUMNS])
    return table.astype(dict.fromkeys(table.columns.drop(list(WORDS)), float))


def configuration(run: Run, name: str) -> Row:
    """What a run was: settings, machine and moment; keys as in ``columns.CONFIGURATION``."""
    known = {
        "run": name,
        **run.environment,
        **asdict(run.case),
        "stages": " ".join(map(str, run.case.stages)),
        "image_size": _size(run.case.image_size),
        "control_fault": control_fault(run),
    }
    known["processor"] = run.environment.get("gpu") or run.environment.get("cpu")
    return {column.key: known.get(column.key) for column in CONFIGURATION}


def _size(size: Size) -> int | str:
    """A number where the image is square, so that tables can compute with it."""
    return size if isinstance(size, int) else image_size.option(size)


def control_fault(run: Run) -> str | None:
    """Why the run's control does not hold, or None where it does."""
    return ratios.control_fault(
        run.rounds, run.plan.target, baseline=run.plan.baseline, control=run.plan.control
    )


def _ties(run: Run) -> dict[str, list[str]]:
    """For each module those from which the rounds of this run cannot tell it apart."""
    ties: dict[str, list[str]] = {}
    for one, other in combinations(run.modules, 2):
        found = ratios.ratio(run.rounds, one, baseline=other)
        if found is not None and not found.excludes_one:
            ties.setdefault(one, []).append(other)
            ties.setdefault(other, []).append(one)
    return ties


def _published(run: Run, recipe: Recipe | None, variant: str) -> Row:
    top1 = published_accuracy.top1(recipe, run.case, variant)
    if recipe is None or top1 is None:
        return {}
    return {"published_top1": top1, "published_recipe": recipe.described}


def _measured(run: Run, variant: str) -> Row:
    """The accuracy of weights that were evaluated here; none where there are several.

    Only of the network that was timed, on images of the size that it was timed on: evaluated are
    networks with the module in every block.
    """
    mine = [
        each
        for each in evaluation.of(run.evaluations, run.case.host, variant)
        if each.preprocessing.crop == run.case.image_size
    ]
    if len(mine) != 1 or not (run.case.everywhere or variant == PLAIN):
        return {}
    top1, top5 = (percent_right(mine[0], metric) for metric in ("top1", "top5"))
    return {
        "measured_top1": top1.median,
        "measured_top1_low": top1.low,
        "measured_top1_high": top1.high,
        "measured_top5": top5.median,
        "measured_top5_low": top5.low,
        "measured_top5_high": top5.high,
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
    step = interval.median_interval(samples)
    images = run.case.batch_size
    row: Row = {
        "latency_s": step.median / images,
        "latency_low_s": step.low / images,
        "latency_high_s": step.high / images,
        "rounds": len(samples),
        "outliers": ratios.outliers(ratios.log_ratios(run.rounds, variant)),
    }
    ratio = ratios.ratio(run.rounds, variant)
    if ratio is None:
        return row
    if variant == PLAIN:
        ratio = Interval(1.0, 1.0, 1.0)
    row |= {"ratio": ratio.median, "ratio_low": ratio.low, "ratio_high": ratio.high}
    if verdicts and variant not in (PLAIN, CONTROL):
        row["verdict"] = ratios.verdict(ratio)
    return row


def _parts(run: Run, variant: str) -> Row:
    row: Row = {}
    for part in PARTS:
        samples = ratios.seconds_per_step(run.rounds, variant, part)
        ratio = ratios.ratio(run.rounds, variant, part=part)
        if not samples or ratio is None:
            continue
        if variant == PLAIN:
            ratio = Interval(1.0, 1.0, 1.0)
        row |= {
            f"{part}_s": interval.median_interval(samples).median / run.case.batch_size,
            f"{part}_ratio": ratio.median,
            f"{part}_ratio_low": ratio.low,
            f"{part}_ratio_high": ratio.high,
        }
    return row


def _memory(run: Run, variant: str) -> Row:
    mine, plain = run.memory.get(variant), run.memory.get(PLAIN)
    if mine is None:
        return {}
    figures = _peaks(mine)
    row: Row = {f"{key}_bytes": value for key, value in figures.items()}
    if plain is not None:
        base = _peaks(plain)
        row |= {
            f"{key}_ratio": value / base[key]  # type: ignore[operator]
            for key, value in figures.items()
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
