"""Saved baselines: copies of runs under a name, in ``.attnbench/baselines`` of the folder here."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from attnbench.analysis import replicates
from attnbench.errors import UserError
from attnbench.files import resolved
from attnbench.records import store
from attnbench.text import printable

FOLDER = Path(".attnbench") / "baselines"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def save(name: str, runs: Path) -> Path:
    """Copy the records of a folder's runs to the baseline of that name; return its folder.

    It is whole or absent, and none is overwritten.

    Raises:
        UserError: a name that is no plain file name, or is taken; no runs in a host; a folder that
            cannot be written to.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"'{printable(name, 80)}' cannot name a baseline: letters, digits, '.', '_' and '-', "
            "at most 64, a letter or digit first"
        )
    target = FOLDER / name
    if target.exists():
        raise UserError(f"there is a baseline '{name}'; remove {target} or choose another name")
    replicates.read(runs)  # what could not be compared later is no baseline
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".saving-", dir=FOLDER))
        try:
            for number, run in enumerate(store.runs_in(runs), start=1):
                copy = beside / f"{number:02}-{resolved(run).name}"
                copy.mkdir()
                shutil.copyfile(run / store.FILE_NAME, copy / store.FILE_NAME)
            beside.chmod(0o755)
            beside.rename(target)
        except BaseException:
            with suppress(OSError):
                shutil.rmtree(beside)
            raise
    except OSError as error:
        raise UserError(f"cannot save baseline '{name}': {error.strerror}") from error
    return target


def names() -> list[str]:
    """Return the names of all saved baselines, sorted."""
    with suppress(OSError):
        return sorted(path.name for path in FOLDER.iterdir() if _NAME.fullmatch(path.name))
    return []


def find(given: str) -> Path:
    """Return the folder that a user names: one of runs, or that of a saved baseline.

    Raises:
        UserError: it is both, or neither.
    """
    saved = given in names()
    if Path(given).exists():
        if saved:
            raise UserError(
                f"'{given}' is a folder and a baseline; write ./{given} or {FOLDER / given}"
            )
        return Path(given)
    if saved:
        return FOLDER / given
    known = f"; baselines: {', '.join(names())}" if names() else ""
    raise UserError(f"there is neither a folder nor a baseline '{printable(given)}'{known}")
