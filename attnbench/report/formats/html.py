"""report.html: one file that asks nobody for anything, with everything that a run says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
import pandas as pd
from markupsafe import Markup

from attnbench import formatting
from attnbench.formatting import title
from attnbench.records import evaluation, store
from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.plots.render import Picture
from attnbench.report.tables import accuracy as measured
from attnbench.report.tables import claims as published
from attnbench.report.tables import isolated as alone
from attnbench.report.tables import reproduce, stages
from attnbench.report.tables.columns import COLUMNS
from attnbench.report.tables.dataframe import control_fault
from attnbench.report.tables.grid import Runs, grid, labels
from attnbench.report.tables.remarks import control, machine, remarks
from attnbench.report.tables.run import sheets
from attnbench.report.tables.table import Table, printed

COMPARED = (
    "ratio",
    "verdict",
    "tied_with",
    "latency_s",
    "added_params",
    "added_leaf_operations",
    "added_kernels",
    "peak_live_ratio",
    "published_top1",
)
"""The columns of the table at the top."""

MARKS = {
    "slower": "bad",
    "faster": "good",
    "no significant difference": "tie",
    "reproduced": "good",
    "explained": "tie",
    "contradicted": "bad",
}
"""How verdicts are coloured, beside being words."""

FIGURE = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")


@dataclass(frozen=True)
class Accuracy:
    """Evaluations on a page: how each was made is said below the table."""

    table: Table
    notes: Sequence[str]
    commands: Sequence[str]


@dataclass(frozen=True)
class Section:
    """One run on a page."""

    anchor: str
    heading: str
    isolated: bool
    holds: bool
    control: str
    facts: Sequence[tuple[str, str]]
    remarks: Sequence[str]
    compared: Table
    pinned: int
    """How many rows at the top stay there whatever the table is sorted by."""
    pictures: Sequence[Picture]
    accuracy: Accuracy | None
    stages: Table | None
    claims: Table | None
    unspoken: int
    tables: Sequence[Table]
    command: str
    environment: Sequence[tuple[str, str]]


def page(
    runs: Runs,
    pictures: Mapping[str, Sequence[Picture]],
    joint: Sequence[Picture],
    apart: Sequence[Evaluation] = (),
) -> str:
    """The page of one run or of several; ``pictures`` has the plots of each, ``joint`` of all.

    ``apart`` are evaluations that lie beside none of the runs; a page may hold nothing else.
    """
    names = labels(runs) if len(runs) > 1 else {}
    sections = [
        _section(f"run-{number}", names[name] if len(runs) > 1 else "", run, pictures[name])
        for number, (name, run) in enumerate(runs.items(), start=1)
    ]
    hosts = dict.fromkeys(run.case.host for run in runs.values())
    hosts |= dict.fromkeys(each.host for each in apart)
    networks = [run for run in runs.values() if not run.case.isolated]
    overview = grid({n: r for n, r in runs.items() if not r.case.isolated}) if networks else None
    return _template().render(
        heading=f"Attention modules {'in' if networks or apart else 'alone, as in'} "
        f"{', '.join(hosts)}",
        sections=sections,
        overview=overview if len(runs) > 1 else None,
        joint=joint,
        accuracy=_accuracy(apart),
        sources=[Markup("<code>{}</code>").format(name) for name in _sources(runs, apart)],
        marks=MARKS,
    )


def _section(anchor: str, heading: str, run: Run, pictures: Sequence[Picture]) -> Section:
    case, isolated = run.case, run.case.isolated
    compared, tables = _alone(run) if isolated else _networks(run)
    return Section(
        anchor=anchor,
        heading=heading or case.described,
        isolated=isolated,
        holds=control_fault(run) is None,
        control=control(run),
        facts=[("what", case.described), ("on", machine(case, run.environment))],
        remarks=[each for each in remarks(run) if each != control(run)],
        compared=compared,
        pinned=0 if isolated else sum(row[0] in {PLAIN, CONTROL} for row in compared.rows),
        pictures=pictures,
        accuracy=_accuracy(run.evaluations),
        stages=None if isolated else stages.sheet(run),
        claims=None if isolated else published.sheet(run),
        unspoken=0 if isolated else published.unspoken(run),
        tables=tables,
        command=reproduce.command(run),
        environment=reproduce.environment(run),
    )


def _sources(runs: Runs, apart: Sequence[Evaluation]) -> list[str]:
    """The files that the page's figures come from."""
    evaluated = bool(apart) or any(run.evaluations for run in runs.values())
    found = {store.FILE_NAME: bool(runs), evaluation.FILE_NAME: evaluated}
    return [name for name, used in found.items() if used]


def _accuracy(found: Sequence[Evaluation]) -> Accuracy | None:
    if not found:
        return None
    (table,) = measured.sheets(found)
    return Accuracy(table, measured.notes(found), [*map(measured.command, found)])


def _networks(run: Run) -> tuple[Table, list[Table]]:
    from attnbench.report.tables.dataframe import frame

    table = frame(run)
    headings, cells = printed(COLUMNS, COMPARED)
    ordered = pd.concat(
        [
            table[table["variant"].isin([PLAIN, CONTROL])],
            table[~table["variant"].isin([PLAIN, CONTROL])].sort_values("ratio"),
        ]
    )
    rows = tuple(
        (title(row["variant"]), *(cell(row) for cell in cells)) for _, row in ordered.iterrows()
    )
    return Table("Beside the plain host", ("module", *headings), rows), sheets(run, table)


def _alone(run: Run) -> tuple[Table, list[Table]]:
    table = alone.frame(run)
    return alone.at_the_top(run, table), alone.sheets(run, table)


def figure(text: str) -> str:
    """The number that a cell is sorted by, as text; empty where there is none."""
    found = FIGURE.match(text.removeprefix("= ").removeprefix("? "))
    return "" if found is None or text == formatting.NOTHING else found[0].replace(",", "")


def kinds(sheet: Table) -> list[str]:
    """For each column whether it is of words or of figures: they are set differently."""
    columns = zip(*sheet.rows, strict=True) if sheet.rows else ((),) * len(sheet.headings)
    return [
        "figures" if any(map(figure, cells)) or not set(cells) - {formatting.NOTHING} else "words"
        for cells in columns
    ]


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("attnbench.report.formats", "template")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,  # a module's name is data
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "kinds": kinds}
    return environment.get_template("page.html")
