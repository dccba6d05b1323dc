"""A class in a Python file. Loading the file runs its code."""

from __future__ import annotations

import sys
from functools import cache
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from attnbench.modules import SettingsError


def names_one(source: str) -> bool:
    """Whether ``source`` is of the form ``path/to/file.py:ClassName``."""
    return source.rpartition(":")[0].endswith(".py")


def load(source: str, folder: Path) -> object:
    """What has that name in the file, whose path is relative to ``folder``.

    Raises:
        SettingsError: there is no such file, its code fails, or it has nothing of that name.
    """
    path, name = _parts(source, folder)
    if not name.isidentifier():
        raise SettingsError(
            f"{source}: '{name}' names no class; settings are written ',key=value' behind it"
        )
    found = getattr(_executed(path, source), name, None)
    if found is None:
        raise SettingsError(f"{source}: there is no {name} in {path}")
    return found


def origin(source: str, folder: Path) -> str:
    """The file's content, by its digest: another content would be another module."""
    path, _ = _parts(source, folder)
    return f"sha256 {sha256(_content(path, source)).hexdigest()}"


def _parts(source: str, folder: Path) -> tuple[Path, str]:
    file, _, name = source.rpartition(":")
    return (folder / Path(file).expanduser()).resolve(), name


def _content(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{source}: there is no Python file {path}") from error


@cache
def _executed(path: Path, source: str) -> ModuleType:
    content = _content(path, source)
    # A name of its own for every path, so that two files of one name are two modules.
    name = f"attnbench_own_{path.stem}_{sha256(bytes(path)).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    if spec is None:
        raise SettingsError(f"{source}: {path} is no Python file")
    module = module_from_spec(spec)
    beside = str(path.parent)
    if beside not in sys.path:
        sys.path.append(beside)  # its own imports; last, so that it hides nothing
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise SettingsError(f"{source}: the file cannot be loaded: {error!r}") from error
    return module
