"""From options to trainings that can be run: data, what fits, and the first line of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch

from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.hosts.conditions import Conditions
from attnbench.plugins import host_reference, resolve
from attnbench.records.schema import Environment
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import WIDER, Training, Width
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.system import environment, process_settings
from attnbench.training.classification import capacity
from attnbench.training.classification.task import Classification
from attnbench.training.detection import pretrained
from attnbench.training.detection.task import Detection
from attnbench.training.options import TrainOptions
from attnbench.training.setup import fit
from attnbench.training.setup.tasks import task_of
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
    fit.require_fit(recipe, task, processes)
    asked = [resolve.parse(name) for name in options.modules or ()]
    if recorded is None:
        fit.require_host(task)
        left_out = fit.left_out(task, asked, Conditions(device))
    else:
        left_out = {module.name: "" for module in asked if module.name in recorded.left_out}
    names = [module.name for module in asked if module.name not in left_out]
    if not names:
        raise UserError("; ".join(f"{name}: {why}" for name, why in left_out.items()))
    width = None
    if recorded is not None:
        width = recorded.width
    elif options.capacity_control:
        assert isinstance(task, Classification)  # the option has been checked
        threads = options.threads or torch.get_num_threads()
        width = _width(task, tuple(names), Conditions(device), threads)
        if width is None:
            left_out[WIDER] = (
                "no module is slower than the plain host by as much as a step of width"
            )
    if width is not None:
        assert isinstance(task, Classification)
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
        stages=tuple(task.where.stages),
        blocks=task.where.blocks,
        at=task.where.at,
        replace=task.where.replace,
        amp=options.amp,  # type: ignore[arg-type]  # the option has been checked
        channels_last=bool(options.channels_last),
        device=device,  # type: ignore[arg-type]
        threads=options.threads or torch.get_num_threads(),
        processes=processes,
        deterministic=bool(options.deterministic),
        sources={
            **host_reference.origins(task.host),
            **{name: origin for name, origin in resolve.origins(asked).items() if name in names},
        },
        left_out=left_out,
        width=width,
        pretrained=pretrained.described(task.backbones) if isinstance(task, Detection) else {},
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


def _width(
    task: Classification, modules: tuple[str, ...], place: Conditions, threads: int
) -> Width | None:
    """Measure how wide the plain host has to be to be as slow as the slowest module."""
    process_settings.settle_arithmetic(threads)
    torch.manual_seed(0)
    return capacity.choose(task, modules, capacity.measured(task, place))


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
        differing.append("the code of its host or modules was another")
    if differing:
        raise UserError(
            f"these trainings were begun otherwise: {'; '.join(differing)}. Choose another --out"
        )


def _short(value: object) -> str:
    if isinstance(value, Mapping):  # of files of weights
        parts = (f"{name} {known.name} ({known.sha256[:8]})" for name, known in value.items())
        return ", ".join(parts) or "none"
    return str(getattr(value, "name", value))
