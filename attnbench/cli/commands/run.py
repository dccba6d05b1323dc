"""``attnbench run``: count, time and measure; the default command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Set
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli import options, output
from attnbench.cli.options import (
    DTYPES,
    MODES,
    CustomModules,
    ImportRoot,
    NoWait,
    Share,
    Timeout,
    option,
    stated,
)
from attnbench.cli.run import dry_run, faults, results_json
from attnbench.cli.run.bar import Bar
from attnbench.cli.run.told import Told
from attnbench.records.case import RunOptions
from attnbench.records.run import Run

if TYPE_CHECKING:
    from attnbench.measuring.events import Event, Planned, Waiting

RunFormat = StrEnum("RunFormat", ["TEXT", "JSON"])


def run(  # noqa: PLR0913, PLR0917  one parameter an option
    modules: Annotated[
        str | None,
        option("NAME,...", "Modules of the suite, with commas.", "all seven; none with --module"),
    ] = None,
    module: CustomModules = None,
    import_root: ImportRoot = None,
    host: Annotated[str | None, stated("host")] = None,
    device: Annotated[str | None, stated("device")] = None,
    batch_size: Annotated[str | None, stated("batch_size")] = None,
    image_size: Annotated[str | None, stated("image_size")] = None,
    dtype: Annotated[str | None, stated("dtype")] = None,
    channels_last: Annotated[bool | None, stated("channels_last")] = None,
    mode: Annotated[str | None, stated("mode")] = None,
    runtime: Annotated[str | None, stated("runtime")] = None,
    compile_: Annotated[
        bool | None, typer.Option("--compile", help="Short for --runtime compile.")
    ] = None,
    eager: Annotated[
        bool | None,
        typer.Option("--eager", help="With --compile or --cuda-graph: the eager ones as well."),
    ] = None,
    cuda_graph: Annotated[
        bool | None,
        typer.Option("--cuda-graph", help="Short for --runtime cuda-graph, also with --compile."),
    ] = None,
    calibrate: Annotated[Path | None, stated("calibration")] = None,
    cudnn_benchmark: Annotated[bool | None, stated("cudnn_benchmark")] = None,
    isolated: Annotated[bool | None, stated("isolated")] = None,
    stages: Annotated[str | None, stated("stages")] = None,
    blocks: Annotated[str | None, stated("blocks")] = None,
    at: Annotated[str | None, stated("at")] = None,
    replace: Annotated[str | None, stated("replace")] = None,
    budget: Annotated[float | None, stated("budget_s")] = None,
    processes: Annotated[int | None, stated("processes")] = None,
    energy: Annotated[int | None, stated("energy")] = None,
    timeout: Timeout = None,
    wait_for_quiet: Annotated[float | None, stated("wait_for_quiet_s")] = None,
    threads: Annotated[int | None, stated("threads")] = None,
    seed: Annotated[int | None, stated("seed")] = None,
    repeat: Annotated[int | None, stated("repeat")] = None,
    every: Annotated[float | None, stated("every_minutes")] = None,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Also profile each network apart from the timing: where the time of a step goes, "
            "by stage and operator. Eager inference on CPU or CUDA.",
        ),
    ] = False,
    no_wait: NoWait = False,
    share: Share = False,
    out: Annotated[
        Path | None,
        option(
            "DIR", "Output folder. An unfinished run in it is resumed.", "a new one under reports/"
        ),
    ] = None,
    outline: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be measured, where and how long, and write nothing. Custom "
            "modules are tried, which runs their code.",
        ),
    ] = False,
    format_: Annotated[
        RunFormat,
        options.formats(
            [*RunFormat],
            "json: one object at the end on standard output, and all else on standard error.",
        ),
    ] = RunFormat.TEXT,
) -> int:
    """Count, time and measure modules in a host network beside the plain host (the default).

    Several values of an option, comma-separated, make a grid of configurations.
    """
    from attnbench.measuring.options.check import check

    as_json = format_ is RunFormat.JSON
    module = options.imported_from(module, import_root)

    stated_options = RunOptions(
        modules=options.modules(modules, module),
        host=host,
        device=device,
        batch_size=options.numbers(batch_size, "--batch-size"),
        image_size=options.image_sizes(image_size, "--image-size"),
        dtype=options.choices(dtype, "--dtype", DTYPES),
        channels_last=channels_last,
        mode=options.choices(mode, "--mode", MODES),
        runtime=options.runtimes(runtime, compile_, eager, cuda_graph),
        calibration=None if calibrate is None else str(calibrate),
        cudnn_benchmark=cudnn_benchmark,
        isolated=isolated,
        stages=options.stages(stages),
        blocks=blocks,
        at=at,
        replace=replace,
        budget_s=budget,
        processes=processes,
        energy=energy,
        timeout_s=timeout,
        wait_for_quiet_s=wait_for_quiet,
        threads=threads,
        seed=seed,
        repeat=repeat,
        every_minutes=every,
        if_busy=options.if_busy(no_wait=no_wait, share=share),
        profile=profile or None,
    )
    if check(stated_options, out) and not outline:
        return _finished(out, as_json=as_json)
    named = options.named(modules, module)
    if outline:
        left_out = dry_run.show(stated_options, out, as_json=as_json)
        return 1 if left_out.keys() & named else 0
    return _measure(stated_options, out, named, as_json=as_json)


def _measure(
    stated_options: RunOptions, out: Path | None, named: Set[str], *, as_json: bool
) -> int:
    """Measure, showing what happens; modules that the user has named must not be left out."""
    from attnbench import measuring  # and torch
    from attnbench.cli.answers.report import show
    from attnbench.measuring.events import Planned, Waiting

    console = output.console(stderr=as_json)
    folders: list[Path] = []
    every = stated_options.every_minutes
    told, bar = Told(console, 60 * (every or 0.0)), Bar(console)

    def progress(run: Run, event: Planned | Waiting | Event) -> None:
        if isinstance(event, Planned):
            if not folders:
                output.complain(
                    *(faults.left_out(name, why) for name, why in event.left_out.items())
                )
            console.print(f"{run.case.described}; records in {event.folder}")
            folders.append(event.folder)
            bar.add(run)
            return
        told.before(bar.runs)
        if isinstance(event, Waiting):
            told.waiting(event)
            bar.wait(event)
            return
        bar.show(run, event)
        told.after(run, event)

    try:
        with closing(bar):
            measured = measuring.run(stated_options, out, progress)
    except KeyboardInterrupt:
        if not folders:
            raise
        folder = out or (folders[0] if len(folders) == 1 else folders[0].parent)
        again = ["attnbench", "run", "--out", str(folder)]
        again += ["--every", f"{every:g}"] if every else []
        output.complain(f"interrupted; resume with: {shlex.join(again)}")
        return 130
    if told.something:
        if changed := list(faults.changed(measured.runs, folders)):
            output.complain(*changed)
            return 1
        try:
            show([measured.folder], measured.folder, console)
        except KeyboardInterrupt:
            shown = shlex.join(["attnbench", "report", str(measured.folder)])
            output.complain(f"interrupted; all is measured, write its tables with: {shown}")
            return 130
        told.at_the_end()
    else:
        console.print(_already_finished(measured.folder))
    if as_json:
        _print_json(measured.folder, measured.left_out)
    failures = list(faults.failures(measured.runs))
    output.complain(*failures)
    refused = measured.left_out.keys() & named
    return 0 if all(run.finished for run in measured.runs) and not (failures or refused) else 1


def _finished(folder: Path | None, *, as_json: bool) -> int:
    output.console(stderr=as_json).print(_already_finished(folder))
    if as_json and folder is not None:
        _print_json(folder, {})
    return 0


def _print_json(folder: Path, left_out: Mapping[str, str]) -> None:
    from attnbench.report.load import load

    print(output.json_text(results_json.measured(load(folder), folder, left_out)))


def _already_finished(folder: Path | None) -> str:
    shown = shlex.join(["attnbench", "report", str(folder)])
    return f"already finished: {folder}; show it with: {shown}"
