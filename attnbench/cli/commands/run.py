"""``attnbench run``: count, time and measure; the default command."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from attnbench import formatting
from attnbench.cli import dry_run, forecast, options, output, run_json
from attnbench.cli.forecast import STEP_S
from attnbench.cli.options import DTYPES, MODES, CustomModules, Device, Timeout, option, stated
from attnbench.records.case import RunOptions
from attnbench.records.run import Run, read
from attnbench.records.schema import End, Record, Round
from attnbench.text import printable

if TYPE_CHECKING:
    from attnbench.measuring.events import Event, Planned, Waiting

RunFormat = StrEnum("RunFormat", ["TEXT", "JSON"])


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
    timeout: Timeout = None,
    threads: Annotated[int | None, stated("threads")] = None,
    seed: Annotated[int | None, stated("seed")] = None,
    repeat: Annotated[int | None, stated("repeat")] = None,
    every: Annotated[float | None, stated("every_minutes")] = None,
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
        option(
            None,
            "json: one object at the end on standard output, and all else on standard error.",
            None,
            "--format",
        ),
    ] = RunFormat.TEXT,
) -> int:
    """Count, time and measure modules in a host network beside the plain host (the default).

    Several values of an option, comma-separated, make a grid of configurations.
    """
    from attnbench.measuring.options import check

    as_json = format_ is RunFormat.JSON

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
        timeout_s=timeout,
        threads=threads,
        seed=seed,
        repeat=repeat,
        every_minutes=every,
    )
    if check(stated_options, out) and not outline:
        return _finished(out, as_json=as_json)
    if outline:
        left_out = dry_run.show(stated_options, out, as_json=as_json)
        return 1 if left_out.keys() & options.named(modules, module) else 0

    from attnbench import measuring  # and torch
    from attnbench.cli.commands.report import show
    from attnbench.measuring.events import Planned, Waiting

    console = output.console(stderr=as_json)
    folders: list[Path] = []
    told, bar = Told(console, 60 * (every or 0.0)), Bar(console)

    def progress(run: Run, event: Planned | Waiting | Event) -> None:
        if isinstance(event, Planned):
            if not folders:
                output.complain(*(_left_out(name, why) for name, why in event.left_out.items()))
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
        if changed := list(_changed(measured.runs, folders)):
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
    failures = list(_failures(measured.runs))
    output.complain(*failures)
    refused = measured.left_out.keys() & options.named(modules, module)
    return 0 if all(run.finished for run in measured.runs) and not (failures or refused) else 1


def _finished(folder: Path | None, *, as_json: bool) -> int:
    output.console(stderr=as_json).print(_already_finished(folder))
    if as_json and folder is not None:
        _print_json(folder, {})
    return 0


def _print_json(folder: Path, left_out: Mapping[str, str]) -> None:
    from attnbench.report.load import load

    print(output.json_text(run_json.measured(load(folder), folder, left_out)))


def _already_finished(folder: Path | None) -> str:
    shown = shlex.join(["attnbench", "report", str(folder)])
    return f"already finished: {folder}; show it with: {shown}"


RESULTS = ("plan", "counts", "shapes", "memory", "compiled", "rounds", "failures", "end")
"""What a run and its file must agree on."""


def _changed(runs: Iterable[Run], folders: Iterable[Path]) -> Iterator[str]:
    """Yield a line for each run whose file does not hold what was stored in it.

    A custom module could write to it, as any process of the same user.
    """
    for run, folder in zip(runs, folders, strict=True):
        stored = read(folder)
        if unlike := [name for name in RESULTS if getattr(stored, name) != getattr(run, name)]:
            yield (
                f"another process has changed the records in {folder} ({', '.join(unlike)}); "
                "do not use them, and measure again"
            )


def _left_out(name: str, why: str) -> str:
    return f"{name} is left out: {why.removeprefix(f'{name}: ')}"


def _failures(runs: Iterable[Run]) -> Iterator[str]:
    """Yield a line for each run that ended early, and for each variant that failed in a step.

    Some rules of counting may fail.
    """
    for run in runs:
        if run.end is not None and run.end.message is not None:
            yield f"{run.case.described} ended early: {printable(run.end.message, 600)}"
        for variant, steps in run.failures.items():
            failed = [name for name in steps if name != "counts" or variant not in run.counts]
            if failed:
                message = printable(steps[failed[0]].message, 300)  # type: ignore[index]
                yield f"{variant} failed ({', '.join(failed)}) in {run.case.described}: {message}"


class Told:
    """Says once what the runs will take, of each what its first round shows, and what all took."""

    def __init__(self, console: Console, every_s: float = 0.0) -> None:
        self._console, self._every_s = console, every_s
        self._waiting = False
        self._runs: Sequence[Run] = ()
        self._timed: list[int] = []
        self._begun_s = self._earlier_s = 0.0

    @property
    def something(self) -> bool:
        """Whether there was anything to do."""
        return bool(self._runs)

    def before(self, runs: Sequence[Run]) -> None:
        """Say what is to come, where nothing has been said yet."""
        if not self._runs:
            self._runs, self._begun_s = runs, perf_counter()
            self._earlier_s = sum(run.timed_s for run in runs)
            repetitions = max(Counter(run.case for run in runs).values())
            self._console.print(forecast.before_all(runs, self._every_s * (repetitions - 1)))

    def waiting(self, event: Waiting) -> None:
        """Say once that a repetition is not due yet."""
        if not self._waiting:
            left = formatting.seconds(event.left_s)
            self._console.print(f"The next repetition begins in {left}.")
        self._waiting = True

    def after(self, run: Run, event: Event) -> None:
        """Say after a run's first round of this call what can be expected of it."""
        self._waiting = False
        a_round = isinstance(event, Record) and isinstance(event.results, Round)
        if a_round and id(run) not in self._timed:
            self._timed.append(id(run))
            self._console.print(forecast.of_rounds(run, run.moments[-1]))

    def at_the_end(self) -> None:
        """Say how much of the time lay outside of the budget."""
        if self._runs:
            whole_s = perf_counter() - self._begun_s
            timed_s = sum(run.timed_s for run in self._runs) - self._earlier_s
            whole, timed = formatting.seconds(whole_s), formatting.seconds(timed_s)
            self._console.print(f"It took {whole}, of which {timed} in timed rounds.")


