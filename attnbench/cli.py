"""The command line: thin commands that import what they need when they run."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attnbench import __version__, options
from attnbench.errors import UserError
from attnbench.modules import SettingsError

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


OwnModules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        metavar="SPEC",
        help="One of your own, whose code is run: file.py:ClassName, timm:NAME, or an entry point; "
        "with ,site=after_bn3 and ,key=value for its settings. May be repeated; without --modules "
        "alone.",
    ),
]

BetweenRuns = Annotated[
    str | None,
    typer.Option(
        "--between-runs",
        metavar="SHARE",
        help="By how much one thing's ratio scatters between runs on this machine (standard "
        "deviation), until enough runs show it.",
        show_default="1.3%, seen on a CPU",
    ),
]

SEVERAL = "One, or several with commas."
DTYPES = ("float32", "bfloat16", "float16")
MODES = ("inference", "training")


class Format(StrEnum):
    """Of a check: for people, for programs, for test reports, for GitHub's checks."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"


class ChangeFormat(StrEnum):
    """Of a comparison."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class ChoiceFormat(StrEnum):
    """Of a choice."""

    TEXT = "text"
    JSON = "json"


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
    module: OwnModules = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="A ResNet or detector of torchvision by its name there, sknet50, sknet101, "
            "resnet50_backbone, ...",
            show_default="resnet50",
        ),
    ] = None,
    device: Annotated[Device | None, typer.Option(show_default="auto")] = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N,...", show_default="1", help=SEVERAL)
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|HxW,...",
            show_default="224; 800x1333 for a detector",
            help=f"A square's side, or height x width. {SEVERAL}",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", show_default="float32", help=", ".join(DTYPES)),
    ] = None,
    channels_last: Annotated[
        bool | None, typer.Option("--channels-last", help="NHWC memory layout.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", show_default="inference", help=", ".join(MODES)),
    ] = None,
    compile_: Annotated[
        bool | None, typer.Option("--compile", help="Networks through torch.compile.")
    ] = None,
    eager: Annotated[
        bool | None, typer.Option("--eager", help="With --compile: the eager ones as well.")
    ] = None,
    cuda_graph: Annotated[
        bool | None, typer.Option("--cuda-graph", help="Steps captured, then replayed.")
    ] = None,
    isolated: Annotated[
        bool | None,
        typer.Option("--isolated", help="Modules alone, at the sizes they have in the host."),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            metavar="N,...",
            help="That carry the module, such as 2,3,4 or c3-c5.",
            show_default="1,2,3,4",
        ),
    ] = None,
    blocks: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of each stage: all, last.", show_default="all"),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Most time in the timed rounds of one configuration.",
            show_default="100",
        ),
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
    """Count, time and measure modules in a host network beside the plain host (the default).

    Several values of an option, comma-separated, make a grid of configurations.
    """
    from attnbench import display, shown
    from attnbench.measuring import planning, runner
    from attnbench.records import store

    wanted = planning.Wanted(
        modules=options.modules(modules, module),
        host=host,
        device=device,
        batch_size=options.numbers(batch_size, "--batch-size"),
        image_size=options.image_sizes(image_size, "--image-size"),
        dtype=options.choices(dtype, "--dtype", DTYPES),
        channels_last=channels_last,
        mode=options.choices(mode, "--mode", MODES),
        compiled=options.executions(compile_, eager),
        cuda_graph=cuda_graph,
        isolated=isolated,
        stages=options.stages(stages),
        blocks=blocks,
        budget_s=budget,
        threads=threads,
        seed=seed,
    )
    prepared, folder = planning.prepare(wanted, out)
    folders = {id(job.run): job.folder for job in prepared}
    runs = [job.run for job in prepared]
    console = display.console()
    for job in prepared:
        console.print(f"{job.run.case.described}; records in {job.folder}", markup=False)
    try:
        for its_run, record in display.Bar(runs, console).watch(runner.execute(runs)):
            store.append(folders[id(its_run)], record)
    except KeyboardInterrupt:
        _complain(f"interrupted; go on with: attnbench run --out {shlex.quote(str(folder))}")
        return 130
    shown.show([folder], folder, console)
    return 0 if all(run.finished for run in runs) else 1


@app.command(name="list")
def list_modules(module: OwnModules = None) -> None:
    """The modules: name, site, added learnable parameters, paper or package."""
    from attnbench import display, listing

    caption = "Attention modules, and the learnable parameters that they add"
    rows = listing.rows(module or ())
    console = display.console()
    console.print(display.table(caption, listing.HEADINGS, rows, words=("site", "paper")))
    for remark in listing.remarks():
        console.print(remark, markup=False)


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
    from attnbench import display
    from attnbench.claims import check as claims
    from attnbench.claims import claim
    from attnbench.claims import limits as budgets
    from attnbench.claims import outcome as outcomes

    if budget is not None:
        if only is not None:
            raise UserError("--only selects claims; it does not go with --budget")
        found = budgets.check(budgets.read(budget))
    else:
        found = [finding.outcome() for finding in claims.check(claim.select(only))]
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
def evaluate(  # noqa: PLR0913, PLR0917  an option each
    weights: Annotated[
        Path, typer.Option(metavar="FILE", help="Checkpoint; no code in it is run.")
    ],
    data: Annotated[Path, typer.Option(metavar="DIR", help="A folder of images for each class.")],
    module: Annotated[
        str | None, typer.Option(metavar="NAME", show_default="none: the plain host")
    ] = None,
    host: Annotated[str, typer.Option()] = "resnet50",
    device: Annotated[Device, typer.Option()] = Device.AUTO,
    batch_size: Annotated[int, typer.Option(metavar="N")] = 32,
    image_size: Annotated[
        int, typer.Option(metavar="N", help="Of the centre crop; resized in proportion before.")
    ] = 224,
    dtype: Annotated[str, typer.Option(metavar="NAME", help=", ".join(DTYPES))] = "float32",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="NHWC memory layout.")
    ] = False,
    threads: Annotated[int | None, typer.Option(show_default="torch's choice")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that read images.", show_default="0; up to 8 on CUDA"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the record, perhaps that of a run.",
            show_default="a new one under reports/",
        ),
    ] = None,
) -> int:
    """Top-1 and top-5 of given weights on a folder of images, beside what was published."""
    from attnbench import display, report, shown
    from attnbench.accuracy import evaluate as evaluating
    from attnbench.records import evaluation

    prepared = evaluating.prepare(
        evaluating.Wanted(
            weights=weights,
            data=data,
            module=module,
            host=host,
            device=None if device is Device.AUTO else device.value,
            dtype=options.choice(dtype, "--dtype", DTYPES),
            channels_last=channels_last,
            batch_size=batch_size,
            image_size=image_size,
            threads=threads,
            workers=workers,
        )
    )
    console = display.console()
    try:
        with evaluating.place(prepared, out) as folder:
            console.print(f"{prepared.described}; record in {folder}", markup=False)
            with display.images_bar(len(prepared.folder), console) as told:
                found = evaluating.evaluate(prepared, told)
            evaluation.append(folder, found)
    except KeyboardInterrupt:
        _complain("interrupted; nothing was written")
        return 130
    for sheet in report.accuracy([found]):
        console.print()
        console.print(display.table(sheet.caption, sheet.headings, sheet.rows))
    for note in report.accuracy_notes([found]):
        console.print(note, markup=False)
    shown.write([folder], folder, console)
    return 0


@app.command()
def compare(  # noqa: PLR0913, PLR0917  an option each
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A run's folder, or that of several.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The same of later runs.")],
    fail_above: Annotated[
        str, typer.Option(metavar="SHARE", help="Slowdown that ends in status 1, such as 3%.")
    ] = "3%",
    force: Annotated[
        bool, typer.Option("--force", help="Compare other machines or settings all the same.")
    ] = False,
    between_runs: BetweenRuns = None,
    require_verdicts: Annotated[
        bool,
        typer.Option("--require-verdicts", help="Status 1 too where a module has no verdict."),
    ] = False,
    format_: Annotated[ChangeFormat, typer.Option("--format")] = ChangeFormat.TEXT,
) -> int:
    """How each module's overhead changed between runs, with its interval.

    Several runs of one configuration in a folder are taken together.
    Exit status 1 where a slowdown beyond --fail-above is significant.
    """
    from attnbench import display
    from attnbench.analysis import compare as comparison

    found = comparison.compare(
        old,
        new,
        options.share(fail_above),
        force=force,
        between_runs=options.share(between_runs) if between_runs else None,
    )
    if format_ is ChangeFormat.TEXT:
        console = display.console()
        for caption, rows in comparison.tables(found):
            words = ("verdict", "but")
            console.print(display.table(caption, comparison.HEADINGS, rows, words))
    else:
        print(comparison.FORMATS[format_.value](found))
    failed = [each for each in found.changes if each.fails]
    for each in failed:
        _complain(each.fault)
    if found.unjudged:
        _complain(f"{found.unjudged} of {len(found.changes)} modules have no verdict")
    return 1 if failed or (require_verdicts and found.unjudged) else 0


@app.command()
def pick(  # noqa: PLR0913, PLR0917  an option each
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or of several.")],
    max_overhead: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Most latency over the plain host: 10%.")
    ] = None,
    max_added_params: Annotated[
        int | None, typer.Option(metavar="N", help="Most learnable parameters added.", min=0)
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Most live peak over the plain host: 5%.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose published top-1 gives the order.",
            show_default="the one with most of the run's modules",
        ),
    ] = None,
    between_runs: BetweenRuns = None,
    format_: Annotated[ChoiceFormat, typer.Option("--format")] = ChoiceFormat.TEXT,
) -> int:
    """Which modules are within limits, the most accurate first, and why the others are not.

    Exit status 1 where none surely is.
    """
    from attnbench import answers, display
    from attnbench.analysis import pick as picking

    limits = picking.Limits(
        overhead=None if max_overhead is None else options.share(max_overhead),
        added_params=max_added_params,
        memory=None if max_memory is None else options.share(max_memory),
    )
    scatter = options.share(between_runs) if between_runs else None
    choice = picking.pick(folder, limits, recipe, scatter)
    if format_ is ChoiceFormat.JSON:
        print(answers.as_json(choice))
    else:
        console = display.console()
        rows = map(answers.cells, choice.candidates)
        caption = f"Held against the limits: {choice.configuration}"
        words = ("answer", "why")
        console.print(display.table(caption, answers.HEADINGS, rows, words))
        for sentence in answers.sentences(choice):
            console.print(sentence, markup=False)
    return 0 if choice.of("in") else 1


@app.command()
def selftest(
    simulated: Annotated[
        int, typer.Option(metavar="RUNS", help="Of each simulated machine.", min=20)
    ] = 100,
    real: Annotated[
        int, typer.Option(metavar="RUNS", help="On this machine; 0 for none.", min=0)
    ] = 20,
    device: Annotated[Device | None, typer.Option(show_default="auto")] = None,
) -> int:
    """Try the ruler: how often its intervals are right, and whether planted slowdowns are found."""
    from attnbench import display
    from attnbench.measuring import selftest as selftests

    console = display.console()
    found = selftests.Findings()
    for line in selftests.run(simulated, real, device, found):
        console.print(line, markup=False)
    console.print(display.table(found.caption, selftests.HEADINGS, found.rows, ("what",)))
    for fault in found.faults:
        _complain(fault)
    if not found.faults:
        console.print("Every machine has held what it must.")
    return 1 if found.faults else 0


@app.command()
def report(
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
    from attnbench import display, shown

    if out is None and len(folders) > 1:
        raise UserError("several folders: say with --out where their joint page is to be written")
    shown.show(folders, out or folders[0], display.console())


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
