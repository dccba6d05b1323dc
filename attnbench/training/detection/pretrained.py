"""Fill a detector's backbone with weights from a file before it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from attnbench.accuracy.checkpoints import read_weights
from attnbench.accuracy.evaluate import digest
from attnbench.detection.backbones import load_backbone
from attnbench.errors import UserError
from attnbench.hosts.detection import body
from attnbench.records.evaluation import Weights
from attnbench.records.variants import CONTROL, PLAIN


def described(files: Mapping[str, Path]) -> dict[str, Weights]:
    """Return names and digests, for the records."""
    return {name: Weights(name=file.name, sha256=digest(file)) for name, file in files.items()}


def fill(
    network: nn.Module, variant: str, files: Mapping[str, Path], plain: Callable[[], nn.Module]
) -> None:
    """Fill the backbone from the variant's own file, else from the plain host's; without both not.

    The plain host's weights fill what a module leaves of it: the module's own keep their initial
    values, and SK's 3x3 too, which stands in the place of the host's. ``plain`` builds the plain
    host, which takes every weight of its file or refuses it.

    Raises:
        UserError: a file that cannot be read or does not fit; the message lists what does not.
    """
    own = PLAIN if variant == CONTROL else variant
    file = files.get(own, files.get(PLAIN))
    if file is None:
        return
    target = network if own in files else plain()
    try:
        load_backbone(target, read_weights(file))
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    if own not in files:
        known, mine = body(target).state_dict(), body(network).state_dict()
        taken = {name: value for name, value in known.items() if name in mine}
        body(network).load_state_dict(taken, strict=False)
