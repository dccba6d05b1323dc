"""What a sweep says while it runs: a line whenever something happens, and nothing between.

Something may be timed on this machine meanwhile, so that no display is drawn by a clock.
"""

from __future__ import annotations

from datetime import datetime

from rich.console import Console

from attnbench import formatting
from attnbench.cli import output
from attnbench.records import run as runs
from attnbench.records.run import Run
from attnbench.stats.replicates import Replicates, control_fault
from attnbench.sweeps.course import Course, Step
from attnbench.sweeps.plan.configuration import Configuration

VERBS = {
    "running": "begins on",
    "done": "done on",
    "failed": "failed on",
    "lost": "was lost with",
    "waiting": "waits again",
}


def seconds(known: Configuration) -> tuple[float, float]:
    """Return about how long a configuration takes at least, and at most."""
    from attnbench.cli.run import forecast

    return forecast.bounds_s([Run(known.case, known.plan, {})], 0.0)


def most_s(known: Configuration) -> float:
    """Return about how long a configuration takes at most."""
    return seconds(known)[1]


class Progress:
    """Prints each step of a sweep's course."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, course: Course, step: Step) -> None:
        """Print a step, and after it what is left."""
        place = f" {step.where}" if step.where else ""
        verb = VERBS[step.state] if step.where else VERBS[step.state].removesuffix(" on")
        time = f"{datetime.now().astimezone():%H:%M:%S}"
        self._console.print(f"{time} {verb}{place}: {step.configuration.described}")
        if step.message:
            output.complain(f"{step.configuration.name}: {step.message}")
        if step.state == "done":
            for line in strangers(course, step.configuration):
                self._console.print(f"         {line}")
        if step.state != "running":
            self._console.print(f"         {counted(course)}")


def strangers(course: Course, known: Configuration) -> list[str]:
    """Return what disturbed a finished run, and whether its control failed."""
    from attnbench.report.tables.sentences.disturbances import disturbances

    run = runs.read(course.folder.whole(known.name))
    fault = None if run.case.isolated else control_fault(run)
    code = Replicates((run,)).control_code
    return [*disturbances(run), *([f"too noisy to judge ({code}): {fault}"] if fault else [])]


def counted(course: Course) -> str:
    """Return ``3 of 24 done, 1 failed, 2 running, 18 waiting; at most about 34 min left``."""
    every = len(course.sweep.configurations)
    parts = [f"{len(course.done)} of {every} done"]
    for number, what in (
        (len(course.failed), "failed"),
        (len(course.running), "running"),
        (len(course.waiting), "waiting"),
    ):
        if number:
            parts.append(f"{number} {what}")
    left = course.left_s
    if left is None:
        return f"{', '.join(parts)}; some fit no device that is there now"
    return ", ".join(parts) + (f"; at most about {formatting.seconds(left)} left" if left else "")
