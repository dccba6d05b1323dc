"""``attnbench run``: count, time and measure; the default command."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from attnbench.cli import options, output
from attnbench.cli.options import DTYPES, MODES, CustomModules, Device, option, stated
from attnbench.records.case import RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import End, Record, Round

if TYPE_CHECKING:
    from attnbench.measuring.events import Event, Planned


def run(  # noqa: PLR0913, PLR0917  one parameter an option
    modules: Annotated[str | None, option(None, "Names, comma-separated.", "all seven")] = None,
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
        option(
            "DIR", "Output folder. An unfinished run in it is resumed.", "a new one under reports/"
        ),
    ] = None,
) -> int:
    """Count, time and measure modules in a host network beside the plain host (the default).

    Several values of an option, comma-separated, make a grid of configurations.
    """
    from attnbench import measuring
    from attnbench.cli.commands.report import show
    from attnbench.measuring.events import Planned

    stated_options = RunOptions(
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
    console, folders = output.console(), []
    bar = Bar(console)

    def progress(run: Run, event: Planned | Event) -> None:
        if isinstance(event, Planned):
            console.print(f"{run.case.described}; records in {event.folder}")
            folders.append(event.folder)
            bar.add(run)
        else:
            bar.show(run, event)

    try:
        with closing(bar):
            measured = measuring.run(stated_options, out, progress)
    except KeyboardInterrupt:
        if not folders:
            raise
        folder = out or (folders[0] if len(folders) == 1 else folders[0].parent)
        output.complain(f"interrupted; resume with: attnbench run --out {shlex.quote(str(folder))}")
        return 130
    show([measured.folder], measured.folder, console)
    return 0 if all(run.finished for run in measured.runs) else 1


STEP_S = {"counts": 1.5, "memory": 2.5, "warm-up": 1.0}
"""Seconds that one step takes beside the timed rounds, roughly: only the bar's scale."""


class Bar:
    """One progress bar over all runs, scaled in seconds that their steps are expected to take.

    It is drawn when something has happened and not between, when something is being timed.
    """

    def __init__(self, console: Console) -> None:
        self._runs: list[Run] = []
        self._done_s: list[float] = []
        self._progress = output.progress_bar(console, in_seconds=True)
        self._task = self._progress.add_task("starting", total=0)

    def close(self) -> None:
        """Stop the bar if it was ever drawn; else this would print an empty line."""
        if self._progress.live.is_started:
            self._progress.stop()

    def add(self, run: Run) -> None:
        """Lengthen the bar by a run, of which an earlier call may have done a part."""
        self._runs.append(run)
        steps_s = STEP_S["counts"] * len(run.counts) + STEP_S["memory"] * len(run.memory)
        self._done_s.append(_expected_s(run) if run.end else steps_s + run.timed_s)
        self._progress.reset(self._task, total=sum(map(_expected_s, self._runs)))

    def show(self, run: Run, event: Event) -> None:
        """Move the bar by what begins and by what rounds took."""
        self._progress.start()
        number = next(n for n, known in enumerate(self._runs) if known is run)
        text = None
        if not isinstance(event, Record):
            text = f"{event.kind} {event.variant or len(run.rounds) + 1}"
            if len(self._runs) > 1:
                text = f"{number + 1} of {len(self._runs)}: {text}"
            self._done_s[number] += STEP_S.get(event.kind, 0.0)
        elif isinstance(event.results, Round):
            self._done_s[number] += event.results.seconds
        elif isinstance(event.results, End):
            text, self._done_s[number] = "done", _expected_s(run)
        done = sum(self._done_s)
        self._progress.update(self._task, completed=done, description=text, refresh=True)


def _expected_s(run: Run) -> float:
    counted, measured = STEP_S["counts"] * len(run.counted), STEP_S["memory"] * len(run.networks)
    return run.plan.budget_s + counted + measured + STEP_S["warm-up"] * len(run.plan.variants)
