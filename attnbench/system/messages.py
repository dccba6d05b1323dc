"""What a child process sends back, as bytes: results of our own types, and errors as text.

A child runs custom modules, so nothing that it sends may run code in the process that reads it:
only plain values and the package's own dataclasses and exceptions are rebuilt. Any other error
arrives as its type's name and its text.
"""

from __future__ import annotations

import builtins
import io
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Literal

from attnbench.text import printable

MOST_TEXT = 300
"""Characters that are shown of the text of an error that is not the package's."""

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
    return pickle.dumps(("item", value))


END = pickle.dumps(("end", None))


def error(raised: BaseException) -> bytes:
    """Return an error as a message: whole where the reader may rebuild it, else as text."""
    if not isinstance(raised, Exception):
        # The reader would take a KeyboardInterrupt for its user's.
        text = ": ".join(filter(None, (name_of(raised), text_of(raised))))
        raised = ChildDiedError(f"the worker process was ended by {text}")
    with suppress(Exception):
        if is_ours(raised):
            message = pickle.dumps(("error", raised))
            read(message)
            return message
    return pickle.dumps(("error", (name_of(raised), text_of(raised))))


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
        raise ForeignError(f"the worker process sent what cannot be read: {unreadable}") from None


def is_ours(raised: BaseException) -> bool:
    """Return whether the error's class is the package's, so that its text is too."""
    return str(type(raised).__module__).startswith("attnbench.")


def name_of(raised: BaseException) -> str:
    """Return the name of an error's class, whatever its metaclass does."""
    try:
        return printable(str(type(raised).__name__), MOST_TEXT)
    except Exception:
        return "an exception whose class has no name"


def text_of(raised: BaseException) -> str:
    """Return an error's text on one line, cut to MOST_TEXT; without PyTorch's C++ stack."""
    try:
        text = str(raised)
    except BaseException as second:  # the text of a foreign exception is foreign code
        return f"(its text cannot be read: {name_of(second)})"
    text = text.partition("\nException raised from")[0]
    return printable(text[: 20 * MOST_TEXT], MOST_TEXT)


def _known_error(name: str) -> Callable[[str], Exception]:
    """Return Python's exception of that name, else a class that has the name."""
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception):
        with suppress(TypeError):  # such as UnicodeDecodeError, which is not made from a text
            known("")
            return known
    return type(name, (ForeignError,), {})


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
        foreign = printable(f"{module}.{name}", MOST_TEXT)
        raise ForeignError(f"the worker process sent a {foreign}, which is not read")
