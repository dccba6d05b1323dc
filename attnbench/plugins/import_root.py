"""Modules as a collection imports them: ``package.module:Class`` from the collection's own folder.

The folder, the import root, is on the path of the process that loads the module and of no other.
All files of it that are imported identify the code. They are found by reading import statements,
so that no code is run for it, and held against what was imported in the process that loads it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from importlib.machinery import all_suffixes
from os.path import commonpath
from pathlib import Path
from types import ModuleType

from attnbench.modules import SettingsError
from attnbench.plugins import foreign
from attnbench.text import error_line, near

INIT = "__init__"

DYNAMIC = {"importlib", "pkgutil", "runpy", "__import__", "exec", "eval"}
"""Names in code that imports what no statement names: then every file of the root counts."""

PACKAGES = "site-packages"
"""A folder of installed packages within a root is no part of the collection."""


def folder_of(root: str, folder: Path, source: str) -> Path:
    """Return the import root, which may be relative to ``folder``.

    Raises:
        SettingsError: there is no such folder.
    """
    try:
        found = (folder / Path(root).expanduser()).resolve()
        if found.is_dir():
            return found
    except (OSError, RuntimeError, ValueError):  # no such user, a loop of links, NUL
        pass
    raise SettingsError(f"{source}: there is no folder {root!a} to import from")


def path_of(dotted: str, root: Path, source: str) -> Path:
    """Return the file of ``package.module`` below the root.

    Raises:
        SettingsError: there is none; the message lists near names.
    """
    *parents, last = dotted.split(".")
    folder = root.joinpath(*parents)
    if (found := _file(folder, last)) is not None:
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
        _require_from(root, files(path, [root]), source)  # another folder's may lack a name
        raise SettingsError(
            f"{source}: {dotted} cannot be imported: {error_line(error)}"
        ) from error
    if target is None:
        raise SettingsError(f"{source}: there is no {name} in {path}")
    require_covered(files(path, [root], whole=root), before, root, source)
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
    return None if file is None else Path(file).resolve()


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
    for name, module in [*sys.modules.items()]:
        fresh = name not in before and isinstance(module, ModuleType)
        where = _where(module) if fresh else None
        if where is None or where.is_dir() or where in known or not where.is_relative_to(root):
            continue
        if not _is_installed(where.relative_to(root)):
            raise SettingsError(
                f"{source}: it imports {where} in a way that cannot be read from its code, so the "
                "digest would not hold that file; import it by a statement"
            )


def digest(found: Sequence[Path], source: str) -> str:
    """Return what identifies the content of these files: of one file, the digest of its content."""
    contents = [content(path, source) for path in found]
    if len(found) == 1:
        return f"sha256 {sha256(contents[0]).hexdigest()}"
    common = Path(commonpath([path.parent for path in found]))
    lines = "".join(
        f"{sha256(content).hexdigest()} {path.relative_to(common).as_posix()}\n"
        for path, content in sorted(zip(found, contents, strict=True))
    )
    return f"sha256 {sha256(lines.encode()).hexdigest()} of {len(found)} files"


def files(first: Path, roots: Sequence[Path], whole: Path | None = None) -> list[Path]:
    """Return a file, and the files of these folders that it imports, and they in turn.

    Where code among them imports by other ways than statements, every Python file below ``whole``
    is one of them.
    """
    found: dict[Path, None] = {}
    waiting = [first, *_packages(first)]
    dynamic = False
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        tree = _parsed(path)
        if tree is not None:
            dynamic = dynamic or _is_dynamic(tree)
            waiting += _imported(tree, path, roots)
    if dynamic and whole is not None:
        below = (path for path in whole.rglob("*.py") if not _is_installed(path.relative_to(whole)))
        found |= dict.fromkeys(path.resolve() for path in below)
    return [first, *sorted(path for path in found if path != first)]


def _imported(tree: ast.AST, path: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that the statements of one file name; of packages their ``__init__``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                for root in roots:
                    yield from _along(root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            starts = (
                [path.parents[node.level - 1]] if 0 < node.level <= len(path.parents) else roots
            )
            for start in starts:
                for alias in node.names:
                    yield from _along(start, [*parts, alias.name])


def _along(start: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the files along ``a.b.c``, as far as there are any, with the packages around them."""
    folder = start
    for part in parts:
        found = _file(folder, part)
        if found is not None:
            yield found
            yield from _packages(found)
        folder = folder / part


def _packages(path: Path) -> Iterator[Path]:
    """Yield the ``__init__`` files of the packages that a file is in, which Python runs before."""
    folder = path.parent
    while (init := folder / f"{INIT}.py").is_file():
        yield init.resolve()
        folder = folder.parent


def _file(folder: Path, name: str) -> Path | None:
    """Return the file that Python would import by a name from a folder."""
    candidates = [folder / name / f"{INIT}.py"]
    candidates += [folder / f"{name}{suffix}" for suffix in all_suffixes()]
    return next((path.resolve() for path in candidates if path.is_file()), None)


def _parsed(path: Path) -> ast.AST | None:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError, RecursionError):  # compiled, or it fails when loaded
        return None


def _is_dynamic(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        named = []
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = [node.module]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = [node.func.id]
        if DYNAMIC & {name.partition(".")[0] for name in named}:
            return True
    return False


def _is_installed(path: Path) -> bool:
    """Return whether a file below a root is of a hidden folder or of installed packages."""
    return any(part == PACKAGES or part.startswith(".") for part in path.parts[:-1])


def content(path: Path, source: str) -> bytes:
    """Return what a file of code holds.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{source}: there is no Python file {path}") from error
