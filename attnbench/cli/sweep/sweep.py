"""``attnbench sweep``: many configurations, on this machine or on many."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from attnbench.cli import output
from attnbench.cli.options import option
from attnbench.cli.sweep import dry_run, fleet, status, whole, words
from attnbench.cli.sweep.fleet import SchedulerFile, TlsCa, TlsCertificate, TlsKey
from attnbench.cli.sweep.progress import Progress, counted, most_s
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.sweeps import local
from attnbench.sweeps.course import Course
from attnbench.sweeps.device.slots import Slot
from attnbench.sweeps.folder import SweepFolder
from attnbench.sweeps.plan.file import Sweep

STATUS = "status"


def sweep(  # noqa: PLR0913, PLR0917  an option each
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
            "DIR",
            "Folder of the sweep. An unfinished one in it is resumed.",
            "a new one under reports/",
        ),
    ] = None,
    outline: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the configurations, where they would go and how long that takes.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        option(
            "ADDRESS",
            "Measure on the machines that have joined it, such as tcp://lab1:8786.",
            "on this machine",
        ),
    ] = None,
    scheduler_file: SchedulerFile = None,
    wait: Annotated[
        float,
        option(
            "SECONDS",
            "Most time that a configuration waits for a device that fits to join.",
            "60",
            min=0,
        ),
    ] = 60.0,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> int:
    """Measure every configuration of a file's grids, one at a time on each device.

    Exit status 1 where one has failed; the others are measured all the same.
    """
    console = output.console()
    if what[0] == STATUS and what[1:]:
        if len(what) > len((STATUS, "DIR")) or out or outline or scheduler:
            raise UserError("sweep status takes one folder and no option")
        return status.show(Path(what[1]), console)
    wanted = words.sweep_of(what)
    address = fleet.address_of(scheduler, scheduler_file)
    if address is None:
        if outline:
            return dry_run.show(wanted, local.here(), console)
        drive_here = partial(local.drive, say=output.complain)
        return _measure(wanted, what, out, console, local.here(), drive_here)
    security = fleet.security_of(tls_ca, tls_certificate, tls_key)
    from attnbench.sweeps.engine import driver

    with driver.connected(address, security) as client:  # before anything is written
        there = driver.usable(driver.joined(driver.identity(client)))
    if outline:
        return dry_run.show(wanted, there, console)
    drive = partial(
        driver.drive, address=address, wait_s=wait, security=security, say=output.complain
    )
    return _measure(wanted, what, out, console, there, drive)


def _measure(  # noqa: PLR0913, PLR0917  what is measured, and how
    wanted: Sweep,
    what: list[str],
    out: Path | None,
    console: Console,
    there: Sequence[Slot],
    drive: Callable[[Course], object],
) -> int:
    named = not what[0].startswith("--")
    stem = Path(what[0]).stem if named else wanted.configurations[0].case.host
    path = out or store.new_folder(f"sweep-{stem}")
    with closing(SweepFolder(path)) as folder:
        course = Course(wanted, folder, most_s, Progress(console))
        course.slots = tuple(there)
        course.begin()
        console.print(f"{counted(course)}. Records in {path}")
        try:
            drive(course)
        except KeyboardInterrupt:
            again = shlex.join(["attnbench", "sweep", *what, "--out", str(path)])
            output.complain(f"interrupted; go on with: {again}, and the options beside it")
            return 130
    if course.done:
        whole.report(path, console)
    console.print(f"{counted(course)}. Records in {path}")
    return 1 if course.failed or any(course.done.values()) else 0
