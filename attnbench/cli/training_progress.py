"""What ``train`` shows while it trains: one bar over everything, and a line a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType

from rich.console import Console

from attnbench import formatting
from attnbench.cli import output
from attnbench.cli.run import faults
from attnbench.records.trainings.schema import Epoch, Fault, Trainings
from attnbench.text import printable

WORK_OF_TRAINING = 3
"""Of an image, in forwards: a backward takes about two."""

REDRAW_S = 0.2


class TrainingProgress:
    """Draws the bar, prints what has ended, and says whether a signal asks to stop."""

    folder: Path | None = None

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.stop: Callable[[], bool] = lambda: False
        self._console, self._quiet = console, quiet
        self._bar = output.progress_bar(console)
        self._task = self._bar.add_task("starting", total=None)
        self._trainings: Trainings | None = None
        self._epochs_done = 0
        self._drawn_s = 0.0
        self._waiting = False

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    @property
    def _per_epoch(self) -> int:
        assert self._trainings is not None
        data = self._trainings.training.data
        return WORK_OF_TRAINING * data.train_images + data.test_images

    def waiting(self, holder: str) -> None:
        """Say once who has the device."""
        if not self._waiting:
            output.complain(
                f"waiting for {holder} (--share would train beside it and flag a measurement's "
                "rounds, --no-wait end)"
            )
        self._waiting = True

    def planned(self, trainings: Trainings, folder: Path) -> None:
        """Say what will be trained, and what does not fit."""
        self._trainings, self.folder = trainings, folder
        training = trainings.training
        for name, why in training.left_out.items():
            output.complain(faults.left_out(name, why))
        self._console.print(f"{training.described}; records in {folder}")
        networks = len(training.variants) * len(trainings.seeds)
        done = sum(map(len, trainings.epochs.values()))
        self._console.print(
            f"{formatting.counted(len(training.variants), 'network')} with "
            f"{formatting.counted(len(trainings.seeds), 'seed')} each: "
            f"{formatting.counted(networks * training.recipe.epochs - done, 'epoch')} to train"
        )
        self._epochs_done = done
        total = networks * training.recipe.epochs * self._per_epoch
        self._bar.update(self._task, total=total, completed=done * self._per_epoch)
        if done < networks * training.recipe.epochs:
            self._bar.start()

    def moved(self, variant: str, seed: int, epoch: int, images: int, test: bool) -> None:
        """Move the bar, at most a few times a second."""
        now = monotonic()
        if self._quiet or self._trainings is None or now - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = now
        training = self._trainings.training
        trained = training.data.train_images
        work = WORK_OF_TRAINING * (trained if test else min(images, trained))
        done = self._epochs_done * self._per_epoch + work + (images if test else 0)
        known = self._trainings.epochs.get((variant, seed))
        top = f", {training.metric} {known[-1].value(training):.1%}" if known else ""
        where = f"epoch {epoch + 1} of {training.recipe.epochs}"
        self._bar.update(
            self._task,
            completed=done,
            description=f"{variant} seed {seed}, {where}{top}",
            refresh=True,
        )

    def recorded(self, variant: str, seed: int, result: Epoch | Fault) -> None:
        """Print what ended."""
        assert self._trainings is not None
        training = self._trainings.training
        if isinstance(result, Fault):
            missing = training.recipe.epochs - len(self._trainings.epochs.get((variant, seed), ()))
            self._epochs_done += missing
            self._console.print(f"{variant} seed {seed} failed: {printable(result.message, 300)}")
            return
        self._epochs_done += 1
        if result.number == training.recipe.epochs:
            value = result.value(training)
            self._console.print(
                f"{variant} seed {seed}: {training.metric} {value:.2%} after "
                f"{formatting.counted(result.number, 'epoch')}, loss {result.loss:.3g}"
            )

    @staticmethod
    def failures(trainings: Trainings) -> Iterator[str]:
        """Yield a line for each training that failed."""
        for (variant, seed), fault in trainings.faults.items():
            message = printable(fault.message, 300)
            yield f"{variant} with seed {seed} failed ({fault.kind}): {message}"
