"""``attnbench sweep``: many configurations, on this machine or on many."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from attnbench.cli import output
from attnbench.cli.options import option
from attnbench.cli.sweep import dry_run, status, whole, words
from attnbench.cli.sweep.progress import Progress, counted, most_s
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.sweeps import local
from attnbench.sweeps.course import Course
from attnbench.sweeps.folder import SweepFolder
from attnbench.sweeps.plan.file import Sweep

STATUS = "status"


def sweep(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="A file of grids in TOML; or options of run, such as --host resnet50,resnet101 "
            "--batch-size 1,8, each with commas, and --on gpu=H100; or: status DIR.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        option(
            "DIR", "Folder of the sweep. One that has begun goes on.", "a new one under reports/"
        ),
    ] = None,
    outline: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the configurations, where they would go and how long that takes.",
        ),
    ] = False,
) -> int:
    """Measure every configuration of a file's grids, one at a time on each device.

    Status 1 where one has failed; the others are measured all the same.
    """
    console = output.console()
    if what[0] == STATUS and what[1:]:
        if len(what) > len((STATUS, "DIR")) or out or outline:
            raise UserError("sweep status takes one folder and no option")
        return status.show(Path(what[1]), console)
    wanted = words.sweep_of(what)
    if outline:
        return dry_run.show(wanted, local.here(), console)
    return _measure(wanted, what, out, console)


def _measure(wanted: Sweep, what: list[str], out: Path | None, console: Console) -> int:
    stem = (
        Path(what[0]).stem if not what[0].startswith("--") else wanted.configurations[0].case.host
    )
    path = out or store.new_folder(f"sweep-{stem}")
    with closing(SweepFolder(path)) as folder:
        course = Course(wanted, folder, most_s, Progress(console))
        course.slots = tuple(local.here())
        course.begin()
        console.print(f"{counted(course)}. Records in {path}")
        try:
            local.drive(course)
        except KeyboardInterrupt:
            again = shlex.join(["attnbench", "sweep", *what, "--out", str(path)])
            output.complain(f"interrupted; go on with: {again}")
            return 130
    if course.done:
        whole.report(path, console)
    console.print(f"{counted(course)}. Records in {path}")
    return 1 if course.failed or any(course.done.values()) else 0
