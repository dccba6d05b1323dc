"""How many classes a detector's weights have, and which label is which category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attnbench.accuracy.checkpoints import MOST_CLASSES, tensors_of
from attnbench.detection.annotations import Annotations
from attnbench.detection.options import family
from attnbench.errors import UserError
from attnbench.text import printable

OUTPUTS = {
    "fasterrcnn": ("roi_heads.box_predictor.cls_score.weight", 1),
    "maskrcnn": ("roi_heads.box_predictor.cls_score.weight", 1),
    "retinanet": ("head.classification_head.cls_logits.weight", 9),
}
"""The layer whose rows are the classes with the background, and how often it has them: RetinaNet
once for each of 9 anchors."""


SHOWN = 8
"""Parts of a checkpoint that a message lists."""


def classes_of(
    state_dict: Mapping[str, object],
    host: str,
    *,
    key: str | None = None,
    prefix: str | None = None,
) -> int:
    """Return the number of classes, without the background, of a detector with these weights.

    Raises:
        UserError: the layer that says so is missing or malformed.
    """
    given = tensors_of(state_dict, key=key, prefix=prefix)
    name, times = OUTPUTS[family(host) or ""]
    if name not in given:
        parts = Counter(each.partition(".")[0] for each in given)
        there = ", ".join(f"{printable(part, 40)} ({n})" for part, n in parts.most_common(SHOWN))
        raise UserError(
            f"the checkpoint has no '{name}', the layer of classes of {host} under torchvision's "
            f"names; it holds (number of tensors): {there}. A backbone alone, also of mmdetection, "
            "is read by attnbench.detection.backbones.load_backbone"
        )
    shape = tuple(given[name].shape)
    rows = shape[0] if shape else 0
    if rows % times or not 1 < rows // times <= MOST_CLASSES:
        raise UserError(f"the checkpoint has '{name}' of shape {shape}: no whole number of classes")
    return rows // times - 1


def labels_of(known: Annotations, classes: int) -> dict[int, int]:
    """Return the network's label of each category, from 1.

    With as many classes as categories, these are in the order of their ids. Otherwise ids are
    labels, as torchvision trains on COCO: 90 classes for 80 categories with gaps.

    Raises:
        UserError: neither can be.
    """
    categories = list(known.categories)
    if len(categories) == classes:
        return {category: label for label, category in enumerate(categories, start=1)}
    if len(categories) < classes and categories[0] >= 1 and categories[-1] <= classes:
        return {category: category for category in categories}
    raise UserError(
        f"{known.file}: {len(categories):,} categories with ids {categories[0]} to "
        f"{categories[-1]}, and the network has {classes:,} classes: which is which? As many "
        "categories as classes are taken in the order of their ids; with fewer, ids are labels"
    )
