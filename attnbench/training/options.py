"""The options of ``train``, filled with what is usual or recorded. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from attnbench import host_names
from attnbench.errors import UserError
from attnbench.files import require_folder
from attnbench.modules import ATTENTION
from attnbench.plugins import host_reference, resolve
from attnbench.plugins.host_reference import parse_host
from attnbench.records import store as runs
from attnbench.records.options import site_patterns
from attnbench.records.trainings import store
from attnbench.records.trainings.recipe import Recipe
from attnbench.records.trainings.schema import WIDER, Trainings
from attnbench.records.variants import STAGES
from attnbench.training import recipes
from attnbench.training.setup.requirements import DIGITS, require_values, task_name

DIGITS_SIZE = 32
"""The least that a host takes: four times the digits' own 8."""

DEFAULT_HOST = "resnet50"
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
    if_busy: Literal["wait", "refuse", "share"] | None = None
    """What to do while another process measures, trains or evaluates on the device."""


def checked(options: TrainOptions, out: Path | None) -> tuple[TrainOptions, Recipe]:
    """Return valid options, those of a folder's unfinished trainings where left out; their recipe.

    ``device``, ``threads`` and ``workers`` stay None where neither states them.

    Raises:
        UserError: an option that cannot be, a folder that holds something else, that cannot be
            written to, or that was begun with another recipe, host or data.
        SettingsError: a module that is not known.
    """
    recorded = None if out is None else _recorded(out)
    require_folder(out or Path("reports"))
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
    require_values(filled, recipe)
    if filled.if_busy == "share" and filled.capacity_control and recorded is None:
        raise UserError(
            "--capacity-control measures how long a step takes, which --share would spoil; leave "
            "one of them out"
        )
    host_reference.origins(filled.host or "")
    resolve.origins(map(resolve.parse, filled.modules or ()))  # the files are there
    return filled, recipe


def _patterns(at: str | None) -> str | None:
    try:
        return site_patterns.written(at) if at else at
    except ValueError as error:
        raise UserError(str(error)) from error


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
