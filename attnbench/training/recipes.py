"""The recipes, as data with their sources; and a user's changes to one. No torch."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError
from attnbench.records.options.fault import fault
from attnbench.records.trainings.recipe import Recipe
from attnbench.text import LONGEST_WORD, printable, unknown

# Of PyTorch's ImageNet example, from which three of the sources come.
_IMAGENET: dict[str, Any] = {
    "batch_size": 256,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "schedule": "step",
    "factor": 0.1,
    "crop_least": 0.08,
    "flip": 0.5,
}

# Of mmdetection, in whose configurations the papers trained detectors on COCO.
_COCO: dict[str, Any] = {
    "task": "detection",
    "batch_size": 16,
    "learning_rate": 0.02,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "schedule": "step",
    "factor": 0.1,
    "warm_up_steps": 500,
    "warm_up_from": 1 / 3,
    "clip_norm": 35.0,
    "crop_least": 1.0,
    "flip": 0.5,
    "norms": "fixed",
    "frozen": True,
}

_GCNET = "xvjiarui/GCNet @029db54, configs/gcnet/r50/mask_rcnn_r16_gcb_c3-c5_r50_fpn_1x.py, _2x.py"
_INSIGHT = "implus/PytorchInsight @2864528, detection/local_configs"

_TABLE = (
    Recipe(
        name="pytorchinsight",
        source="implus/PytorchInsight @2864528, README.md: the baselines of the SA paper",
        epochs=100,
        milestones=(30, 60, 90),
        **_IMAGENET,
    ),
    Recipe(
        name="sa-net",
        source="wofmanaf/SA-Net @3d40230, main.py: its defaults; no command is printed",
        epochs=90,
        milestones=(30, 60),
        **_IMAGENET,
    ),
    Recipe(
        name="ecanet",
        source="BangguWu/ECANet @1a473c3, main.py",
        epochs=100,
        milestones=(30, 60, 90),
        **_IMAGENET,
    ),
    Recipe(
        name="ecanet-mobilenetv2",
        source="BangguWu/ECANet @1a473c3, light_main.py",
        epochs=400,
        batch_size=96,
        learning_rate=0.045,
        weight_decay=4e-5,
        schedule="exponential",
        factor=0.98,
        crop_least=0.08,
        flip=0.5,
    ),
    Recipe(
        name="short",
        source="attnbench, for small data; its schedule is that of arXiv 1708.07120",
        epochs=8,
        batch_size=64,
        learning_rate=0.03,
        weight_decay=5e-4,
        schedule="one_cycle",
        crop_least=0.6,
        flip=0.0,
    ),
    Recipe(
        name="1x",
        source=_GCNET,
        epochs=12,
        milestones=(8, 11),
        **_COCO,
    ),
    Recipe(
        name="2x",
        source=f"{_INSIGHT}; {_GCNET}",
        epochs=24,
        milestones=(16, 22),
        **_COCO,
    ),
    Recipe(
        name="2x-retinanet",
        source=_INSIGHT,
        epochs=24,
        milestones=(16, 22),
        **_COCO | {"learning_rate": 0.01},
    ),
    Recipe(
        name="short-detector",
        source="attnbench, for small data and networks without pretrained weights",
        task="detection",
        epochs=12,
        batch_size=4,
        learning_rate=0.01,
        weight_decay=1e-4,
        schedule="step",
        milestones=(9, 11),
        warm_up_steps=20,
        warm_up_from=1 / 3,
        clip_norm=10.0,
        crop_least=1.0,
        flip=0.0,
    ),
)

RECIPES = {recipe.name: recipe for recipe in _TABLE}
DEFAULT = {"classification": "short", "detection": "short-detector"}
"""Task -> recipe."""

CHANGEABLE = tuple(
    known.name
    for known in fields(Recipe)
    if known.name not in {"name", "source", "changed", "task"}
)


def recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe by its name, with fields that ``changes`` (``epochs=30``) state otherwise.

    Raises:
        UserError: an unknown recipe or field, or a value that the field cannot have.
    """
    known = RECIPES.get(name.strip().lower())
    if known is None:
        raise UserError(unknown("recipe", name, RECIPES))
    values = dict(_change(text) for text in changes)
    if len(values) < len(changes):
        raise UserError("--set states a field twice")
    stated = {field.name: getattr(known, field.name) for field in fields(Recipe)}
    for field, value in values.items():
        if isinstance(value, bool) and not isinstance(stated[field], bool):
            raise UserError(
                f"recipe {known.name}: {field} is no switch, so it cannot be true or false"
            )
    changed = tuple(field for field, value in values.items() if stated[field] != value)
    try:
        return TypeAdapter(Recipe).validate_python(stated | values | {"changed": changed})
    except ValidationError as error:
        raise UserError(f"recipe {known.name}: {fault(error, stated | values)}") from error


def _change(text: str) -> tuple[str, Any]:
    field, equals, value = text.partition("=")
    field = field.strip().lower().replace("-", "_")
    if not equals:
        raise UserError(f"--set '{printable(text, LONGEST_WORD)}' is not FIELD=VALUE")
    if field not in CHANGEABLE:
        raise UserError(unknown("field of a recipe", field, CHANGEABLE))
    written = value = value.strip()
    if field == "milestones":  # 30,60 without brackets
        numbers = value.strip("()[] ")
        written = f"({numbers},)" if numbers else "()"
    try:
        return field, literal_eval(written)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        if field == "milestones":
            raise UserError(
                "--set milestones takes whole numbers with commas, such as 30,60, not "
                f"'{printable(value, LONGEST_WORD)}'"
            ) from None
        return field, {"true": True, "false": False, "none": None}.get(value.lower(), value)
