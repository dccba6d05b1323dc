"""Values of the types and the kinds that options have, or one line that says what they must be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError
from attnbench.records import image_size
from attnbench.records.case import RUNTIMES, Case, RunOptions
from attnbench.records.options.fault import expected
from attnbench.text import near

T = TypeVar("T", Case, RunOptions)


@cache
def _adapter(kind: Any) -> Any:
    return TypeAdapter(kind)  # which takes milliseconds, of each of a sweep's configurations


def valid(kind: type[T], values: dict[str, Any]) -> T:
    """Make options or a case of values.

    Raises:
        UserError: one is not of its option's type, or none that the option knows.
    """
    try:
        any_kind: Any = kind
        adapter: TypeAdapter[T] = _adapter(any_kind)
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise UserError(str(first["ctx"]["error"])) from error
        option, value = first["loc"][0], repr(first["input"])
        if first["type"] == "literal_error":
            known = first["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
            hint = near(str(first["input"]), known.split(", "))
            raise UserError(f"unknown {option} {value}{hint}; known: {known}") from error
        right = KINDS.get(first["type"]) or expected(first)
        raise UserError(f"{option} must be {right}, not {value}") from error


KINDS = {
    **dict.fromkeys(("bool_type", "bool_parsing"), "True or False"),
    "finite_number": "a whole number",
    "tuple_type": "a tuple of values, such as (1, 8)",
}
"""What an option must be where it is said otherwise than of a file, by the kind of the error."""


def in_order(option: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Sort the values, each once; images by height, then width, runtimes as in their table."""
    keys: dict[str, Callable[[Any], Any]] = {
        "image_size": image_size.sides,
        "runtime": lambda name: ([*RUNTIMES, name].index(name), name),
    }
    key = keys.get(option)
    return tuple(sorted(set(values), key=key))
