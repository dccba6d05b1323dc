"""The course of a sweep: which configuration waits, runs, is done or has failed, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from attnbench.errors import UserError
from attnbench.records import run as runs
from attnbench.records import store
from attnbench.records.run import Run
from attnbench.sweeps import forecast
from attnbench.sweeps.device.process import Answer
from attnbench.sweeps.device.slots import Slot
from attnbench.sweeps.folder import Happened, State, SweepFolder
from attnbench.sweeps.forecast import Seconds
from attnbench.sweeps.plan.configuration import Configuration
from attnbench.sweeps.plan.file import Sweep
from attnbench.text import printable

MOST_LOST = 3
"""Machines that a configuration may lose: it may be what ends them."""

MOST_OF_MESSAGE = 500
"""Characters."""


@dataclass(frozen=True)
class Step:
    """What has happened with a configuration, where, and what failed."""

    configuration: Configuration
    state: State
    where: str | None
    message: str | None


Tell = Callable[["Course", Step], object]


class Course:
    """The configurations of a sweep and their states; every change is stored in the folder."""

    def __init__(
        self, sweep: Sweep, folder: SweepFolder, seconds: Seconds, tell: Tell = lambda *_: None
    ) -> None:
        self.folder, self.sweep = folder, sweep
        self.waiting: list[Configuration] = []
        self.running: dict[str, tuple[Configuration, Slot]] = {}
        self.done: dict[str, str | None] = {}
        """Names, with what failed in them."""
        self.failed: dict[str, str] = {}
        self.slots: tuple[Slot, ...] = ()
        """Those that are known now."""
        self._seconds, self._tell = seconds, tell
        self._lost: dict[str, int] = {}
        self._began_with: dict[str, int] = {}
        self._set_aside: set[str] = set()

    def begin(self) -> None:
        """Take the folder over: what is finished there stays, all else waits.

        Raises:
            UserError: the folder cannot be used.
        """
        self.folder.open()
        before = {
            line.name: line.message
            for line in self.folder.lines()
            if isinstance(line, Happened) and line.state == "done"
        }
        for known in self.sweep.configurations:
            if self.folder.is_whole(known.name):
                self.done[known.name] = before.get(known.name)
            elif self._finished_before(known):
                self.done[known.name] = before.get(known.name) or faults(self._run(known), {})
                self.folder.finish(known.name)
            else:
                self.waiting.append(known)
        self.folder.plan((known, self._seconds(known)) for known in self.sweep.configurations)

    def _finished_before(self, known: Configuration) -> bool:
        """Return whether a driver ended between a run's last record and its renaming."""
        run = self._run(known)
        return run is not None and run.finished and self._threads_fault(known, run, None) is None

    def start(self, known: Configuration, slot: Slot) -> None:
        """Note that a slot begins to measure a configuration."""
        self.waiting.remove(known)
        self.running[known.name] = (known, slot)
        self.folder.repair(known.name)
        self._began_with[known.name] = len(self.folder.records(known.name))
        self._note(known, "running", slot.shown)

    def end(self, known: Configuration, answer: Answer) -> None:
        """Note how the process of a configuration ended, and give its run its final name."""
        _, slot = self.running.pop(known.name)
        try:
            run = self._run(known)
        except UserError as error:
            self.folder.set_aside(known.name)
            self._fail(known, slot, str(error))
            return
        fault = None if run is None else self._threads_fault(known, run, slot.threads)
        if fault is not None:
            self.folder.set_aside(known.name)
            self._fail(known, slot, fault)
        elif run is not None and run.finished:
            message = faults(run, answer.left_out) or answer.error
            self.folder.finish(known.name)
            self.done[known.name] = message
            self._note(known, "done", slot.shown, message)
        elif self._cannot_go_on(known, answer):
            self._set_aside.add(known.name)
            self.folder.set_aside(known.name)
            self.waiting.insert(0, known)
            self._note(known, "waiting", None, f"measured from the start: {answer.error}")
        else:
            ended = run.end.message if run is not None and run.end is not None else None
            self._fail(known, slot, answer.error or ended or "the run is not finished")

    def _cannot_go_on(self, known: Configuration, answer: Answer) -> bool:
        """Return whether what another machine or version had begun was refused here."""
        before = self._began_with[known.name]
        unchanged = 0 < before == len(self.folder.records(known.name))
        return answer.refused and unchanged and known.name not in self._set_aside

    def lose(self, known: Configuration) -> None:
        """Note that the machine of a configuration was lost: it waits for another, or this one."""
        _, slot = self.running.pop(known.name)
        lost = self._lost[known.name] = self._lost.get(known.name, 0) + 1
        if lost >= MOST_LOST:
            self._fail(known, slot, f"{lost} machines were lost while they measured it")
            return
        self.waiting.insert(0, known)
        self._note(known, "lost", slot.shown)

    def give_up(self, known: Configuration, why: str) -> None:
        """Note that a configuration that waits cannot be measured."""
        self.waiting.remove(known)
        self._fail(known, None, why)

    def interrupt(self) -> None:
        """Let all that is running wait again, as the driver ends."""
        for known, _ in list(self.running.values()):
            self.running.pop(known.name)
            self.waiting.insert(0, known)
            self._note(known, "waiting", None, "interrupted")

    @property
    def left_s(self) -> float | None:
        """About how long all that is left takes at most; None where no slot is known for it."""
        return forecast.left_s(
            self.waiting,
            [(known, slot) for known, slot in self.running.values()],
            self.slots,
            self._seconds,
        )

    def _fail(self, known: Configuration, slot: Slot | None, message: str) -> None:
        self.failed[known.name] = printable(message, MOST_OF_MESSAGE)
        self._note(known, "failed", slot.shown if slot else None, self.failed[known.name])

    def _note(
        self, known: Configuration, state: State, where: str | None, message: str | None = None
    ) -> None:
        shown = None if message is None else printable(message, MOST_OF_MESSAGE)
        self.folder.happened(known.name, state, where, shown)
        self._tell(self, Step(known, state, where, shown))

    def _run(self, known: Configuration) -> Run | None:
        """Return what there is of an unfinished run."""
        folder = self.folder.unfinished(known.name)
        return runs.read(folder) if store.holds_a_file(folder) and store.read(folder) else None

    @staticmethod
    def _threads_fault(known: Configuration, run: Run, default: int | None) -> str | None:
        """Return what is wrong where a CPU computed with other threads than were planned."""
        planned = known.options.threads or default
        if planned is None or run.case.threads == planned:
            return None
        return (
            f"it was measured with {run.case.threads} threads where {planned} were planned, so "
            "its records are not used"
        )


def faults(run: Run | None, left_out: Mapping[str, str]) -> str | None:
    """Return what failed in a finished run, in one line; None where nothing did."""
    failures: Iterable[str] = ()
    if run is not None:
        failures = [
            f"{variant} failed ({step}): {failure.type}: {failure.message}"
            for variant, steps in run.failures.items()
            for step, failure in steps.items()
            if step != "counts" or variant not in run.counts
        ]
    refused = [
        f"{name} is left out: {why.removeprefix(f'{name}: ')}" for name, why in left_out.items()
    ]
    return "; ".join([*refused, *failures]) or None
