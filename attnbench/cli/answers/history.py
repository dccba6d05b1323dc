"""``attnbench history``: how each module's overhead developed over the runs of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench import formatting
from attnbench.analysis import history as analysis
from attnbench.analysis.history import History, Point, Series
from attnbench.cli import output
from attnbench.cli.options import BetweenRuns, formats, option
from attnbench.errors import UserError
from attnbench.files import require_folder, write_whole
from attnbench.formatting import title

HistoryFormat = StrEnum("HistoryFormat", ["TEXT", "JSON"])
HEADINGS = (
    *("began", "run", "ratio [95%]", "change since the last [95%]", "verdict", "code"),
    "what differs",
)


def history(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Folders of runs, in any order.")
    ],
    out: Annotated[
        Path | None, option("DIR", "Also draw each machine and configuration, into this folder.")
    ] = None,
    between_runs: BetweenRuns = None,
    format_: Annotated[HistoryFormat, formats([*HistoryFormat])] = HistoryFormat.TEXT,
) -> int:
    """Show each module's ratio over the runs of one machine and configuration, by date.

    A run is compared with all runs since the last significant change; what else changed with it
    (versions of torch, driver, attnbench, a custom module's code) stands beside it.
    """
    if out is not None:
        require_folder(out)
    known = analysis.history(folders, between_runs)
    if format_ is HistoryFormat.JSON:
        print(output.json_text(known))
    else:
        _print(known)
    if out is not None:
        for path in _draw(known, out):
            output.complain(f"drawn: {path}")
    return 0


def _print(known: History) -> None:
    console = output.console()
    for series in known.series:
        caption = f"{title(series.module)} in {series.configuration}; {series.machine}"
        console.print(output.table(caption, HEADINGS, list(map(_cells, series.points)), ("run",)))
        for point in series.changes:
            change = formatting.overhead(point.change)
            console.print(f"{point.verdict} from {point.began} on ({point.run}): {change}.")
    scatter = formatting.percent(known.between_runs)
    console.print(
        f"Intervals cover rounds and the variation between runs, assumed to be {scatter} until "
        "several runs show it. Of twenty comparisons without a change, one differs by chance."
    )
    for remark in known.remarks:
        console.print(f"Remark: {remark}.")


def _cells(point: Point) -> tuple[str, ...]:
    return (
        point.began.replace("T", " ")[:16],
        point.run,
        formatting.ratio(point.known),
        formatting.ratio(point.change),
        point.verdict,
        formatting.other_word(point.code, point.verdict),
        "; ".join(point.differs) or formatting.NOTHING,
    )


def _draw(known: History, out: Path) -> Iterator[Path]:
    """Draw a plot for each machine and configuration that has several runs; yield the files."""
    import pandas as pd

    from attnbench.report.plots import render
    from attnbench.report.plots.history import HISTORY_PLOTS

    groups: dict[tuple[str, str], list[Series]] = {}
    for series in known.series:
        groups.setdefault((series.machine, series.configuration), []).append(series)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, ((machine, configuration), group) in enumerate(groups.items(), start=1):
            rows = [_row(series.module, point) for series in group for point in series.points]
            table = pd.DataFrame(rows)
            drawings = render.drawn(HISTORY_PLOTS, table, f"{configuration}; {machine}")
            for name, content in render.files(drawings).items():
                path = out / (name if len(groups) == 1 else f"{number:02}-{name}")
                write_whole(path, content.encode() if isinstance(content, str) else content)
                yield path
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}") from error


def _row(module: str, point: Point) -> dict[str, object]:
    failed = point.verdict == analysis.NO_VERDICT
    return {
        "variant": module,
        "run": point.run,
        "began": point.began,
        "ratio_between_runs": point.known.median,
        "ratio_between_runs_low": point.known.low,
        "ratio_between_runs_high": point.known.high,
        "verdict": point.verdict,
        "changed": point.verdict in analysis.CHANGED,
        "control_fault": "its control failed" if failed else "",
    }
