"""A class defined in a notebook, written as a Python file of its own.

Child processes load a custom module from its file, and the records hold that file's digest. What
the class uses goes with it: imports, functions and classes of the notebook, plain constants.
"""

from __future__ import annotations

import ast
import builtins
import dis
import linecache
import sys
from ast import literal_eval
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from itertools import chain, count
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from attnbench.files import write_whole
from attnbench.modules import SettingsError

FOLDER = Path("notebook_modules")
"""Where classes of a notebook are written, relative to the working directory."""


def specification(target: type, folder: Path = FOLDER) -> str:
    """Return ``file.py:ClassName`` of a class; that of a notebook is first written to ``folder``.

    A file that was written before stays: a class that has changed gets the next number, so that
    the records of an earlier run still name the code that it measured.

    Raises:
        SettingsError: a class within a function, one typed at a prompt, or one that uses a value
            of the notebook that cannot be written down; the message names it.
        UserError: the folder cannot be written to.
    """
    if target.__qualname__ != target.__name__:
        raise SettingsError(f"{target.__qualname__} is defined within another; define it outside")
    module = sys.modules[target.__module__]
    if (file := getattr(module, "__file__", None)) is not None:
        return f"{Path(file).resolve()}:{target.__name__}"
    content = source(target.__name__, vars(module)).encode()
    with suppress(FileExistsError):
        folder.mkdir(parents=True, exist_ok=True)
    names = (f"{target.__name__.lower()}{number}.py" for number in chain([""], count(2)))
    path = next(p for p in map(folder.joinpath, names) if not p.exists() or _holds(p, content))
    if not path.exists():
        write_whole(path, content)
    return f"{path.as_posix()}:{target.__name__}"


def _holds(path: Path, content: bytes) -> bool:
    with suppress(OSError):
        return path.read_bytes() == content
    return False


def source(name: str, namespace: Mapping[str, object]) -> str:
    """Return a file's text that defines ``name`` as the namespace has it, and all that it uses.

    Raises:
        SettingsError: as :func:`specification`.
    """
    statements: dict[str, str] = {}
    _add(name, namespace, statements)
    imports = [text for text in statements.values() if text.startswith(("import ", "from "))]
    others = [text for text in statements.values() if text not in imports]
    return "\n".join([*sorted(imports), "\n", "\n\n\n".join(others), ""])


def _add(name: str, namespace: Mapping[str, object], statements: dict[str, str]) -> None:
    """Add the statement that defines a name, after those of what it uses."""
    value = namespace[name]
    statement = _import(name, value) or _constant(name, value)
    if statement is None:
        statement = _definition(name, value)
        visited = {**statements, name: statement}
        for used in _globals_of(compile(statement, name, "exec", dont_inherit=True)):
            built_in = used not in namespace and hasattr(builtins, used)
            if used in visited or built_in or used == "__name__":  # the file has its own
                continue
            if used not in namespace:
                raise SettingsError(f"{name} uses {used}, which is not defined")
            _add(used, namespace, visited)
        del visited[name]  # after what it uses
        statements |= visited
    statements[name] = statement


def _import(name: str, value: object) -> str | None:
    """Return the statement that imports the value under this name, if it is some module's."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
    original = getattr(value, "__name__", None)
    if not isinstance(original, str):
        return None
    home = getattr(value, "__module__", None)
    homes = [home] if isinstance(home, str) else sorted(sys.modules, key=len)
    for module in homes:  # torch's built-in functions do not say where they live
        with suppress(Exception):
            found = import_module(module)
            if hasattr(found, "__file__") and getattr(found, original) is value:
                renamed = f" as {name}" if name != original else ""
                return f"from {module} import {original}{renamed}"
    return None


def _constant(name: str, value: object) -> str | None:
    with suppress(Exception):
        if literal_eval(repr(value)) == value:
            return f"{name} = {value!r}"
    return None


def _definition(name: str, value: object) -> str:
    """Return the source of a function or class, from the cell that defined it."""
    original = getattr(value, "__name__", name)
    functions = [value, *vars(value).values()] if isinstance(value, type) else [value]
    codes = [known.__code__ for known in functions if isinstance(known, FunctionType)]
    for code in codes:
        lines = linecache.getlines(code.co_filename)
        for node in ast.parse("".join(lines)).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == original:
                first = min(part.lineno for part in (node, *node.decorator_list))
                last = node.end_lineno or node.lineno
                if first <= code.co_firstlineno <= last:
                    text = "".join(lines[first - 1 : last]).rstrip()
                    return text if name == original else f"{text}\n\n\n{name} = {original}"
    kind = "class" if isinstance(value, type) else type(value).__name__
    raise SettingsError(
        f"{name} is a {kind} whose source is not known here; put it in a Python file"
    )


def _globals_of(code: CodeType) -> Iterator[str]:
    """Yield the names that code reads from outside, that of functions within it too."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.argval:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)
