"""Modules in Python files. Loading a file runs its code."""

from __future__ import annotations

import sys
from functools import cache
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from attnbench.modules import SettingsError


def is_in_file(source: str) -> bool:
    """Return whether ``source`` is of the form ``path/to/file.py:ClassName``."""
    return source.rpartition(":")[0].endswith(".py")


def load(source: str, folder: Path) -> object:
    """Return the object of that name from the file, whose path is relative to ``folder``.

    Raises:
        SettingsError: there is no such file, its code fails, or it does not define the name.
    """
    path, name = _parts(source, folder)
    if not name.isidentifier():
        raise SettingsError(
            f"{source}: '{name}' is not a class name; write settings behind it as ',key=value'"
        )
    target = getattr(_executed(path, source), name, None)
    if target is None:
        raise SettingsError(f"{source}: there is no {name} in {path}")
    return target


def origin(source: str, folder: Path) -> str:
    """Return the digest of the file's content."""
    path, _ = _parts(source, folder)
    return f"sha256 {sha256(_content(path, source)).hexdigest()}"


def _parts(source: str, folder: Path) -> tuple[Path, str]:
    file, _, name = source.rpartition(":")
    try:
        return (folder / Path(file).expanduser()).resolve(), name
    except (OSError, RuntimeError, ValueError) as error:  # no such user, a loop of links, NUL
        raise SettingsError(f"{source!a}: there is no Python file of that name: {error}") from error


def _content(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{source}: there is no Python file {path}") from error


@cache
def _executed(path: Path, source: str) -> ModuleType:
    content = _content(path, source)
    # Unique for every path, so that two files of one name are two Python modules.
    name = f"attnbench_custom_{path.stem}_{sha256(bytes(path)).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    if spec is None:
        raise SettingsError(f"{source}: {path} is not a Python file")
    module = module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # for its own imports; last, so that it hides nothing
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise SettingsError(f"{source}: the file cannot be loaded: {error!r}") from error
    return module
