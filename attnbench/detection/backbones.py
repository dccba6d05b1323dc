"""Fill a detector's backbone with weights of the authors' detectors or classifiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import nn

from attnbench.accuracy.checkpoints import load_authors_state_dict, tensors_of
from attnbench.errors import UserError
from attnbench.hosts.detection import body

PREFIXES = ("backbone.body.", "backbone.")
"""Of the backbone's names in torchvision's detectors, and in mmdetection's, in which most of the
papers trained theirs; a classifier's names have none."""

CLASSIFIER = "fc."


def load_backbone(
    network: nn.Module,
    state_dict: Mapping[str, object],
    *,
    key: str | None = None,
    prefix: str | None = None,
) -> dict[str, int]:
    """Fill the backbone of a detector; return what else was given, and is not used.

    Names are the authors' or our own, as of :func:`load_authors_state_dict`. Of a detector the
    names under :data:`PREFIXES` are taken, of a classifier all but its last layer. What is not used
    is returned by its first name, with how many tensors: necks and heads of mmdetection have other
    names and shapes than torchvision's, other anchors and another coding of boxes.

    Raises:
        UserError: names of the backbone that are missing or left over, or of another shape.
    """
    given = tensors_of(state_dict, key=key, prefix=prefix)
    start = next((p for p in PREFIXES if any(name.startswith(p) for name in given)), "")
    unused = [n for n in given if not n.startswith(start) or n[len(start) :].startswith(CLASSIFIER)]
    taken = {name.removeprefix(start): given[name] for name in given if name not in unused}
    try:
        load_authors_state_dict(body(network), taken)
    except UserError as error:
        others = f"; beside the backbone: {listed(_counted(unused))}" if unused else ""
        raise UserError(f"backbone: {error}{others}") from error
    return _counted(unused)


def listed(parts: Mapping[str, int]) -> str:
    """Return parts of a checkpoint with their numbers of tensors: ``neck (16), bbox_head (8)``."""
    return ", ".join(f"{name} ({number})" for name, number in parts.items())


def _counted(names: list[str]) -> dict[str, int]:
    return dict(Counter(name.partition(".")[0] for name in names))
