"""A file for each network that is trained: all that is needed to go on, then its weights alone."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError
from attnbench.files import write_whole
from attnbench.records.jsonl import writing_to
from attnbench.records.options.fault import fault
from attnbench.records.trainings.schema import Epoch
from attnbench.text import error_line

FOLDER = "checkpoints"
_EPOCHS = TypeAdapter(tuple[Epoch, ...])


@dataclass
class Progress:
    """How far a training has come, beside the state of network and optimiser."""

    epochs: list[Epoch] = field(default_factory=list)
    """Those that are done."""
    step: int = 0
    """Steps that are done of the next one."""
    loss_sum: float = 0.0
    """Of the images of these steps."""
    seconds: float = 0.0
    """That these steps took."""


def path_of(folder: Path, variant: str, seed: int) -> Path:
    """Return the file of a variant and seed; a name that no file can have is digested."""
    plain = re.sub(r"[^\w.-]+", "_", variant)[:60]
    if plain != variant:
        plain += f"-{sha256(variant.encode()).hexdigest()[:8]}"
    return folder / FOLDER / f"{plain}-seed{seed}.pth"


def write(path: Path, state: dict[str, Any], progress: Progress) -> None:
    """Write the states by their names and the progress; the old file stays until it is whole.

    Raises:
        UserError: it cannot be written, for example because the disk is full.
    """
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    known = asdict(progress)
    torch.save(state | {"progress": known}, data)
    write_whole(path, data.getvalue())


def remove_unfinished(folder: Path) -> None:
    """Remove what is left of files that were being written when their process was killed.

    Each may be as large as a checkpoint. No other process may be writing to the folder.
    """
    for file in (folder / FOLDER).glob(".*.pth.*"):
        with suppress(OSError):
            file.unlink()


def read(path: Path) -> tuple[dict[str, Any], Progress] | None:
    """Return what was written; None without a file. Code in it is never run.

    Raises:
        UserError: it cannot be read.
    """
    if not path.exists():
        return None
    epochs: Any = ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
        progress = state.pop("progress")
        epochs = progress.pop("epochs")
        return state, Progress(epochs=list(_EPOCHS.validate_python(epochs)), **progress)
    except Exception as error:  # torch raises many kinds for malformed files
        reason = error_line(error)
        if isinstance(error, ValidationError):
            reason = f"of its epochs, {fault(error, epochs, 'the list')}"
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason}); remove it, and this network is "
            "trained from its beginning"
        ) from error
