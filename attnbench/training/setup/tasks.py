"""From options to the task that they state: its data are found, and no image is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnbench.detection.options import has_masks
from attnbench.hosts.placement.choice import Choice
from attnbench.records.trainings.recipe import Recipe
from attnbench.training.classification.digits import Digits
from attnbench.training.classification.folders import Folders
from attnbench.training.classification.images import Images
from attnbench.training.classification.task import Classification
from attnbench.training.detection import files
from attnbench.training.detection.data import read_data
from attnbench.training.detection.task import Detection
from attnbench.training.options import TrainOptions
from attnbench.training.setup.requirements import DIGITS, task_name
from attnbench.training.task import Task


def task_of(options: TrainOptions, recipe: Recipe) -> Task:
    """Return the task of options that are filled and checked.

    Raises:
        UserError: its data cannot be trained on.
    """
    assert options.host is not None
    shared: dict[str, Any] = {
        "recipe": recipe,
        "size": options.image_size,
        "host": options.host,
        "where": Choice(
            tuple(sorted({*(options.stages or ())})),
            options.blocks,  # type: ignore[arg-type]  # the option has been checked
            options.at or "",
            options.replace or "",
        ),
    }
    if task_name(options.host) == "detection":
        places = (options.data, options.annotations, options.val_data, options.val_annotations)
        return Detection(
            images=read_data(files.found(*places), with_masks=has_masks(options.host)),
            backbones=files.backbones(options.backbones, options.modules or ()),
            **shared,
        )
    images: Images = Digits() if options.data == DIGITS else Folders(Path(options.data))
    return Classification(images=images, **shared)
