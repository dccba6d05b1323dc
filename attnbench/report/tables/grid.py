"""Several configurations beside each other: the overhead of each module in each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.errors import UserError
from attnbench.formatting import title
from attnbench.records.case import RUNTIMES
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables.columns import CONFIGURATION
from attnbench.report.tables.dataframe import configuration
from attnbench.report.tables.run import BETWEEN_RUNS, LoadedRun, Runs
from attnbench.report.tables.runtimes import paired
from attnbench.report.tables.table import Table, interval, marked
from attnbench.stats.interval import Interval


def tidy(runs: Runs) -> pd.DataFrame:
    """Return one row a run and variant: the columns of its configuration, then those of its frame.

    Raises:
        UserError: no runs, or isolated runs beside those of networks, which have other columns.
    """
    if not runs:
        raise UserError("no runs")
    if len({loaded.run.case.isolated for loaded in runs.values()}) > 1:
        raise UserError("isolated runs beside networks: their columns differ; read them apart")
    frames = []
    for name, loaded in runs.items():
        frame = loaded.frame
        facts = configuration(loaded.run, name, loaded.control_fault)
        repeated = pd.DataFrame([facts] * len(frame), index=frame.index)
        frames.append(pd.concat([repeated, frame], axis="columns"))
    return pd.concat(frames, ignore_index=True).copy()


NOT_SETTINGS = ("run", "isolated", "time", "control_fault")
"""The facts of a run that do not tell configurations apart."""


def labels(runs: Runs) -> dict[str, str]:
    """Return what distinguishes each run: the settings and machine that differ, else its folder."""
    facts = {name: configuration(loaded.run, name, None) for name, loaded in runs.items()}
    shown = (column.key for column in CONFIGURATION if column.key not in NOT_SETTINGS)
    differing = [key for key in shown if len({str(known[key]) for known in facts.values()}) > 1]
    settings = {
        name: ", ".join(_named(key, known[key]) for key in differing)
        for name, known in facts.items()
    }
    if len(set(settings.values())) == len(settings):
        return settings
    return {name: f"{name}: {text}" if text else name for name, text in settings.items()}


def shared(runs: Runs) -> str:
    """Return the settings that all runs have in common, in one line."""
    first, *others = (loaded.run.case.described.split(", ") for loaded in runs.values())
    return ", ".join(word for word in first if all(word in words for words in others))


def grid(runs: Runs) -> Table:
    """Return the ratios to the plain host, one row a run."""
    modules = tuple(dict.fromkeys(name for loaded in runs.values() for name in loaded.run.modules))
    headings = ("configuration", "plain (ms/image)", "control [95%]", *map(title, modules))
    rows = tuple(
        (label, *_cells(loaded, modules))
        for label, loaded in zip(labels(runs).values(), runs.values(), strict=True)
    )
    errors = tuple(_largest_error(loaded) for loaded in runs.values())
    caption = "Latency ratio to the plain host of the same configuration"
    signs = "= no significant difference, ? too noisy to judge"
    definitions = (
        "The settings in which the runs differ.",
        "Median time of the plain host for one image.",
        "The plain host against itself, within this run.",
        *(f"Latency with {name} over the plain host's." for name in headings[3:]),
    )
    if set(errors) != {formatting.NOTHING}:  # never a ratio of int8 without its error
        headings = (*headings, "outputs off by at most")
        rows = tuple((*row, error) for row, error in zip(rows, errors, strict=True))
        definitions = (*definitions, LARGEST_ERROR)
    caption = f"{caption}{BETWEEN_RUNS}; {signs}. {shared(runs)}"
    return Table(caption, headings, rows, definitions)


MOST_TYPES = 4
"""Of the operators that a module adds, in the table of all runtimes."""


def by_runtime(runs: Runs) -> list[Table]:
    """Return what each runtime made of each module, where runs differ in it: a row a module.

    First the plain host's own latency, where runtimes shared rounds. Then why a module costs there
    what it costs: operators that were not fused, and of which types; bytes of the files; and how
    far the outputs are those of eager PyTorch.
    """
    if len({loaded.run.case.runtime for loaded in runs.values()}) == 1:
        return []
    named = dict(zip(labels(runs).values(), runs.values(), strict=True))
    files = {label: loaded for label, loaded in named.items() if loaded.run.case.exported}
    modules = list(dict.fromkeys(name for run in runs.values() for name in run.run.modules))
    shown: tuple[tuple[str, Callable[[pd.Series[Any]], str]], ...] = (
        (
            f"Types of the operators added; the {MOST_TYPES} of which there are most more",
            _first_types,
        ),
        (
            "What each module adds to the file (MiB)",
            lambda row: formatting.mebibytes(row["added_artefact_bytes"], signed=True),
        ),
        (
            "Largest difference to the outputs of eager PyTorch in float32, as a share of the "
            "largest output",
            lambda row: formatting.error(row["relative_error"]),
        ),
    )
    seen = {label: loaded for label, loaded in named.items() if not loaded.run.case.compiled}
    tables = [_side_by_side(caption, files, modules, cell) for caption, cell in shown]
    operators = [_operators(seen, modules)] if seen else []
    return [*paired.tables(named), *operators, *(tables if files else [])]


def _side_by_side(
    caption: str, runs: Runs, modules: list[str], cell: Callable[[pd.Series[Any]], str]
) -> Table:
    frames = [loaded.frame.set_index("variant").reindex(modules) for loaded in runs.values()]
    cells = [[cell(row) for _, row in frame.iterrows()] for frame in frames]
    rows = tuple(zip(map(title, modules), *cells, strict=True))
    return Table(caption, ("module", *runs), rows)


def _operators(shown: dict[str, LoadedRun], modules: list[str]) -> Table:
    """Return the operators that modules add, before any fusing and after a runtime's own."""
    table = _side_by_side(
        "Operators that each module adds; an exporting runtime's after its own optimisation, eager "
        "PyTorch's before any",
        shown,
        modules,
        _added_operators,
    )
    eager = "Operators of one forward that launch work: nothing is fused."
    runtime = (
        "Where there are fewer than in eager PyTorch, the runtime has fused some of them; where "
        "there are as many or more, none, and changes of layout may have come on top."
    )
    meanings = (runtime if loaded.run.case.exported else eager for loaded in shown.values())
    return replace(table, definitions=("Its operators less the plain host's.", *meanings))


