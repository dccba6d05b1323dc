"""What the options of ``train`` can be: all that is known before torch is imported."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from attnbench import host_names
from attnbench.detection.options import family
from attnbench.errors import UserError
from attnbench.measuring.options import REPLACED
from attnbench.modules import ATTENTION
from attnbench.plugins import host_reference, resolve
from attnbench.plugins.host_reference import parse_host
from attnbench.records import store as runs
from attnbench.records.case import LIMITS
from attnbench.records.options import site_patterns
from attnbench.records.trainings import store
from attnbench.records.trainings.recipe import MOST_EPOCHS, Recipe
from attnbench.records.trainings.schema import AMP, WIDER, Trainings
from attnbench.records.variants import BLOCKS, STAGES
from attnbench.text import unknown
from attnbench.training import recipes
from attnbench.training.detection import files

DIGITS = "digits"
DIGITS_SIZE = 32
"""The least that a host takes: four times the digits' own 8."""

DEFAULT_HOST = "resnet50"
MOST_SEEDS = 1000
DEFAULT_SEEDS = 3
DEFAULT_SAVE_MINUTES = 10.0


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of ``train``; None where the user left one out."""

    data: str
    """``digits``, or a folder."""
    annotations: Path | None = None
    """COCO-format annotations of the images in ``data``; with the next two, for detectors."""
    val_data: Path | None = None
    val_annotations: Path | None = None
    backbones: tuple[str, ...] = ()
    """Files of pretrained weights for detectors: ``FILE``, or ``MODULE=FILE``."""
    modules: tuple[str, ...] | None = None
    host: str | None = None
    recipe: str | None = None
    changes: tuple[str, ...] = ()
    seeds: int | None = None
    seed: int | None = None
    """The first of them."""
    last: int | None = None
    image_size: int | None = None
    stages: tuple[int, ...] | None = None
    blocks: str | None = None
    at: str | None = None
    replace: str | None = None
    device: str | None = None
    amp: str | None = None
    channels_last: bool | None = None
    threads: int | None = None
    workers: int | None = None
    deterministic: bool | None = None
    capacity_control: bool | None = None
    save_minutes: float | None = None


def checked(options: TrainOptions, out: Path | None) -> tuple[TrainOptions, Recipe]:
    """Return valid options, those of a folder's unfinished trainings where left out; their recipe.

    ``device``, ``threads`` and ``workers`` stay None where neither states them.

    Raises:
        UserError: an option that cannot be, a folder that holds something else, or that was begun
            with another recipe, host or data.
        SettingsError: a module that is not known.
    """
    recorded = None if out is None else _recorded(out)
    stated = replace(
        options,
        host=None if options.host is None else parse_host(options.host).name,
        modules=None
        if options.modules is None
        else tuple(dict.fromkeys(map(resolve.written, options.modules))),
        blocks=None if options.blocks is None else options.blocks.strip().lower(),
        replace=None if options.replace is None else options.replace.strip().lower(),
        at=_patterns(options.at),
    )
    if recorded:
        stated = _filled_from(stated, recorded)
        recipe = recorded.training.recipe
        if options.recipe is not None or options.changes:
            recipe = recipes.recipe(options.recipe or recipe.name, options.changes)
    else:
        usual = recipes.DEFAULT[task_name(stated.host or DEFAULT_HOST)]
        recipe = recipes.recipe(options.recipe or usual, options.changes)
    filled = _filled(stated)
    _require_values(filled, recipe)
    host_reference.origins(filled.host or "")
    resolve.origins(map(resolve.parse, filled.modules or ()))  # the files are there
    return filled, recipe


def _patterns(at: str | None) -> str | None:
    try:
        return site_patterns.written(at) if at else at
    except ValueError as error:
        raise UserError(str(error)) from error


def task_name(host: str) -> str:
    """Return the task that a host is trained for: ``detection`` or ``classification``."""
    return "detection" if family(host) and host in host_names.DETECTORS else "classification"


def _recorded(out: Path) -> Trainings | None:
    if store.exist(out):
        return store.read(out)
    if runs.has_files(out) and not runs.runs_in(out):
        raise UserError(f"{out} holds other files, no run and no trainings; choose another --out")
    return None


def _filled_from(options: TrainOptions, recorded: Trainings) -> TrainOptions:
    """Fill in what the trainings of a folder were begun with."""
    plan = recorded.training
    known = {
        "modules": (*plan.modules, *(name for name in plan.left_out if name != WIDER)),
        "host": plan.host,
        "seeds": len(recorded.seeds),
        "seed": recorded.seeds[0],
        "last": plan.last,
        "image_size": plan.image_size,
        "stages": plan.stages,
        "blocks": plan.blocks,
        "at": plan.at,
        "replace": plan.replace,
        "device": plan.device,
        "amp": plan.amp,
        "channels_last": plan.channels_last,
        "threads": plan.threads,
        "deterministic": plan.deterministic,
        "capacity_control": WIDER in (*plan.variants, *plan.left_out),
    }
    missing = {name: value for name, value in known.items() if getattr(options, name) is None}
    return replace(options, **missing)  # type: ignore[arg-type]


def _filled(options: TrainOptions) -> TrainOptions:
    host = options.host or DEFAULT_HOST
    known = {
        "modules": tuple(ATTENTION),
        "host": host,
        "seeds": DEFAULT_SEEDS,
        "seed": 0,
        "last": 1,
        "image_size": DIGITS_SIZE if options.data == DIGITS else host_names.default_size(host)[0],
        "stages": STAGES,
        "blocks": "all",
        "at": "",
        "replace": "",
        "amp": "float32",
        "channels_last": False,
        "deterministic": False,
        "capacity_control": False,
        "save_minutes": DEFAULT_SAVE_MINUTES,
    }
    missing = {name: value for name, value in known.items() if getattr(options, name) is None}
    return replace(options, **missing)  # type: ignore[arg-type]


def _require_values(options: TrainOptions, recipe: Recipe) -> None:
    _require_task(options, recipe)
    if not options.modules:
        raise UserError("modules has no value")
    for module in options.modules:
        resolve.parse(module)
        if module == WIDER:
            raise UserError(f"no module can have the name '{WIDER}': it is that of the wider host")
    if options.blocks not in BLOCKS:
        raise UserError(unknown("blocks", str(options.blocks), BLOCKS))
    if options.replace and options.replace not in REPLACED:
        raise UserError(unknown("kind to replace", options.replace, REPLACED))
    if options.at and options.replace:
        raise UserError("--at and --replace both say where the module stands; leave one out")
    if options.amp not in AMP:
        raise UserError(unknown("amp", str(options.amp), AMP))
    stages = options.stages or ()
    if not stages or set(stages) - {*STAGES}:
        raise UserError(f"unknown stages {sorted(set(stages) - {*STAGES})}; known: 1 to 4")
    if (options.last or 0) > recipe.epochs:
        raise UserError(
            f"--last {options.last} epochs cannot be averaged: there are {recipe.epochs}"
        )
    for name, value, (least, most) in (
        ("seeds", options.seeds, (1, MOST_SEEDS)),
        ("seed", options.seed, (0, 2**62)),
        ("last", options.last, (1, MOST_EPOCHS)),
        ("image_size", options.image_size, (host_names.TOTAL_STRIDE, LIMITS["image_size"][1])),
        ("threads", 1 if options.threads is None else options.threads, LIMITS["threads"]),
        ("workers", options.workers or 0, (0, LIMITS["threads"][1])),
    ):
        if not least <= (value or 0) <= most:
            raise UserError(f"{name} must be at least {least} and at most {most}, not {value}")
    minutes = options.save_minutes or 0.0
    if not (isfinite(minutes) and minutes > 0):
        raise UserError(f"save-minutes must be a positive number, not {minutes:g}")


def _require_task(options: TrainOptions, recipe: Recipe) -> None:
    """Refuse hosts that cannot be trained, and options and recipes of another task than theirs."""
    host = options.host or ""
    task = task_name(host)
    detectors = [name for name in host_names.DETECTORS if family(name)]
    unfit = {*host_names.DETECTORS, *host_names.TORCHVISION_DETECTORS, *host_names.SEGMENTATION}
    if host in unfit.difference(detectors):
        raise UserError(
            f"{host} cannot be trained here: classifiers and these detectors can, "
            f"{', '.join(detectors)}"
        )
    if recipe.task != task:
        others = ", ".join(name for name, known in recipes.RECIPES.items() if known.task == task)
        raise UserError(
            f"recipe {recipe.name} is of {recipe.task}, and {host} is trained for {task}: {others}"
        )
    if task == "detection":
        _require_detection(options, recipe)
        return
    for option, value in (
        ("annotations", options.annotations),
        ("val-data", options.val_data),
        ("val-annotations", options.val_annotations),
        ("backbone", options.backbones),
    ):
        if value:
            raise UserError(f"--{option} goes with a detector: {', '.join(detectors)}")
    if options.capacity_control and host not in host_names.CLASSIFIERS:
        known = ", ".join(host_names.CLASSIFIERS)
        raise UserError(f"--capacity-control widens these hosts alone: {known}")
    if options.data != DIGITS:
        _require_folder(options.data)


def _require_detection(options: TrainOptions, recipe: Recipe) -> None:
    if options.data == DIGITS:
        raise UserError(f"{DIGITS} have no boxes; a detector is trained on COCO-format data")
    if options.at or options.replace:
        raise UserError("--at and --replace go with classifiers; a detector takes --stages")
    if options.capacity_control:
        raise UserError(
            "--capacity-control goes with classifiers: for a wider backbone there are no "
            "pretrained weights"
        )
    backbones = files.backbones(options.backbones, options.modules or ())
    if not backbones and (recipe.frozen or recipe.norms == "fixed"):
        raise UserError(
            f"recipe {recipe.name} keeps the first stage or the statistics of norms as pretrained: "
            "--backbone FILE states the weights, or --set frozen=false --set norms=trained that "
            "there are none"
        )
    files.found(options.data, options.annotations, options.val_data, options.val_annotations)


def _require_folder(data: str) -> None:
    try:
        os.scandir(data).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot take images from {data}: {reason}; --data is a folder with train/ and val/, "
            f"or '{DIGITS}'"
        ) from error
