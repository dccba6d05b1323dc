"""Modules in Python files. Loading a file runs its code."""

from __future__ import annotations

import ast
import sys
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from attnbench.files import resolved
from attnbench.modules import SettingsError
from attnbench.plugins import foreign, import_root
from attnbench.plugins.code import digest, imports
from attnbench.plugins.spec import is_in_file
from attnbench.text import error_line

INIT = "__init__.py"

_FOLDERS: set[Path] = set()
"""The folders of the files that this process has loaded."""


def load(source: str, folder: Path, root: str | None = None) -> object:
    """Return the object of that name from the file, whose path is relative to ``folder``.

    A file in a package (a folder with ``__init__.py``) that imports relatively is imported as
    part of that package, whose ``__init__.py`` files run first. With an import root, a source
    ``package.module:ClassName`` is imported from there, and a file may import from there.

    Raises:
        SettingsError: there is no such file, its code fails, it does not define the name, or it
            imports a file in a way that its digest does not cover.
    """
    before = {*sys.modules}
    if root is None:
        path, _ = _parts(source, folder)  # its code may change the working directory
        target = _loaded(source, folder)
        found = {*imports.files(path, [path.parent])}
        import_root.require_read(found, before, path.parent, source)
        return target
    directory = import_root.folder_of(root, folder, source)
    if not is_in_file(source):
        dotted, _, name = source.rpartition(":")
        return import_root.load(dotted, name, directory, source)
    with import_root.on_path(directory):
        target = _loaded(source, folder)
    import_root.require_covered(_files(source, folder, directory), before, directory, source)
    return target


def _loaded(source: str, folder: Path) -> object:
    path, name = _parts(source, folder)
    if not name.isidentifier():
        raise SettingsError(
            f"{source}: '{name}' is not a class name; write settings behind it as ',key=value'"
        )
    target = getattr(_executed(path, source), name, None)
    if target is None:
        raise SettingsError(f"{source}: there is no {name} in {path}")
    return target


def origin(source: str, folder: Path, root: str | None = None) -> str:
    """Return the digest of the file, with those beside it and in the root that it imports.

    And the versions of other packages that they import.

    Raises:
        SettingsError: there is no such file or folder.
    """
    found = files(source, folder, root)
    outside = imports.outside(found, _roots(source, folder, _directory(source, folder, root)))
    return digest.identity(found, outside, source)


def files(source: str, folder: Path, root: str | None = None) -> list[Path]:
    """Return the file of a module and those that it imports, of which is its digest.

    They lie beside it and, if there is one, in the import root.

    Raises:
        SettingsError: there is no such file or folder.
    """
    return _files(source, folder, _directory(source, folder, root))


def _directory(source: str, folder: Path, root: str | None) -> Path | None:
    return None if root is None else import_root.folder_of(root, folder, source)


def _files(source: str, folder: Path, root: Path | None) -> list[Path]:
    if root is not None and not is_in_file(source):
        first = import_root.path_of(source.rpartition(":")[0], root, source)
    else:
        first, _ = _parts(source, folder)
        digest.content(first, source)
    return imports.files(first, _roots(source, folder, root), whole=root)


def _roots(source: str, folder: Path, root: Path | None) -> list[Path]:
    """Return the folders whose files a source's code imports."""
    beside = [_parts(source, folder)[0].parent] if is_in_file(source) else []
    return beside if root is None else [root, *beside]


def _parts(source: str, folder: Path) -> tuple[Path, str]:
    file, _, name = source.rpartition(":")
    try:
        return resolved(folder / Path(file).expanduser()), name
    except (OSError, RuntimeError, ValueError) as error:  # no such user, NUL
        raise SettingsError(f"{source!a}: there is no Python file of that name: {error}") from error


@cache
def _executed(path: Path, source: str) -> ModuleType:
    content = digest.content(path, source)
    folder = path.parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # for its own imports; last, so that it hides nothing
    _FOLDERS.add(folder)
    try:
        if _imports_relatively(ast.parse(content, str(path))):
            return _imported(path, source)
        module = _run(path, _unique(path), content)
        _require_own(folder, source)
        return module
    except SettingsError:
        raise
    except foreign.RAISED as error:
        message = error_line(error)
        raise SettingsError(f"{source}: the file cannot be loaded: {message}") from error


def _unique(path: Path) -> str:
    """Return a module's name for a path, so that two files of one name are two modules."""
    return f"attnbench_custom_{path.stem}_{sha256(bytes(path)).hexdigest()[:12]}"


def _run(path: Path, name: str, content: bytes, folders: list[str] | None = None) -> ModuleType:
    spec = spec_from_file_location(name, path, submodule_search_locations=folders)
    if spec is None:
        raise SettingsError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _require_own(folder: Path, source: str) -> None:
    """Refuse a file that may have got what lies beside another file, under one name with its own.

    Python loads a name once: of two versions of one collection, the second would run on the
    first one's files.

    Raises:
        SettingsError: a name beside it has been loaded from beside another file.
    """
    for beside in sorted(folder.iterdir()):
        module = sys.modules.get(beside.stem)
        of = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
        if not of or not (beside.is_dir() or beside.suffix == ".py"):
            continue
        loaded = Path(of).parent if Path(of).name == INIT else Path(of)
        if loaded.parent == folder or loaded.parent not in _FOLDERS:
            continue
        if not (loaded.is_file() and beside.is_file() and _same(beside, loaded)):
            raise SettingsError(
                f"{source}: '{beside.stem}' is already loaded from {loaded}, so {beside} is not; "
                f"rename one, or make packages of both folders ({INIT}, relative imports)"
            )


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _imports_relatively(code: ast.AST) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(code))


def _imported(path: Path, source: str) -> ModuleType:
    """Import a file as part of its package, under a name that no other package has."""
    if not (path.parent / INIT).is_file():
        raise SettingsError(
            f"{source}: a relative import works in a package alone: put an empty {INIT} into "
            f"{path.parent}, or import a file beside this one by its name without a dot"
        )
    root = path.parent
    while (root.parent / INIT).is_file():
        root = root.parent
    top, *inner = _unique(root), *path.relative_to(root).with_suffix("").parts
    parent, name = ".".join([top, *inner[:-1]]), ".".join([top, *inner])
    try:
        if top not in sys.modules:
            _run(root / INIT, top, digest.content(root / INIT, source), [str(root)])
        package = import_module(parent)
    except foreign.RAISED as error:
        message = error_line(error)
        raise SettingsError(
            f"{source}: its package, {path.parent}, cannot be loaded: {message}"
        ) from error
    if path.name == INIT:
        return package
    try:
        return sys.modules.get(name) or _run(path, name, digest.content(path, source))
    except ImportError as error:
        if "beyond top-level package" not in str(error):
            raise
        raise SettingsError(
            f"{source}: a relative import leaves the package {root}: put an empty {INIT} into "
            f"{root.parent} too"
        ) from error
