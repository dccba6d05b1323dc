"""``attnbench run``: count, time and measure; the default command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli import options, output
from attnbench.cli.options import CustomModules, Device, stated
from attnbench.records.case import DTYPES, MODES, RunOptions


def run(  # noqa: PLR0913, PLR0917  one parameter an option
    modules: Annotated[
        str | None, typer.Option(help="Names, comma-separated.", show_default="all seven")
    ] = None,
    module: CustomModules = None,
    host: Annotated[str | None, stated("host")] = None,
    device: Annotated[Device | None, stated("device")] = None,
    batch_size: Annotated[str | None, stated("batch_size")] = None,
    image_size: Annotated[str | None, stated("image_size")] = None,
    dtype: Annotated[str | None, stated("dtype")] = None,
    channels_last: Annotated[bool | None, stated("channels_last")] = None,
    mode: Annotated[str | None, stated("mode")] = None,
    compile_: Annotated[bool | None, stated("compiled")] = None,
    eager: Annotated[
        bool | None, typer.Option("--eager", help="With --compile: the eager ones as well.")
    ] = None,
    cuda_graph: Annotated[bool | None, stated("cuda_graph")] = None,
    isolated: Annotated[bool | None, stated("isolated")] = None,
    stages: Annotated[str | None, stated("stages")] = None,
    blocks: Annotated[str | None, stated("blocks")] = None,
    budget: Annotated[float | None, stated("budget_s")] = None,
    threads: Annotated[int | None, stated("threads")] = None,
    seed: Annotated[int | None, stated("seed")] = None,
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
    from attnbench.cli.report import show
    from attnbench.measuring import planning, runner
    from attnbench.records import store

    wanted = RunOptions(
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
    console = output.console()
    for job in prepared:
        console.print(f"{job.run.case.described}; records in {job.folder}", markup=False)
    try:
        for its_run, record in output.Bar(runs, console).watch(runner.execute(runs)):
            store.append(folders[id(its_run)], record)
    except KeyboardInterrupt:
        output.complain(f"interrupted; go on with: attnbench run --out {shlex.quote(str(folder))}")
        return 130
    show([folder], folder, console)
    return 0 if all(run.finished for run in runs) else 1
