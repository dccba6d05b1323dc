"""What the options of ``train`` cannot be, alone or together: known before torch is imported."""

from __future__ import annotations

import os
from math import isfinite
from typing import TYPE_CHECKING

from attnbench import host_names
from attnbench.detection.options import family
from attnbench.errors import UserError
from attnbench.measuring.options.values import REPLACED
from attnbench.plugins import resolve
from attnbench.records.case import LIMITS
from attnbench.records.trainings.recipe import MOST_EPOCHS, Recipe
from attnbench.records.trainings.schema import AMP, WIDER
from attnbench.records.variants import BLOCKS, STAGES
from attnbench.text import unknown
from attnbench.training import recipes
from attnbench.training.detection import files

if TYPE_CHECKING:
    from attnbench.training.options import TrainOptions

DIGITS = "digits"
"""The data that a package ships; any other is a folder."""

MOST_SEEDS = 1000


def task_name(host: str) -> str:
    """Return the task that a host is trained for: ``detection`` or ``classification``."""
    return "detection" if family(host) and host in host_names.DETECTORS else "classification"


def require_values(options: TrainOptions, recipe: Recipe) -> None:
    """Refuse options, filled with what is usual, that the recipe or their host cannot take.

    Raises:
        UserError: the message is one line that says what would do.
    """
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
