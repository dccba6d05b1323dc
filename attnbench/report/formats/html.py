"""report.html: a single self-contained file with everything that a run shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import jinja2
from markupsafe import Markup

from attnbench import formatting
from attnbench.modules import ATTENTION
from attnbench.records import evaluation, precision, store
from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.records.trainings import store as training_store
from attnbench.records.variants import PLAIN
from attnbench.report.formats import reproduce
from attnbench.report.formats.glossary import GLOSSARY
from attnbench.report.formats.trainings import Section
from attnbench.report.plots.render import Drawing, on_page
from attnbench.report.tables import accuracy, claims, stages
from attnbench.report.tables.grid import by_runtime, grid, labels, shared, turned
from attnbench.report.tables.inside import shares
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.remarks import notes, place, remarks
from attnbench.report.tables.run import LoadedRun, Runs, of_several, overview, tables
from attnbench.report.tables.sentences.control import control
from attnbench.report.tables.table import Table
from attnbench.stats.replicates import began
from attnbench.text import visible

MARKS = {
    "slower": "bad",
    "faster": "good",
    "slower in this run": "tie",
    "faster in this run": "tie",
    "no significant difference": "tie",
    "helps": "good",
    "harms": "bad",
    "reproduced": "good",
    "explained": "tie",
    "contradicted": "bad",
}
"""Verdict -> the class of its colour; the word itself stands in the cell."""


def page(  # noqa: PLR0913, PLR0917  what a page may hold
    runs: Runs,
    drawings: Mapping[str, Sequence[Drawing]],
    joint: Sequence[Drawing] = (),
    evaluations: Sequence[Evaluation] = (),
    files: Mapping[str, str] | None = None,
    together: Runs | None = None,
    trainings: Sequence[Section] = (),
    by_machine: Sequence[Table] = (),
    docs: str = "",
) -> str:
    """Return the page of one run or of several.

    ``drawings`` holds the plots of each run, ``joint`` those of all; ``evaluations`` are those that
    lie beside none of the runs. A page may hold evaluations alone. ``files`` are addresses to link
    to, relative to the page, by their words. ``together`` are the networks with the runs of one
    configuration taken together, where these have been computed already. ``by_machine`` are tables
    of runs on several machines. ``docs`` is the address of the documentation, relative to the page.
    """
    networks = {name: loaded for name, loaded in runs.items() if not loaded.run.case.isolated}
    several = len(runs) > 1
    together = pooled(networks, evaluations) if together is None else together
    repeated = [loaded for loaded in together.values() if len(loaded.runs) > 1]
    headings = labels(runs) if several else {}
    sections = []
    alone = [loaded.timed for loaded in runs.values() if loaded.run.case.isolated]
    for number, (name, loaded) in enumerate(runs.items(), start=1):
        pictures = on_page(drawings[name], f"plot-{number}" if several else "plot")
        heading = headings.get(name, loaded.run.case.described)
        sections.append(_section(f"run-{number}", heading, loaded, pictures, alone))
    hosts = [loaded.run.case.host for loaded in runs.values()]
    hosts += [evaluated.host for evaluated in evaluations]
    hosts += [section.host for section in trainings]
    where = "in" if networks or evaluations or trainings else "alone, as in"
    evaluated = bool(evaluations) or any(loaded.run.evaluations for loaded in runs.values())
    sources = {
        store.FILE_NAME: bool(runs),
        evaluation.FILE_NAME: evaluated,
        training_store.FILE_NAME: any(section.is_training for section in trainings),
        precision.FILE_NAME: not all(section.is_training for section in trainings),
    }
    trained = _trained(trainings)
    joined = [*map(_repeated, repeated), *_machines(by_machine)]
    return _TEMPLATES.get_template("page.html").render(
        heading=f"Attention modules {where} {', '.join(dict.fromkeys(hosts))}",
        title=_title(runs, evaluations, trainings),
        files=files or {},
        sections=sections,
        overview=turned(grid(together)) if _is_grid(together) and several else None,
        beside=by_runtime(together) if several else [],
        together=joined,
        definitions=_definitions([*joined, *sections, *trained]),
        words=GLOSSARY,
        docs=docs,
        joint=on_page(joint, "joint"),
        accuracy=_accuracy(evaluations),
        trainings=trained,
        sources=[Markup("<code>{}</code>").format(name) for name, used in sources.items() if used],
        marks=MARKS,
    )


def _section(
    anchor: str,
    heading: str,
    loaded: LoadedRun,
    pictures: Sequence[Drawing],
    alone: Sequence[Run] = (),
) -> dict[str, object]:
    """Return what ``page.html`` shows of one run; ``alone`` are the isolated runs beside it."""
    run, isolated = loaded.run, loaded.run.case.isolated
    compared = overview(loaded)
    return {
        "anchor": anchor,
        "heading": heading,
        "isolated": isolated,
        "holds": loaded.foremost_fault is None,
        "control": control(loaded),
        "machine": place(run),
        "began": formatting.moment(began(run)),
        "papers": _papers(run.modules),
        "remarks": notes(loaded),
        "compared": compared,
        # How many rows stay at the top whatever the table is sorted by.
        "pinned": 0 if isolated else sum(row[0] == PLAIN for row in compared.rows),
        "pictures": pictures,
        "accuracy": _accuracy(run.evaluations),
        "inside": shares.table(run, alone),
        "stages": None if isolated else stages.table(run),
        "claims": None if isolated else claims.table(run),
        "unchecked": 0 if isolated else claims.unchecked(run),
        "tables": tables(loaded),
        "command": reproduce.command(run),
        "environment": reproduce.environment(run),
    }


def _definitions(parts: Sequence[Mapping[str, object]]) -> dict[str, dict[str, None]]:
    """Return what each heading of these parts' tables means, in every table that says so."""
    definitions: dict[str, dict[str, None]] = {}
    for value in (value for part in parts for value in part.values()):
        for table in value if isinstance(value, list | tuple) else [value]:
            if isinstance(table, Table) and table.definitions:
                for heading, meaning in zip(table.headings, table.definitions, strict=True):
                    definitions.setdefault(heading, {})[meaning] = None
    return definitions


