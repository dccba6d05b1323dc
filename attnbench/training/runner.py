"""Train every network of a plan, seed by seed, and store each epoch as it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from attnbench.errors import UserError
from attnbench.hosts.conditions import Conditions
from attnbench.plugins import host_reference, resolve
from attnbench.records import store as run_store
from attnbench.records.device import in_a_path
from attnbench.records.trainings import store
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import Entry, Epoch, Fault, Training, Trainings
from attnbench.system import environment, process_settings
from attnbench.text import error_line
from attnbench.training import checkpoints, engine, processes
from attnbench.training.engine import FaultError, Setting, Trainer
from attnbench.training.options import TrainOptions
from attnbench.training.planning import Planned, device_of, plan
from attnbench.training.processes import Processes
from attnbench.training.setup import turn

T = TypeVar("T")

MOST_WORKERS = 8
"""Default limit of processes that read images for a GPU."""


class Listener(engine.Watch, turn.Listener, Protocol):
    """What hears of the trainings as they go on."""

    def planned(self, trainings: Trainings, folder: Path) -> None:
        """Hear what will be trained, and what earlier calls have done of it."""

    def recorded(self, variant: str, seed: int, result: Epoch | Fault) -> None:
        """Hear of an epoch, or of a training that failed."""


@dataclass(frozen=True)
class Trained:
    """What a folder holds now, and where it is."""

    trainings: Trainings
    folder: Path
    writes: bool
    """Whether this is the process that writes."""


def run(options: TrainOptions, recipe: Recipe, out: Path | None, listener: Listener) -> Trained:
    """Train what is asked for and not finished yet; options come from ``options.checked``.

    Raises:
        UserError: what is asked for cannot be trained, the folder cannot be written to, or another
            has the device, where that is to be refused.
        KeyboardInterrupt: the listener said stop; every epoch and the checkpoint are stored.
    """
    device = device_of(options)
    with processes.joined(device) as group, _arithmetic(options), ExitStack() as stack:
        known: list[Trainings] = []

        def is_work() -> bool:
            known.extend(_known(out))
            return not known or _is_more(options, known[0])

        own_turn = None
        if _of_first(group, is_work):  # what is done already waits for no device
            if_busy = options.if_busy or "wait"
            own_turn = stack.enter_context(turn.hold(group, if_busy, listener))
        trainings, planned, folder = _begun(options, recipe, out, next(iter(known), None), group)
        if own_turn is not None:
            own_turn.leave_cores()
        training = trainings.training
        process_settings.settle_arithmetic(training.threads)
        if group.first:
            listener.planned(trainings, folder)
        setting = _setting(options, training, folder)
        for variant, seed in _left(trainings):
            _train_one(planned, variant, seed, setting, group, trainings, listener)
        return Trained(trainings, folder, group.first)


def _left(trainings: Trainings) -> list[tuple[str, int]]:
    """Return the networks and seeds that are not done, and could be, in their order."""
    faults = trainings.faults
    return [
        (variant, seed)
        for seed in trainings.seeds
        for variant in trainings.training.variants
        if not trainings.finished(variant, seed)
        and not ((fault := faults.get((variant, seed))) and fault.final)
    ]


def _is_more(options: TrainOptions, known: Trainings) -> bool:
    """Return whether more is to be trained than an earlier call has done."""
    return bool(_left(known)) or (options.seeds or 0) > len(known.seeds)


def _known(out: Path | None) -> Iterator[Trainings]:
    """Lock the folder of earlier trainings, if there are any, and yield what it holds."""
    if out is not None and store.exist(out):
        store.lock(out)
        store.repair(out)
        checkpoints.remove_unfinished(out)
        if (known := store.read(out)) is not None:
            yield known


def _of_first(group: Processes, function: Callable[[], T]) -> T:
    """Call a function in the first process, and return what it does there; its fault ends all."""
    value: T | None = None
    if group.first:
        try:
            value = function()
        except Exception as error:
            group.of_first((error_line(error), None))
            raise
    fault, value = group.of_first((None, value))
    if fault is not None:
        raise turn.NotHereError(fault)
    return value  # type: ignore[return-value]


def _begun(
    options: TrainOptions,
    recipe: Recipe,
    out: Path | None,
    known: Trainings | None,
    group: Processes,
) -> tuple[Trainings, Planned, Path]:
    """Plan in the first process, which writes the first line, and then in the others alike."""
    mine: list[Planned] = []

    def write() -> tuple[Trainings, Path]:
        planned, trainings, folder = _written(options, recipe, out, known, group.count)
        mine.append(planned)
        return trainings, folder

    trainings, folder = _of_first(group, write)
    planned = mine[0] if mine else plan(options, recipe, group.count, trainings.training)
    return trainings, planned, folder


def _written(
    options: TrainOptions, recipe: Recipe, out: Path | None, known: Trainings | None, count: int
) -> tuple[Planned, Trainings, Path]:
    planned = plan(options, recipe, count, known.training if known else None)
    training = planned.training
    device = in_a_path(training.device)
    folder = out or run_store.new_folder(f"{device}-{training.host}-training")
    if known is None:
        store.lock(folder)
        store.begin(folder, training)
        return planned, Trainings(training), folder
    if planned.seeds[: len(known.seeds)] != known.seeds[: len(planned.seeds)]:
        raise UserError(
            f"{folder} has the seeds {', '.join(map(str, known.seeds))}; more may follow them, "
            "others may not"
        )
    if len(planned.seeds) > len(known.seeds):
        more = Entry(seeds=planned.seeds)
        store.append(folder, more, training)
        known.add(more)
    return planned, known, folder


def _setting(options: TrainOptions, training: Training, folder: Path) -> Setting:
    readers = min(MOST_WORKERS, training.threads) if training.device != "cpu" else 0
    return Setting(
        recipe=training.recipe,
        place=Conditions(training.device, channels_last=training.channels_last),
        amp=training.amp,
        folder=folder,
        last=training.last,
        workers=readers if options.workers is None else options.workers,
        save_every_s=60 * (options.save_minutes or 10.0),
    )


def _train_one(  # noqa: PLR0913, PLR0917  all that a network is trained with
    planned: Planned,
    variant: str,
    seed: int,
    setting: Setting,
    group: Processes,
    trainings: Trainings,
    listener: Listener,
) -> None:
    """Train one network; what ends it early is recorded, and the others go on."""
    training = trainings.training

    def record(result: Epoch | Fault) -> None:
        facts = planned.environment | environment.moment(planned.environment)
        entry = Entry(
            variant=variant,
            seed=seed,
            epoch=result if isinstance(result, Epoch) else None,
            error=result if isinstance(result, Fault) else None,
            environment=facts,
        )
        if group.first:
            store.append(setting.folder, entry, training)
            listener.recorded(variant, seed, result)
        trainings.add(entry)

    try:
        _require_same_code(training)
        trainer = Trainer(planned.task, variant, seed, setting, group, listener)
        for epoch in trainer.epochs():
            # An earlier call may have ended between its checkpoint and its record.
            if epoch.number > len(trainings.epochs.get((variant, seed), ())):
                record(epoch)
    except FaultError as error:
        record(Fault(kind=error.kind, message=str(error)))
        if group.greatest(int(listener.stop())):  # the checkpoint of a stop may not be written
            raise KeyboardInterrupt from error
    except UserError:
        raise
    except Exception as error:
        if group.count > 1:  # the others wait for this one in vain: torchrun ends them
            raise UserError(f"{variant} with seed {seed}: {error_line(error)}") from error
        record(Fault(kind=_kind(error), message=error_line(error)))


def _kind(error: Exception) -> engine.Kind:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "memory"
    return "memory" if "can't allocate memory" in str(error) else "code"


def _require_same_code(training: Training) -> None:
    modules = resolve.origins(map(resolve.parse, training.modules))
    if host_reference.origins(training.host) | modules != training.sources:
        raise UserError("the code of its host or modules has changed since the trainings began")


@contextmanager
def _arithmetic(options: TrainOptions) -> Iterator[None]:
    """Tell torch to use deterministic algorithms alone, if that is asked for, for the body."""
    before = torch.are_deterministic_algorithms_enabled()
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
