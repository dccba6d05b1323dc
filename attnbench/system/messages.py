"""What a child process sends back, as bytes: results of our own types, and errors as text.

A child runs custom modules, so nothing that it sends may run code in the process that reads it:
only plain values and the package's own dataclasses and exceptions are rebuilt. Any other error
arrives as its type's name and its text.
"""

from __future__ import annotations

import builtins
import io
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Literal

from attnbench.text import MOST_OF_ERROR, error_line, error_name, error_text, printable

PLAIN = {
    "builtins": {"set", "frozenset", "complex", "bytearray", "range", "slice"},
    "collections": {"OrderedDict", "Counter"},
    "pathlib": {"PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"},
}
"""Classes, by module, that are values and run no code when they are rebuilt."""

Kind = Literal["item", "error", "end"]


class ChildDiedError(RuntimeError):
    """The child process ended before its work did, for example killed when memory ran out.

    ``mark`` is the number that the child has stated last, of what it had begun (``child.mark``).
    """

    mark: int | None = None


class ForeignError(RuntimeError):
    """An error of a class that is not rebuilt here; its subclasses have the names of such."""


def item(value: object) -> bytes:
    """Return a result as a message."""
    return _written(("item", value))


def error(raised: BaseException) -> bytes:
    """Return an error as a message: whole where the reader may rebuild it, else as text."""
    if not isinstance(raised, Exception):
        # The reader would take a KeyboardInterrupt for its user's.
        raised = ChildDiedError(f"the worker process was ended by {error_line(raised)}")
    with suppress(Exception):
        if is_ours(raised):
            message = _written(("error", raised))
            read(message)
            return message
    return _written(("error", (error_name(raised), error_text(raised))))


def read(message: bytes) -> tuple[Kind, Any]:
    """Return the kind of a message with its value: a result, an error to be raised, or None.

    Raises:
        ForeignError: the value, or a part of it, may not be rebuilt here.
    """
    try:
        kind, value = _Reader(io.BytesIO(message)).load()
        if kind == "error" and isinstance(value, tuple):
            name, text = value
            value = _known_error(name)(text)
        return kind, value
    except ForeignError:
        raise
    except Exception as unreadable:
        why = error_text(unreadable)
        raise ForeignError(f"the worker process sent what cannot be read: {why}") from None


def is_ours(raised: BaseException) -> bool:
    """Return whether the error's class is the package's, so that its text is too.

    What a class says of itself is not believed: its module must hold it under its name.
    """
    try:
        module, name = str(type(raised).__module__), str(type(raised).__name__)
    except BaseException:  # a metaclass may raise anything
        return False
    known = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return module.startswith("attnbench.") and known is type(raised)


def _known_error(name: str) -> Callable[[str], Exception]:
    """Return Python's exception of that name, else a class that has the name."""
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception):
        with suppress(TypeError):  # such as UnicodeDecodeError, which is not made from a text
            known("")
            return known
    return type(name, (ForeignError,), {})


def _written(message: tuple[Kind, object]) -> bytes:
    written = io.BytesIO()
    pickler = pickle.Pickler(written)
    # Not the process's own, to which libraries add: once distributed is imported, every error would
    # be rebuilt by a function of tblib, which the reader refuses.
    pickler.dispatch_table = {}
    pickler.dump(message)
    return written.getvalue()


END = _written(("end", None))


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("attnbench.") and "." not in name:
            known = super().find_class(module, name)
            if isinstance(known, type) and (
                is_dataclass(known) or issubclass(known, Exception | Enum)
            ):
                return known
        foreign = printable(f"{module}.{name}", MOST_OF_ERROR)
        raise ForeignError(f"the worker process sent a {foreign}, which is not read")