def _is_grid(together: Runs) -> bool:
    """Return whether there is anything beside runs of one configuration."""
    return len(together) > 1 or any(len(loaded.runs) == 1 for loaded in together.values())


def _repeated(loaded: LoadedRun) -> dict[str, object]:
    """Return what ``page.html`` shows of several runs of one configuration."""
    compared = overview(loaded)
    return {
        "heading": f"{loaded.run.case.described}: {len(loaded.runs)} runs",
        "remarks": remarks(loaded),
        "compared": compared,
        "pinned": sum(row[0] == PLAIN for row in compared.rows),
        "tables": of_several(loaded)[1:],
        "papers": _papers(loaded.run.modules),
    }


def _machines(tables: Sequence[Table]) -> list[dict[str, object]]:
    """Return what ``page.html`` shows of runs on several machines; nothing of one."""
    if not tables:
        return []
    first, *others = tables
    plain = {"remarks": (), "pinned": 0, "papers": {}}
    return [{"heading": "By machine", "compared": first, "tables": others, **plain}]


def _title(runs: Runs, evaluations: Sequence[Evaluation], trainings: Sequence[Section] = ()) -> str:
    """Return what tells the page's tab from others: configuration, processor and day."""
    if not runs and not evaluations:
        return f"{'; '.join(section.heading for section in trainings)} - attnbench"
    if not runs:
        return f"Accuracy of {', '.join(dict.fromkeys(map(accuracy.network, evaluations)))}"
    if len(runs) > 1:
        return f"{len(runs)} runs: {shared(runs) or ', '.join(runs)} - attnbench"
    (loaded,) = runs.values()
    facts = loaded.run.environment
    day = str(facts.get("time") or "").partition("T")[0]
    where = (loaded.run.case.described, facts.get("gpu") or facts.get("cpu"), day)
    return f"{', '.join(str(part) for part in where if part)} - attnbench"


def _papers(modules: Sequence[str]) -> dict[str, str]:
    """Return the address of each paper by the name in tables; none for a name that two share."""
    names = Counter(map(formatting.title, modules))
    return {
        title: f"https://arxiv.org/abs/{ATTENTION[name].arxiv}"
        for name in modules
        if name in ATTENTION and names[title := formatting.title(name)] == 1
    }


def _trained(trainings: Sequence[Section]) -> list[dict[str, object]]:
    """Return what ``page.html`` shows of trainings."""
    return [
        {
            "heading": section.heading,
            "is_training": section.is_training,
            "table": _without_setting(section),
            "notes": section.notes,
            "command": section.command,
            "pictures": on_page(section.drawings, f"training-{number}"),
        }
        for number, section in enumerate(trainings, start=1)
    ]


def _without_setting(section: Section) -> Table | None:
    """Return the table whose caption leaves out what the heading above it says."""
    if section.table is None:
        return None
    return replace(
        section.table, caption=section.table.caption.removesuffix(f". {section.heading}")
    )


def _accuracy(evaluations: Sequence[Evaluation]) -> dict[str, object] | None:
    if not evaluations:
        return None
    (table,) = accuracy.tables(evaluations)
    commands = [accuracy.command(evaluated) for evaluated in evaluations]
    return {"table": table, "notes": accuracy.notes(evaluations), "commands": commands}


def figure(text: str) -> str:
    """Return the number that a cell is sorted by, as text; empty where there is none."""
    # Not of a path whose first folder is a number.
    number = re.match(r"(?:[=?≥] )?±?([-+]?\d[\d,]*(?:\.\d+)?)(?![\d,.]*/)", text)
    return number[1].replace(",", "") if number else ""


def kinds(table: Table) -> list[str]:
    """Return for each column whether it holds words or figures: they are aligned differently."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.headings)
    return [
        "figures" if any(map(figure, cells)) or not set(cells) - {formatting.NOTHING} else "words"
        for cells in columns
    ]


def _shown(value: object) -> object:
    """Return text with escapes for what cannot be seen; markup, numbers and nothing as they are."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("attnbench.report.formats", "template"),
    autoescape=True,  # a module's name is data
    finalize=_shown,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"figure": figure, "kinds": kinds}
