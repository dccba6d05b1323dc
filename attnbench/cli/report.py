"""``attnbench report``: what folders of runs and evaluations say, printed and written. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from attnbench.cli import output
from attnbench.errors import UserError
from attnbench.records.run import Run


def show(folders: list[Path], out: Path, console: Console) -> None:
    """Print and write each run's own tables, and what several have in common."""
    from attnbench import report

    runs, apart = report.found(*folders), report.apart(*folders)
    for run in runs.values():
        console.print(f"\n{run.case.described}", style="bold", markup=False)
        for sheet in report.sheets(run, report.frame(run)):
            console.print()
            console.print(output.table(sheet.caption, sheet.headings, sheet.rows))
        console.print()
        for remark in (*report.remarks(run), *report.accuracy_notes(run.evaluations)):
            console.print(remark, markup=False)
    named, joint = _named(runs, folders), []
    networks = {name: run for name, run in named.items() if not run.case.isolated}
    if networks and not _one_run(runs, folders):
        joint = [report.grid(networks)]
    for sheet in (*joint, *report.accuracy(apart)):
        console.print()
        console.print(output.table(sheet.caption, sheet.headings, sheet.rows))
    for note in report.accuracy_notes(apart):
        console.print(note, markup=False)
    write(folders, out, console)


def write(folders: list[Path], out: Path, console: Console) -> None:
    """Write each run's own tables, plots and page, and those of what several have in common."""
    from attnbench import report

    runs, apart = report.found(*folders), report.apart(*folders)
    if not runs:
        report.write_accuracy(apart, out)
    elif _one_run(runs, folders):
        (run,) = runs.values()
        report.write(replace(run, evaluations=(*run.evaluations, *apart)), out)
    else:
        names, drawings = _named(runs, folders), {}
        for name, (path, run) in zip(names, runs.items(), strict=True):
            drawings[name] = report.draw(run)
            report.write(run, path, drawings[name])
        report.write_joint(names, out, apart, drawings)
    console.print(f"Tables, plots and report.html are in {out}", markup=False)


def _one_run(runs: Mapping[Path, Run], folders: list[Path]) -> bool:
    """Whether a run's own folder was named, and besides at most folders of evaluations."""
    return len(runs) == 1 and set(runs) <= set(folders)


def _named(runs: dict[Path, Run], folders: list[Path]) -> dict[str, Run]:
    from attnbench import report

    return report.named(runs, folders[0] if len(folders) == 1 else None)


def report_command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="A run's folder, or that of several.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to write what the runs have in common.",
            show_default="DIR where there is one",
        ),
    ] = None,
) -> None:
    """Write tables, plots and report.html again from the records, of one run or of several."""
    if out is None and len(folders) > 1:
        raise UserError("several folders: say with --out where their joint page is to be written")
    show(folders, out or folders[0], output.console())
