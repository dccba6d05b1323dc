"""What the options of evaluating a detector can be: all that is known before torch is imported."""

from __future__ import annotations

from dataclasses import replace

from attnbench import host_names
from attnbench.accuracy.options import EvaluationOptions, require_there, settled
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.text import unknown

FAMILIES = ("fasterrcnn", "maskrcnn", "retinanet")
"""The first words of the names of detectors that can be evaluated."""

SHORTER = 800
"""The shorter side to which the papers resize images."""


def family(host: str) -> str | None:
    """Return the family of a detector; None for any other host."""
    name = host_names.written(host).partition("_")[0]
    return name if name in FAMILIES else None


def has_masks(host: str) -> bool:
    """Return whether the detector predicts masks beside boxes."""
    return family(host) == "maskrcnn"


def checked(options: EvaluationOptions) -> EvaluationOptions:
    """Return valid options of a detector, with names in their own case.

    Raises:
        UserError: an option out of range or that goes with classifiers only, a file or folder that
            is not there, no annotations.
        SettingsError: a module or detector that is unknown.
    """
    host = host_names.written(options.host)
    if options.annotations is None:
        raise UserError(f"{host} is evaluated with --annotations FILE")
    detectors = [name for name in host_names.DETECTORS if family(name)]
    if host not in detectors:
        raise SettingsError(unknown("detector for --annotations", options.host, detectors))
    for option, value, only in (
        ("--dtype", options.dtype, "float32"),
        ("--channels-last", options.channels_last, False),
        ("--workers", options.workers or 0, 0),
    ):
        if value != only:
            raise UserError(f"{option} goes with classifiers; detectors run in float32, one by one")
    valid = settled(options, host)
    require_there(options.annotations, valid.data)
    return replace(valid, batch_size=1)
