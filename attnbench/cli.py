"""The command line: thin commands that import what they need when they run."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import __version__
from .errors import UserError
from .modules import ATTENTION, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from .runs import Run

app = typer.Typer(
    help="What an attention module really costs: counted, timed, tabled and plotted. "
    "Without a command: run.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Device(StrEnum):
    """Where to run; auto takes CUDA where there is a device."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Dtype(StrEnum):
    """What weights and activations are held in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Mode(StrEnum):
    """Forward alone, or forward, backward and optimiser step."""

    INFERENCE = "inference"
    TRAINING = "training"


class Format(StrEnum):
    """For people, for programs, for test reports, for GitHub's checks."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"attnbench {__version__}")
        raise typer.Exit


@app.command()
def run(  # noqa: PLR0913, PLR0917  one parameter an option
    modules: Annotated[
        str | None, typer.Option(help="Names, comma-separated.", show_default="all seven")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="resnet50, resnet101, sknet50 or sknet101.", show_default="resnet50"),
    ] = None,
    device: Annotated[Device | None, typer.Option(show_default="auto")] = None,
    batch_size: Annotated[int | None, typer.Option(show_default="1")] = None,
    image_size: Annotated[int | None, typer.Option(show_default="224")] = None,
    dtype: Annotated[Dtype | None, typer.Option(show_default="float32")] = None,
    channels_last: Annotated[
        bool | None, typer.Option("--channels-last", help="NHWC memory layout.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(show_default="inference")] = None,
    budget: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Most time in the timed rounds.", show_default="100"),
    ] = None,
    threads: Annotated[int | None, typer.Option(show_default="torch's choice")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, input and order.", show_default="0")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the run; an unfinished one is gone on with.",
            show_default="a new one under reports/",
        ),
    ] = None,
) -> int:
    """Count, time and measure modules in a host network beside the plain host (the default)."""
    from . import display, jobs, report, runner, store

    wanted = jobs.Wanted(
        modules=_names(modules),
        host=host,
        device=device,
        batch_size=batch_size,
        image_size=image_size,
        dtype=dtype,
        channels_last=channels_last,
        mode=mode,
        budget_s=budget,
        threads=threads,
        seed=seed,
    )
    job, folder = jobs.prepare(wanted, out)
    console = display.console()
    console.print(f"{report.setting(job.case)}; records in {folder}", markup=False)
    bar = display.Bar(job, console)
    try:
        for record in bar.watch(runner.execute(job, bar.announce)):
            store.append(folder, record)
    except KeyboardInterrupt:
        _complain(f"interrupted; go on with: attnbench run --out {folder}")
        return 130
    _show(job, folder, console)
    return 1 if job.end is not None and job.end.reason == "failed" else 0


@app.command(name="list")
def list_modules() -> None:
    """The modules: name, site, added learnable parameters, paper."""
    from . import display

    headings = ("module", "site", "in resnet50", "in resnet101", "arXiv", "paper")
    rows = [
        (
            entry.name,
            entry.site,
            *(
                f"{entry.added_params[host]:,}" if host in entry.added_params else "not stated"
                for host in ("resnet50", "resnet101")
            ),
            entry.arxiv,
            entry.title,
        )
        for entry in ATTENTION.values()
    ]
    caption = "Attention modules, and the learnable parameters that they add"
    display.console().print(display.table(caption, headings, rows, words=("site", "paper")))


@app.command()
def check(
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Claims whose id matches, such as 'sa-*'.")
    ] = None,
    budget: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Hold these limits, not the claims.")
    ] = None,
    format_: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> int:
    """Hold published figures against the code; exit status 1 where a verdict has changed."""
    from . import budgets, claims, display, outcomes

    if budget is not None:
        if only is not None:
            raise UserError("--only selects claims; it does not go with --budget")
        found = budgets.check(budgets.read(budget))
    else:
        found = [finding.outcome() for finding in claims.check(claims.select(only))]
    if format_ is Format.TEXT:
        words = ("what", "rule", "verdict", "as expected")
        rows = map(outcomes.cells, found)
        caption = "Published figures, computed" if budget is None else f"Limits of {budget}"
        table = display.table(caption, outcomes.HEADINGS, rows, words)
        display.console().print(table)
    else:
        print(outcomes.FORMATS[format_](found))
    wrong = [outcome for outcome in found if not outcome.holds]
    for outcome in wrong:
        _complain(outcome.fault)
    return 1 if wrong else 0


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")],
) -> None:
    """Write the tables and plots of a run again, from its records."""
    from . import display, runs, store

    read = runs.gather(store.read(folder), str(folder / store.FILE_NAME))
    _show(read, folder, display.console())


def _show(run: Run, folder: Path, console: Console) -> None:
    from . import display, report

    for sheet in report.sheets(run, report.frame(run)):
        console.print()
        console.print(display.table(sheet.caption, sheet.headings, sheet.rows))
    console.print()
    for remark in report.remarks(run):
        console.print(remark, markup=False)
    report.write(run, folder)
    console.print(f"Tables and plots are in {folder}", markup=False)


def _names(modules: str | None) -> tuple[str, ...] | None:
    if modules is None or modules == "all":
        return None if modules is None else tuple(ATTENTION)
    names = tuple(name.strip() for name in modules.split(",") if name.strip())
    if not names:
        raise UserError(f"--modules names none; known: {', '.join(ATTENTION)}")
    return names


def _complain(message: str) -> None:
    print(f"attnbench: {' '.join(message.split())}", file=sys.stderr)


# Typer exports no base class of its usage errors, and their module has moved between versions.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Bad input is one line on stderr and exit status 2, never a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no dash or bar
    own = {"--help", "--version"}
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in own):
        arguments = ["run", *arguments]
    try:
        status = app(arguments, prog_name="attnbench", standalone_mode=False)
    except (UserError, SettingsError) as error:
        _complain(str(error))
        status = 2
    except _USAGE_ERROR as error:
        _complain(error.format_message())  # type: ignore[attr-defined]
        status = 2
    except typer.Abort:
        _complain("interrupted")
        status = 130
    raise SystemExit(status)
