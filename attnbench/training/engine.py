"""Train one network: epochs, steps, checkpoints. What it learns, and from what, is its task's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Protocol

import torch

from attnbench.errors import UserError
from attnbench.hosts.conditions import Conditions
from attnbench.records.bounds import SHORTEST_S
from attnbench.records.device import kind_of
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import Epoch
from attnbench.text import error_line
from attnbench.training import checkpoints, draws, loading
from attnbench.training.checkpoints import Progress
from attnbench.training.loading import Broken
from attnbench.training.processes import Processes
from attnbench.training.schedule import learning_rate, steps_per_epoch
from attnbench.training.task import Scores, Task

Kind = Literal["loss", "data", "disk", "memory", "code"]

LOOK_EVERY = 20
"""Steps between two looks at a GPU's loss: each waits until its work is done."""

GOES_ON, SAVE, STOP, FAULT = range(4)
"""What the processes agree on before a step: the greatest of theirs."""


class FaultError(Exception):
    """This network's training ended early; that of others can go on."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


class Watch(Protocol):
    """What follows a training, and may end it."""

    def stop(self) -> bool:
        """Return whether to write a checkpoint and stop."""

    def moved(self, variant: str, seed: int, epoch: int, images: int, test: bool) -> None:
        """Hear that so many images of an epoch are trained on, or of the test done."""


@dataclass(frozen=True)
class Setting:
    """How every network of a file of trainings is trained."""

    recipe: Recipe
    place: Conditions
    amp: str
    folder: Path
    last: int
    workers: int = 0
    save_every_s: float = 600.0
    clock: Callable[[], float] = monotonic


class Trainer:
    """One network of a variant and seed, from its checkpoint or its beginning."""

    def __init__(  # noqa: PLR0913, PLR0917  what a training consists of
        self,
        task: Task,
        variant: str,
        seed: int,
        setting: Setting,
        processes: Processes,
        watch: Watch,
    ) -> None:
        self._task, self._variant, self._seed = task, variant, seed
        self._setting, self._processes, self._watch = setting, processes, watch
        self._draws = draws.own_seed(variant, seed)
        self._path = checkpoints.path_of(setting.folder, variant, seed)
        self._last_save_s = setting.clock()
        recipe = setting.recipe
        torch.manual_seed(draws.mixed(self._draws, "weights"))
        self.network = setting.place.place(task.network(variant))
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )
        device = setting.place.device
        self._scaler = torch.amp.GradScaler(kind_of(device), enabled=setting.amp == "float16")
        self._progress = Progress()
        self._restore()
        self._wrapped = processes.wrap(self.network)
        # Of this process: the checkpoint has the sum of all.
        known = self._progress.loss_sum if processes.first else 0.0
        self._loss_sum = torch.tensor(known, dtype=torch.float64, device=device)
        self._began_s = setting.clock() - self._progress.seconds

    @property
    def _epoch(self) -> int:
        """The epoch that is due, from 0."""
        return len(self._progress.epochs)

    def epochs(self) -> Iterator[Epoch]:
        """Yield each epoch when it is in the checkpoint, those of earlier calls first.

        Raises:
            FaultError: the network cannot be trained further.
            KeyboardInterrupt: the watch said stop; the checkpoint is written.
        """
        yield from list(self._progress.epochs)
        while self._epoch < self._setting.recipe.epochs:
            rate = self._train()
            yield self._finished(rate, self._test())

    def _train(self) -> float:
        """Train the rest of an epoch; return the last learning rate."""
        recipe, data = self._setting.recipe, self._task.data
        total, count = recipe.batch_size, self._processes.count
        order = draws.order(self._draws, self._epoch, data.train_images)
        per_epoch = steps_per_epoch(data.train_images, total, count)
        batches = [order[n * total : (n + 1) * total] for n in range(per_epoch)]
        left = batches[self._progress.step :]
        shares = [self._processes.share(batch) for batch in left]
        loaded = loading.training(
            self._task, self._draws, self._epoch, shares, self._setting.workers
        )
        self._task.begin_training(self.network)
        for batch, loaded_batch in zip(left, loaded, strict=True):
            step = self._epoch * per_epoch + self._progress.step
            self._agree(loaded_batch)
            self._step(loaded_batch, len(batch), learning_rate(recipe, step, per_epoch), step)
            self._progress.step += 1
            self._watch.moved(
                self._variant, self._seed, self._epoch, self._progress.step * total, False
            )
        return learning_rate(recipe, (self._epoch + 1) * per_epoch - 1, per_epoch)

    def _step(self, batch: Any, images: int, rate: float, step: int) -> None:
        processes, recipe = self._processes, self._setting.recipe
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # What the network itself draws, as dropout does: of this step and process.
        torch.manual_seed(draws.mixed(self._draws, "step", step, processes.rank))
        mine = len(processes.share(range(images)))
        with self._precision():
            loss = self._task.loss(self._wrapped, batch, self._setting.place)
        # The mean over processes of these is the mean over images, also of unequal shares.
        weighted = loss * (mine * processes.count / images)
        self._scaler.scale(weighted).backward()  # type: ignore[no-untyped-call]
        if recipe.clip_norm is not None:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()
        self._loss_sum += loss.detach().double() * mine

    def _precision(self) -> torch.autocast:
        dtype = getattr(torch, self._setting.amp)
        enabled = dtype is not torch.float32
        return torch.autocast(
            kind_of(self._setting.place.device), dtype if enabled else None, enabled=enabled
        )

    def _agree(self, batch: Any) -> None:
        """Stop, save or fail where one of the processes has to, before any has begun the step."""
        message, state = None, GOES_ON
        on_cpu = self._setting.place.device == "cpu"
        if isinstance(batch, Broken):
            message, state = ("data", batch.message), FAULT
        elif (on_cpu or self._progress.step % LOOK_EVERY == 0) and not self._loss_sum.isfinite():
            message, state = self._no_number(), FAULT
        elif self._watch.stop():
            state = STOP
        elif self._setting.clock() - self._last_save_s >= self._setting.save_every_s:
            state = SAVE
        agreed = self._processes.greatest(state)
        if agreed == FAULT:
            self._fail(message)
        if agreed in {SAVE, STOP}:
            self._save()
        if agreed == STOP:
            raise KeyboardInterrupt

    def _no_number(self) -> tuple[Kind, str]:
        where = f"before step {self._progress.step + 1} of epoch {self._epoch + 1}"
        return "loss", f"the loss is no finite number any more {where}"

    def _fail(self, message: tuple[str, str] | None) -> None:
        """Raise the first message that a process has."""
        known = next((given for given in self._processes.every(message) if given), None)
        kind, text = known or ("code", "another process failed")
        raise FaultError(kind, text)  # type: ignore[arg-type]

    def _test(self) -> Scores:
        """Test the network on every image, each once, whatever the number of processes."""
        processes, data = self._processes, self._task.data
        processes.same_buffers(self.network)
        mine = processes.share(range(data.test_images))
        size = max(1, self._setting.recipe.batch_size // processes.count)
        batches = [mine[start : start + size] for start in range(0, len(mine), size)]
        in_all = data.test_images // processes.count // size  # batches that every process has
        answers: list[Any] = []
        message: tuple[str, str] | None = None
        self.network.eval()
        with torch.inference_mode(), self._precision():
            loaded = loading.testing(self._task, batches, self._setting.workers)
            for number, batch in enumerate(loaded):
                if number < in_all and processes.greatest(int(self._watch.stop())):
                    self._save()
                    raise KeyboardInterrupt
                # Where one process has failed, it goes on to agree with the others until the end.
                if message is not None:
                    continue
                if isinstance(batch, Broken):
                    message = ("data", batch.message)
                    continue
                try:
                    answers += self._task.answers(self.network, batch, self._setting.place)
                except FloatingPointError as error:
                    message = ("loss", str(error))
                done = min(len(answers) * processes.count, data.test_images)
                self._watch.moved(self._variant, self._seed, self._epoch, done, True)
        if processes.greatest(int(message is not None)):
            self._fail(message)
        return self._task.scores(processes.interleaved(answers, data.test_images))

    def _finished(self, rate: float, scores: Scores) -> Epoch:
        """Add an epoch to the progress and write it to the checkpoint."""
        progress, setting = self._progress, self._setting
        batches, images = setting.recipe.batch_size, self._task.data.train_images
        per_epoch = steps_per_epoch(images, batches, self._processes.count)
        loss = sum(self._processes.every(float(self._loss_sum))) / min(images, per_epoch * batches)
        if not isfinite(loss):
            self._fail(self._no_number())
        counts = self._epoch + 1 > setting.recipe.epochs - setting.last
        done = Epoch(
            number=self._epoch + 1,
            seconds=max(setting.clock() - self._began_s, SHORTEST_S),
            learning_rate=rate,
            loss=loss,
            right=dict(scores.right),
            figures=dict(scores.figures),
            answers=packed(scores.bits) if counts and scores.bits is not None else None,
        )
        progress.epochs.append(done)
        progress.step = 0
        self._loss_sum.zero_()
        self._began_s = setting.clock()
        self._save()
        return done

    def _save(self) -> None:
        """Write the checkpoint; when all epochs are done, the weights alone."""
        progress, setting = self._progress, self._setting
        progress.seconds = setting.clock() - self._began_s if progress.step else 0.0
        progress.loss_sum = sum(self._processes.every(float(self._loss_sum)))
        fault = None
        if self._processes.first:
            state: dict[str, Any] = {"state_dict": self.network.state_dict()}
            if self._epoch < setting.recipe.epochs:
                state["optimizer"] = self._optimizer.state_dict()
                state["scaler"] = self._scaler.state_dict()
            try:
                checkpoints.write(self._path, state, progress)
            except UserError as error:
                fault = str(error)
        if (fault := self._processes.of_first(fault)) is not None:
            raise FaultError("disk", fault)
        self._last_save_s = setting.clock()

    def _restore(self) -> None:
        stored = checkpoints.read(self._path)
        if stored is None:
            return
        state, self._progress = stored
        try:
            self.network.load_state_dict(state["state_dict"])
            if "optimizer" in state:
                self._optimizer.load_state_dict(state["optimizer"])
                self._scaler.load_state_dict(state["scaler"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{self._path} is of another network ({error_line(error)}); remove it, and this "
                "network is trained from its beginning"
            ) from error


def packed(bits: Any) -> str:
    """Return bits as hexadecimal digits, eight in two, the first one highest."""
    text = "".join("1" if bit else "0" for bit in bits)
    text += "0" * (-len(text) % 8)
    return "".join(f"{int(text[start : start + 8], 2):02x}" for start in range(0, len(text), 8))
