"""Modules as a collection imports them: ``package.module:Class`` from the collection's own folder.

The folder, the import root, is on the path of the process that loads the module and of no other.
All files of it that are imported identify the code. They are found by reading import statements,
so that no code is run for it, and held against what was imported in the process that loads it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from attnbench.files import resolved
from attnbench.modules import SettingsError
from attnbench.plugins import foreign
from attnbench.plugins.code import imports
from attnbench.plugins.code.digest import RECORDED
from attnbench.text import error_line, near


def folder_of(root: str, folder: Path, source: str) -> Path:
    """Return the import root, which may be relative to ``folder``.

    Raises:
        SettingsError: there is no such folder.
    """
    try:
        found = resolved(folder / Path(root).expanduser())
        if found.is_dir():
            return found
    except (OSError, RuntimeError, ValueError):  # no such user, NUL
        pass
    raise SettingsError(f"{source}: there is no folder {root!a} to import from")


def path_of(dotted: str, root: Path, source: str) -> Path:
    """Return the file of ``package.module`` below the root.

    Raises:
        SettingsError: there is none; the message lists near names.
    """
    *parents, last = dotted.split(".")
    folder = root.joinpath(*parents)
    if (found := imports.file_of(folder, last)) is not None:
        return found
    beside = sorted(
        path.stem for path in (folder.iterdir() if folder.is_dir() else ()) if path.suffix == ".py"
    )
    raise SettingsError(f"{source}: there is no {dotted} in {root}{near(last, beside)}")


def load(dotted: str, name: str, root: Path, source: str) -> object:
    """Import a module from the root, and return its object of that name.

    Raises:
        SettingsError: its code fails, another folder has given its package, it does not define the
            name, or a file was imported that the digest does not cover.
    """
    path = path_of(dotted, root, source)
    before = {*sys.modules}
    try:
        with on_path(root):
            module = import_module(dotted)
            target = getattr(module, name, None)
    except SettingsError:
        raise
    except foreign.RAISED as error:
        _require_from(root, imports.files(path, [root]), source)  # another folder's may lack a name
        raise SettingsError(
            f"{source}: {dotted} cannot be imported: {error_line(error)}"
        ) from error
    if target is None:
        raise SettingsError(f"{source}: there is no {name} in {path}")
    require_covered(imports.files(path, [root], whole=root), before, root, source)
    return target


@contextmanager
def on_path(root: Path) -> Iterator[None]:
    """Search the root first, as authors do who work in it; afterwards last, for late imports."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))
        if str(root) not in sys.path:
            sys.path.append(str(root))


def _require_from(root: Path, covered: Iterable[Path], source: str) -> None:
    """Refuse a package or module of the root that another folder has given: a name loads once.

    Raises:
        SettingsError: there is one.
    """
    below = (path.relative_to(root).parts[0] for path in covered if path.is_relative_to(root))
    for top in dict.fromkeys(name.partition(".")[0] for name in below):
        where = _where(sys.modules[top]) if top in sys.modules else None
        if where is not None and not where.is_relative_to(root):
            raise SettingsError(
                f"{source}: '{top}' is already loaded from {where}, so that of {root} is not; one "
                "run cannot have both: measure them in two, or rename one"
            )


def _where(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return None if file is None else resolved(Path(file))


def require_covered(
    covered: Iterable[Path], before: Collection[str], root: Path, source: str
) -> None:
    """Refuse code of the root that was imported and is not among the files of the digest.

    ``before`` are the names of modules that others of the collection may have loaded.

    Raises:
        SettingsError: there is some, or a name of the root is another folder's here.
    """
    known = {*covered}
    _require_from(root, known, source)
    require_read(known, before, root, source)


def require_read(
    covered: Collection[Path], before: Collection[str], folder: Path, source: str
) -> None:
    """Refuse a file below a folder that was imported, and is not among those found by reading.

    Raises:
        SettingsError: there is one.
    """
    for name, module in [*sys.modules.items()]:
        recorded = name.partition(".")[0] in RECORDED
        fresh = name not in before and not recorded and isinstance(module, ModuleType)
        where = _where(module) if fresh else None
        if where is None or where.is_dir() or where in covered or not where.is_relative_to(folder):
            continue
        if not imports.is_installed(where.relative_to(folder)):
            raise SettingsError(
                f"{source}: it imports {where} in a way that cannot be read from its code, so the "
                "digest would not hold that file; import it by a statement"
            )