class Bar:
    """One progress bar over all runs, scaled in seconds that their steps are expected to take.

    It is drawn when something has happened and not between, when something is being timed.
    """

    def __init__(self, console: Console) -> None:
        self.runs: list[Run] = []
        self._done_s: list[float] = []
        self._progress = output.progress_bar(console, in_seconds=True)
        self._task = self._progress.add_task("starting", total=0)

    def close(self) -> None:
        """Stop the bar if it was ever drawn; else this would print an empty line."""
        if self._progress.live.is_started:
            self._progress.stop()

    def add(self, run: Run) -> None:
        """Lengthen the bar by a run, of which an earlier call may have done a part."""
        self.runs.append(run)
        steps_s = STEP_S["counts"] * len(run.counts) + STEP_S["memory"] * len(run.memory)
        self._done_s.append(_expected_s(run) if run.end else steps_s + run.timed_s)
        self._progress.reset(self._task, total=sum(map(_expected_s, self.runs)))

    def wait(self, event: Waiting) -> None:
        """Show how long it is until the next repetition."""
        self._progress.start()
        text = f"waiting {formatting.seconds(event.left_s)}"
        self._progress.update(self._task, description=text, refresh=True)

    def show(self, run: Run, event: Event) -> None:
        """Move the bar by what begins and by what rounds took."""
        self._progress.start()
        number = next(n for n, known in enumerate(self.runs) if known is run)
        text = None
        if not isinstance(event, Record):
            text = f"{event.kind} {event.variant or len(run.rounds) + 1}"
            if len(self.runs) > 1:
                text = f"{number + 1} of {len(self.runs)}: {text}"
            self._done_s[number] += STEP_S.get(event.kind, 0.0)
        elif isinstance(event.results, Round):
            self._done_s[number] += event.results.seconds
        elif isinstance(event.results, End):
            text, self._done_s[number] = "done", _expected_s(run)
        done = sum(self._done_s)
        self._progress.update(self._task, completed=done, description=text, refresh=True)


def _expected_s(run: Run) -> float:
    return run.plan.budget_s + forecast.beside_the_rounds_s(run)
