"""From options to trainings that can be run: data, what fits, and the first line of the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.conditions import BASE, Conditions
from attnbench.hosts.placement.choice import Choice
from attnbench.modules import AttentionSpec, SettingsError
from attnbench.plugins import resolve
from attnbench.plugins.resolve import ModuleReference
from attnbench.records.schema import Environment
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import WIDER, Training, Width
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.system import environment, process_settings
from attnbench.training.classification import capacity
from attnbench.training.classification.digits import Digits
from attnbench.training.classification.folders import Folders
from attnbench.training.classification.images import Images
from attnbench.training.classification.task import Classification
from attnbench.training.options import DIGITS, TrainOptions
from attnbench.training.schedule import steps_per_epoch
from attnbench.training.task import Task

FREE = ("environment", "left_out", "seeds", "width", "variants", "sources", "schema")
"""Fields of the first line that are compared otherwise, or not, when trainings are resumed."""


@dataclass(frozen=True)
class Planned:
    """The task, what its trainings share, and all the seeds that are asked for."""

    task: Task
    training: Training
    seeds: tuple[int, ...]
    environment: Environment
    """Facts about machine and software now, which may be others than when it was begun."""


LACKING = {"mps": "train keeps its sums in float64, which MPS does not have"}
"""Kinds of devices that cannot train, and why."""


def device_of(options: TrainOptions) -> str:
    """Return the device that is asked for, or the one that is taken where none is.

    Raises:
        UserError: it is not there, or cannot train.
    """
    return devices.chosen(options.device, LACKING)


def plan(
    options: TrainOptions, recipe: Recipe, processes: int, recorded: Training | None = None
) -> Planned:
    """Find the data and what fits; with ``recorded``, hold it against what was begun.

    Modules are tried in training mode on two random images, custom ones in a process of their own
    before that. With ``recorded`` nothing is tried: what fits is known.

    Raises:
        UserError: data that cannot be trained on, a recipe that does not fit it, no module that
            fits, or another recipe, data or setting than what was begun.
    """
    device = device_of(options)
    task = task_of(options, recipe)
    _require_fit(recipe, task, processes)
    asked = [resolve.parse(name) for name in options.modules or ()]
    if recorded is None:
        left_out = _left_out(task, asked, Conditions(device))
    else:
        left_out = {module.name: "" for module in asked if module.name in recorded.left_out}
    names = [module.name for module in asked if module.name not in left_out]
    if not names:
        raise UserError("; ".join(f"{name}: {why}" for name, why in left_out.items()))
    width = None
    if recorded is not None:
        width = recorded.width
    elif options.capacity_control:
        threads = options.threads or torch.get_num_threads()
        width = _width(task, tuple(names), Conditions(device), threads)
        if width is None:
            left_out[WIDER] = (
                "no module is slower than the plain host by as much as a step of width"
            )
    if width is not None:
        task = replace(task, width=width.base)
    assert options.seed is not None
    assert options.seeds is not None
    seeds = tuple(range(options.seed, options.seed + options.seeds))
    facts = environment.describe_apart(device)
    for name in process_settings.OF_TIMING:
        facts.pop(name, None)
    training = Training(
        task=task.name,
        metric=task.metric,
        host=task.host,
        variants=(PLAIN, CONTROL, *names, *((WIDER,) if width else ())),
        seeds=seeds,
        recipe=recipe,
        last=options.last or 1,
        data=task.data,
        image_size=task.size,
        stages=task.stages,
        blocks=task.blocks,
        amp=options.amp,  # type: ignore[arg-type]  # the option has been checked
        channels_last=bool(options.channels_last),
        device=device,  # type: ignore[arg-type]
        threads=options.threads or torch.get_num_threads(),
        processes=processes,
        deterministic=bool(options.deterministic),
        sources={name: origin for name, origin in resolve.origins(asked).items() if name in names},
        left_out=left_out,
        width=width,
        environment=facts,
    )
    if recorded is None:
        return Planned(task, training, seeds, facts)
    _require_same(recorded, training)
    if options.capacity_control and WIDER not in (*recorded.variants, *recorded.left_out):
        raise UserError(
            "these trainings were begun without --capacity-control; choose another --out"
        )
    return Planned(task, recorded, seeds, facts)


def task_of(options: TrainOptions, recipe: Recipe) -> Classification:
    """Return the task: its images are found, and none is read yet."""
    images: Images = Digits() if options.data == DIGITS else Folders(Path(options.data))
    assert options.host is not None
    assert options.image_size is not None
    assert options.stages is not None
    return Classification(
        images=images,
        recipe=recipe,
        size=options.image_size,
        host=options.host,
        stages=tuple(sorted({*options.stages})),
        blocks=options.blocks,  # type: ignore[arg-type]  # the option has been checked
    )


def _require_fit(recipe: Recipe, task: Task, processes: int) -> None:
    """Refuse a batch that the data or the processes cannot fill."""
    data = task.data
    if recipe.batch_size > data.train_images:
        raise UserError(
            f"recipe {recipe.name}: a batch of {recipe.batch_size} is more than the "
            f"{data.train_images:,} training images of {data.name}; --set batch_size=N states "
            "another (and --set learning_rate=R, which goes with it)"
        )
    if data.test_images < processes:
        raise UserError(
            f"{processes} processes are more than the {data.test_images:,} test images of "
            f"{data.name}"
        )
    if recipe.batch_size < 2 * processes:
        raise UserError(
            f"a batch of {recipe.batch_size} over {processes} processes: each needs two images "
            "at least, as a batch norm cannot train on one"
        )
    assert steps_per_epoch(data.train_images, recipe.batch_size, processes) > 0


def _left_out(
    task: Classification, modules: Iterable[ModuleReference], conditions: Conditions
) -> dict[str, str]:
    """Return why modules cannot be trained in the host at this size of image."""
    image = (1, 3, task.size, task.size)
    where = Choice(task.stages, task.blocks)
    left_out = {}
    for module in modules:
        try:
            if module.is_custom:
                check_module.in_subprocess(
                    check_module.check, module, task.host, [image], [conditions], where
                )
            _require_learns(task, module.load())
        except (SettingsError, UserError) as error:
            left_out[module.name] = str(error)
    return left_out


def _width(
    task: Classification, modules: tuple[str, ...], place: Conditions, threads: int
) -> Width | None:
    """Measure how wide the plain host has to be to be as slow as the slowest module."""
    process_settings.settle_arithmetic(threads)
    torch.manual_seed(0)
    return capacity.choose(task, modules, capacity.measured(task, place))


def _require_learns(task: Classification, attention: AttentionSpec) -> None:
    """Refuse a module whose network gives no finite loss or gradients for two random images.

    On the CPU: SGE divides by the deviation of a map, which one of a single position has not.
    """
    torch.manual_seed(0)
    network = task.network(attention.name).train()
    batch = (torch.randn(2, 3, task.size, task.size), torch.tensor([0, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the same: one line says it below
        loss = task.loss(network, batch, BASE)
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = [known.grad for known in network.parameters() if known.grad is not None]
    if loss.isfinite() and all(gradient.isfinite().all() for gradient in gradients):
        return
    image = (1, 3, task.size, task.size)
    places = check_module.places(attention, task.host, image, Choice(task.stages, task.blocks))
    smallest = min(places, key=lambda place: place.shape[1:])
    size = "x".join(map(str, smallest.shape[1:]))
    raise SettingsError(
        f"its network gives no finite loss or gradient on images of {task.size}x{task.size}, where "
        f"its smallest map is {size}; a larger --image-size or fewer --stages would do"
    )


def _require_same(recorded: Training, asked: Training) -> None:
    """Refuse to go on with other settings, data or code."""
    differing = [
        f"{known.name} was {_short(getattr(recorded, known.name))} and is "
        f"{_short(getattr(asked, known.name))}"
        for known in fields(Training)
        if known.name not in FREE and getattr(recorded, known.name) != getattr(asked, known.name)
    ]
    if others := [name for name in asked.modules if name not in recorded.variants]:
        differing.append(f"{', '.join(others)} was not among its modules")
    if {**recorded.sources} != {**asked.sources} and not others:
        differing.append("the code of its modules was another")
    if differing:
        raise UserError(
            f"these trainings were begun otherwise: {'; '.join(differing)}. Choose another --out"
        )


def _short(value: object) -> str:
    return str(getattr(value, "name", value))
