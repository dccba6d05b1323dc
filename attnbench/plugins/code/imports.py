"""The files that code imports, found by reading its import statements; nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import all_suffixes
from pathlib import Path

INIT = "__init__"

DYNAMIC = {"importlib", "pkgutil", "runpy", "__import__", "exec", "eval"}
"""Names in code that imports what no statement names: then every file of the root counts."""

PACKAGES = "site-packages"
"""A folder of installed packages within a root is no part of the collection."""


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
        below = (path for path in whole.rglob("*.py") if not is_installed(path.relative_to(whole)))
        found |= dict.fromkeys(path.resolve() for path in below)
    return [first, *sorted(path for path in found if path != first)]


def outside(found: Iterable[Path], roots: Sequence[Path]) -> set[str]:
    """Return the top names of what files import and none of the roots holds, such as ``timm``."""
    trees = filter(None, map(_parsed, found))
    return {
        dotted.partition(".")[0]
        for tree in trees
        for dotted in _absolute(tree)
        if not any(any(_along(root, dotted.split("."))) for root in roots)
    }


def _absolute(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that statements import, other than relatively."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


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
        found = file_of(folder, part)
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


def file_of(folder: Path, name: str) -> Path | None:
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


def is_installed(path: Path) -> bool:
    """Return whether a file below a root is of a hidden folder or of installed packages."""
    return any(part == PACKAGES or part.startswith(".") for part in path.parts[:-1])
