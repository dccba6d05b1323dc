"""Write what is generated in the documents: ``make readme``.

Parts of README.md and reports/README.md, each between two comments that name it, the whole of
docs/claims.md, and the reports of the published runs. A test fails where one has drifted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from claims_page import page

from attnbench import report
from attnbench.errors import UserError
from attnbench.records import run as runs
from attnbench.records.run import Run
from attnbench.report.formats.markdown import markdown
from attnbench.report.tables import isolated, stages
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, tables
from attnbench.report.tables.table import Column

PUBLISHED = Path("reports/2026-11-25-cpu-resnet50")
"""The run that the README shows."""

OWN = Path("reports/2026-11-25-cpu-resnet50-own")
"""A run of the README's own module beside SA."""

EXAMPLE = Path("docs/mine.py")
"""That module."""

REPORTS = (PUBLISHED, Path("reports/2026-11-25-cpu-resnet50-isolated"), OWN)
"""The published runs, whose tables, plots and pages are written anew."""


def filled(text: str, name: str, content: str) -> str:
    """The text with the part of that name replaced.

    Raises:
        UserError: the text has no such part.
    """
    part = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not part.search(text):
        raise UserError(f"there is no part '{name}' to fill")
    return part.sub(lambda found: f"{found[1]}\n{content.strip()}\n\n{found[2]}", text)


def columns() -> str:
    """Every column of comparison.csv and what it means."""
    return _defined(COLUMNS)


def columns_alone() -> str:
    """Every column of an isolated run's comparison.csv and what it means."""
    return _defined(isolated.COLUMNS)


def columns_before() -> str:
    """The columns that grid.csv and attnbench.read put before those of a run."""
    return _defined(CONFIGURATION)


def columns_stages() -> str:
    """The columns of the table of stages."""
    return _defined(stages.COLUMNS)


def _defined(columns: Sequence[Column]) -> str:
    rows = (
        f"| `{column.key}` | {column.unit} | {column.heading} | {column.meaning} |"
        for column in columns
    )
    return "\n".join(["| column | unit | printed as | meaning |", "|:--|:--|:--|:--|", *rows])


def rules() -> str:
    """Every rule of counting, its definition and its source."""
    from attnbench.counting import EXTRA_RULES, RULES

    every = (RULES | EXTRA_RULES).values()
    rows = (f"| `{rule.name}` | {rule.definition} | {rule.source} |" for rule in every)
    return "\n".join(["| rule | what it counts | who counts so |", "|:--|:--|:--|", *rows])


def own_module() -> str:
    """The README's own module as it stands in its file."""
    return f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```"


def own_row() -> str:
    """What a run says of it, at a glance."""
    run = runs.read(OWN)
    notes = [f"{run.case.described}.", *remarks(LoadedRun(run))]
    return "\n\n".join([*notes, markdown(tables(LoadedRun(run))[0])])


def result() -> str:
    """The published run at a glance."""
    run = _published()
    notes = [f"{run.case.described}.", *remarks(LoadedRun(run))]
    sheet = tables(LoadedRun(run))[0]
    plot = f"![Latency over the plain host]({PUBLISHED}/latency_overhead.png)"
    return "\n\n".join([*notes, markdown(sheet), plot])


def claims_page() -> str:
    """Every published figure with its verdict."""
    from attnbench.claims import check
    from attnbench.claims import claim as claims

    accuracies = [claim for claim in claims.catalogue() if claim.verdict == "needs data"]
    return page(check.check(claims.select(None)), accuracies)


def _published() -> Run:
    return runs.read(PUBLISHED)


PARTS: dict[Path, dict[str, Callable[[], str]]] = {
    Path("README.md"): {"result": result, "own module": own_module, "own row": own_row},
    Path("reports/README.md"): {
        "columns": columns,
        "columns before": columns_before,
        "columns alone": columns_alone,
        "columns stages": columns_stages,
        "rules": rules,
    },
}


CLAIMS = Path("docs/claims.md")


def main() -> None:
    """Write everything anew, from the top of the repository."""
    CLAIMS.write_text(claims_page(), encoding="utf-8")
    for folder in REPORTS:
        report.write(runs.read(folder), folder)
    for path, parts in PARTS.items():
        text = path.read_text(encoding="utf-8")
        for name, content in parts.items():
            text = filled(text, name, content())
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
