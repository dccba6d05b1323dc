"""What is wrong with a value that a field cannot have, in the suite's words and not pydantic's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnbench.text import near, printable

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

MOST_OF_PLACE = 300
"""Characters of the names of fields, which may be foreign."""

MOST_OF_VALUE = 60

MOST_OF_REASON = 300

EXPECTED: dict[str, str] = {
    **dict.fromkeys(("string_type", "string_unicode"), "a text"),
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"
    ),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    "none_required": "null",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "dataclass_type", "dataclass_exact_type", "model_type"),
        "an object",
    ),
    **dict.fromkeys(("literal_error", "enum"), "one of {expected}"),
    "union_tag_invalid": "one of {expected_tags}",
}
"""What a value must be, by the kind of pydantic's error; in braces what it states of the limit."""

ABSENT = ("missing", "missing_argument", "missing_keyword_only_argument", "union_tag_not_found")
SURPLUS = ("unexpected_keyword_argument", "extra_forbidden")

Path = tuple[int | str, ...]


def fault(error: ValidationError, data: object, whole: str = "") -> str:
    """Return the first fault of data that pydantic has refused: where it is, and what would do.

    ``whole`` names the data in a fault that is of no single field of it.
    """
    errors = error.errors(include_url=False)
    first, path = errors[0], _path(errors[0], data)
    kind, context = first["type"], first.get("ctx", {})
    place = printable(".".join(map(str, path)), MOST_OF_PLACE) or whole
    if kind == "json_invalid":
        return f"not JSON ({printable(context['error'], MOST_OF_REASON)})"
    if kind in {"value_error", "assertion_error"}:
        return ": ".join(filter(None, (place, printable(str(context["error"]), MOST_OF_REASON))))
    if kind in ABSENT:
        return f"{place} is missing"
    if kind in SURPLUS:
        return f"{place}: there is no such field"
    alike = [expected(other) for other in errors if _path(other, data) == path]
    value = context["tag"] if kind == "union_tag_invalid" else first["input"]
    return f"{place} must be {_or(alike)}, not {shown(value)}{_near(first)}"


def expected(error: ErrorDetails) -> str:
    """Return what the value of an error must be: ``a whole number``, ``at least 1``."""
    context = {name: _plain(value) for name, value in error.get("ctx", {}).items()}
    return EXPECTED.get(error["type"], "of another kind").format(**context)


def shown(value: object) -> str:
    """Return a value as JSON writes it, or as Python where JSON cannot; a long one is cut off."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return printable(text, MOST_OF_VALUE)


def _path(error: ErrorDetails, data: Any) -> Path:
    """Return where the data has the value: pydantic's path holds names of kinds as well.

    A field that is missing, and the one that says which kind an object is, are added.
    """
    path: list[int | str] = []
    for step in error["loc"]:
        if not _holds(data, step):
            continue
        data = data[step]
        path.append(step)
    if error["type"].startswith("union_tag"):
        path.append(_plain(error["ctx"]["discriminator"]))
    elif error["type"] in ABSENT:
        path.append(error["loc"][-1])
    return tuple(path)


def _holds(data: Any, step: int | str) -> bool:
    if isinstance(data, Sequence):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, Mapping) and step in data


def _plain(value: Any) -> Any:
    """Return pydantic's lists of words, ``'all' or 'last'``, as ``all, last``; 1.0 as 1."""
    if isinstance(value, str):
        return value.replace("' or '", "', '").replace("'", "")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _or(alternatives: Sequence[str]) -> str:
    """Join what values of several kinds must be; a number may be whole."""
    kinds = dict.fromkeys(alternatives)
    if "a number" in kinds:
        kinds.pop("a whole number", None)
    *others, last = kinds
    return f"{', '.join(others)} or {last}" if others else last


def _near(error: ErrorDetails) -> str:
    """Return the nearest of the words that a value may be."""
    words = error.get("ctx", {}).get("expected") if error["type"] == "literal_error" else None
    if not (words and isinstance(error["input"], str)):
        return ""
    return near(error["input"], _plain(words).split(", "))
