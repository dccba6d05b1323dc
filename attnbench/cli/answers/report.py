"""``attnbench report``: print and write what folders of runs and evaluations hold. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from attnbench.cli import output
from attnbench.cli.options import BetweenRuns, option
from attnbench.errors import UserError
from attnbench.files import require_folder

if TYPE_CHECKING:
    from attnbench.records.precision import Precision
    from attnbench.report.load import Loaded
    from attnbench.report.tables.table import Table


def show(
    folders: Sequence[Path],
    out: Path,
    console: Console,
    for_paper: str | None = None,
    scatter: float | None = None,
) -> None:
    """Print and write the tables of each configuration, and those that compare several.

    ``for_paper`` are the columns of a further table, separated by commas. ``scatter`` is the
    standard deviation of log-ratios between runs, until enough of them show it.
    """
    from attnbench.report.formats import paper
    from attnbench.report.load import load
    from attnbench.report.tables import accuracy
    from attnbench.report.tables.grid import by_runtime, grid, turned
    from attnbench.report.tables.remarks import remarks
    from attnbench.report.tables.run import tables
    from attnbench.report.write import write_paper

    chosen = None if for_paper is None else paper.columns(for_paper)
    loaded = load(*folders, scatter=scatter)
    written = [] if chosen is None else write_paper(loaded, out, chosen)
    for run in loaded.pooled.values():
        evaluations = run.run.evaluations
        several = f"; {len(run.runs)} runs" if len(run.runs) > 1 else ""
        console.print(f"\n{run.run.case.described}{several}", style="bold")
        sentences = ["", *remarks(run), *accuracy.notes(evaluations)]
        printed = tables(run)
        # At a glance comes last, where a terminal shows it without scrolling.
        glance = [] if run.run.case.isolated else [printed.pop(0)]
        print_tables([*printed, *accuracy.tables(evaluations)], sentences, console)
        print_tables(glance, (), console)
    networks = {name: run for name, run in loaded.pooled.items() if not run.run.case.isolated}
    one = len(networks) == 1 and any(len(run.runs) > 1 for run in networks.values())
    joint = [turned(grid(networks))] if networks and not (loaded.single or one) else []
    joint += by_runtime(networks) if joint else []
    accuracies = accuracy.tables(loaded.evaluations)
    print_tables([*joint, *accuracies], accuracy.notes(loaded.evaluations), console)
    print_trainings(loaded, console)
    print_precisions(loaded.precisions, console)
    write(loaded, out, console)
    if written:
        listed = " and ".join(path.name for path in written)
        console.print(f"For a paper, {listed} are there as well")


def write(loaded: Loaded, out: Path, console: Console) -> None:
    """Write the files of a report and print where they are."""
    from attnbench.report.write import write_loaded

    write_loaded(loaded, out)
    console.print(f"Tables, plots and report.html are in {out}")


def print_trainings(loaded: Loaded, console: Console) -> None:
    """Print what modules gain at equal training, where the folders hold trainings."""
    from attnbench.report.tables.trainings import gains

    for known in loaded.trainings:
        printed = gains.table(known)
        words = ("verdict",)
        if printed is not None:
            console.print()
            console.print(output.table(printed.caption, printed.headings, printed.rows, words))
        for sentence in gains.notes(known):
            console.print(sentence)


def print_precisions(precisions: Sequence[Precision], console: Console) -> None:
    """Print how precise detectors with given weights are, those on the same images together."""
    from attnbench.report.tables.detectors import precisions as tables

    for table in tables.tables(precisions):
        console.print()
        words = tables.HEADINGS[:2]
        console.print(output.table(table.caption, table.headings, table.rows, words))
    for sentence in dict.fromkeys(note for known in precisions for note in tables.notes(known)):
        console.print(sentence)


def print_tables(tables: Iterable[Table], sentences: Iterable[str], console: Console) -> None:
    """Print tables, each after an empty line, then sentences."""
    for table in tables:
        console.print()
        console.print(output.table(table.caption, table.headings, table.rows))
    for sentence in sentences:
        console.print(sentence)


def report_command(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR", help="Folder of a run, of several, of evaluations or trainings."
        ),
    ],
    out: Annotated[
        Path | None,
        option("FOLDER", "Folder for what the runs have in common.", "DIR if there is only one"),
    ] = None,
    paper: Annotated[
        str | None,
        option(
            "COLUMNS",
            "Also write paper.tex, a table of these columns of comparison.csv with a label, such "
            "as added_params,ratio,peak_live_ratio; and paper.bib, the papers of its modules.",
        ),
    ] = None,
    between_runs: BetweenRuns = None,
) -> None:
    """Write tables, plots and report.html again from the records of one run or of several.

    Runs of one configuration are taken together.
    """
    if out is None and len(folders) > 1:
        raise UserError("several folders: give --out, the folder for their joint page")
    if out is not None:
        require_folder(out)
    show(folders, out or folders[0], output.console(), paper, between_runs)
