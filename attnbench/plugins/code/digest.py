"""What identifies code: a digest of its files, and the versions of packages that they import."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import packages_distributions, version
from os.path import commonpath
from pathlib import Path

from attnbench.modules import SettingsError

RECORDED = {"attnbench", "torch", "torchvision", "numpy"}
"""Packages whose versions stand in the records of every run."""


def identity(found: Sequence[Path], outside: Iterable[str], source: str) -> str:
    """Return the digest of these files, and the versions of packages that they import.

    ``outside`` are the names that they import from elsewhere.

    Raises:
        SettingsError: a file cannot be read.
    """
    return ", ".join([_digest(found, source), *_versions(outside)])


def _digest(found: Sequence[Path], source: str) -> str:
    """Return of one file the digest of its content, of several that of their digests and paths."""
    contents = [content(path, source) for path in found]
    if len(found) == 1:
        return f"sha256 {sha256(contents[0]).hexdigest()}"
    common = Path(commonpath([path.parent for path in found]))
    lines = "".join(
        f"{sha256(each).hexdigest()} {path.relative_to(common).as_posix()}\n"
        for path, each in sorted(zip(found, contents, strict=True))
    )
    return f"sha256 {sha256(lines.encode()).hexdigest()} of {len(found)} files"


def _versions(names: Iterable[str]) -> list[str]:
    others = {*names} - RECORDED - sys.stdlib_module_names
    if not others:
        return []
    packages = {package for name in others for package in _packages().get(name, ())}
    return sorted(f"{package} {version(package)}" for package in packages)


@cache
def _packages() -> Mapping[str, list[str]]:
    """Return the installed packages that give a name to import."""
    return packages_distributions()


def content(path: Path, source: str) -> bytes:
    """Return what a file of code holds.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{source}: there is no Python file {path}") from error
