"""``attnbench run``: count, time and measure; the default command."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli import options, output
from attnbench.cli.options import DTYPES, MODES, SEVERAL, CustomModules, Device


def run(  # noqa: PLR0913, PLR0917  one parameter an option
    modules: Annotated[
        str | None, typer.Option(help="Names, comma-separated.", show_default="all seven")
    ] = None,
    module: CustomModules = None,
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
    from attnbench.cli.report import show
    from attnbench.measuring import planning, runner
    from attnbench.records import store

    wanted = planning.RunOptions(
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
