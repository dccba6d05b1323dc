"""The program that measures: child processes import it, so importing it must not measure."""

from __future__ import annotations

import ast
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from attnbench.errors import UserError

GUARD = "put the call under if __name__ == '__main__':"

PROCESS = {"current_process", "parent_process"}
"""Names of multiprocessing's by which a program may tell a child from itself."""


def require_importable() -> None:
    """Refuse a program that child processes cannot import, or that measures when they do.

    Raises:
        UserError: it is read from standard input, or the call stands outside a guard; or this is a
            child process that imports it.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.excepthook = _one_line
        raise UserError(f"a child process imports the script, which would measure again; {GUARD}")
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if not path:
        return  # a notebook, or python -c: children import nothing of it
    if getattr(main, "__spec__", None) is None and not Path(path).exists():
        raise UserError(
            f"child processes import the program that calls attnbench.run, and {path} is no file; "
            "write the program to a file, or run it with python -c or in a notebook"
        )
    line = _line_of(vars(main))
    if line is not None and _is_unguarded(Path(path), line):
        raise UserError(
            f"{path}, line {line}: child processes import the script, which would measure again; "
            f"{GUARD}"
        )


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show the error above without the lines of multiprocessing that led to it."""
    if issubclass(kind, UserError):
        print(f"attnbench: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _line_of(namespace: dict[str, object]) -> int | None:
    """Return the line that the main program is at; None where this is called from elsewhere."""
    at = [frame for frame in _frames() if frame.f_globals is namespace]
    return next((f.f_lineno for f in at if f.f_code.co_name == "<module>"), None)


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_unguarded(path: Path, line: int) -> bool:
    """Return whether importing the file executes the line: no guard stands around or before it."""
    try:
        statements = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return False
    for statement in statements:
        if any(map(_is_guard, ast.walk(statement))):
            return False
        if statement.lineno <= line <= (statement.end_lineno or line):
            return True
    return False


def _is_guard(node: ast.AST) -> bool:
    """Return whether the program asks there if it is the main one."""
    if isinstance(node, ast.If | ast.IfExp):
        node = node.test
    elif not isinstance(node, ast.Compare):
        return getattr(node, "attr", getattr(node, "id", None)) in PROCESS
    return any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node))