def _first_types(row: pd.Series[Any]) -> str:
    """Return the types of operators of which a module adds most, largest first."""
    listed = row["added_operators"]
    if not isinstance(listed, str) or not listed:
        return formatting.NOTHING
    more = [part for part in listed.split(", ") if "+" in part]
    return ", ".join(more[:MOST_TYPES]) or formatting.NOTHING


LARGEST_ERROR = (
    "Of all networks of the run: the largest difference of an output to that of eager PyTorch in "
    "float32, as a share of the largest output."
)


def _largest_error(loaded: LoadedRun) -> str:
    return formatting.error(loaded.frame["relative_error"].max())


def _added_operators(row: pd.Series[Any]) -> str:
    key = "added_kernels" if isnan(row["added_nodes"]) else "added_nodes"
    return marked(formatting.whole(row[key], signed=True), row, key)


def turned(table: Table) -> Table:
    """Return the table with a row a module where that is narrower, else as it is."""
    if len(table.rows) >= len(table.headings) - 1:
        return table
    configurations, *columns = zip(*table.rows, strict=True)
    rows = zip(table.headings[1:], *zip(*columns, strict=True), strict=True)
    meaning = "The figure, or the module whose latency is over the plain host's."
    definitions = (meaning, *("Settings that differ between the runs." for _ in configurations))
    return Table(table.caption, ("module", *configurations), tuple(rows), definitions)


def _named(key: str, value: object) -> str:
    """Return a setting with its name where its value alone is unclear: ``batch 8``, ``float32``."""
    name = key.removesuffix("_size").replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"not {name}"
    if key == "runtime":
        return RUNTIMES[str(value)]
    if key in {"dtype", "host", "mode", "device", "processor"}:
        return str(value)
    return f"{name} {value}"


def _cells(loaded: LoadedRun, modules: Sequence[str]) -> list[str]:
    frame = loaded.frame.set_index("variant").reindex([PLAIN, CONTROL, *modules])
    plain, *others = (row for _, row in frame.iterrows())
    control, *ratios = (
        interval(row, key)
        for row, key in zip(others, ("ratio", *["ratio_between_runs"] * len(modules)), strict=True)
    )
    failed = loaded.control_fault is not None
    return [
        formatting.thousandths(plain["latency_s"]),
        f"{formatting.ratio(control)} too noisy" if failed else formatting.ratio(control),
        *(_marked(ratio, verdicts=not failed) for ratio in ratios),
    ]


def _marked(ratio: Interval | None, *, verdicts: bool) -> str:
    text = formatting.ratio(ratio)
    if ratio is None or (verdicts and ratio.excludes_one):
        return text
    mark = "=" if verdicts else "?"
    if isinstance(text, formatting.IntervalText):
        return formatting.IntervalText(f"{mark} {text}", f"{mark} {text.plus_minus}")
    return f"{mark} {text}"
