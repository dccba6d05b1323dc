"""What is known of an option of ``run`` beside its name and type: declared once, at its field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

SEVERAL = "One, or several with commas."


@dataclass(frozen=True, kw_only=True)
class Option:
    """How an option is stated on the command line, and how its value is written elsewhere."""

    flag: str
    help: str | None = None
    metavar: str | None = None
    default: Any = None
    """None where it depends on the host or the machine; then ``default_text`` is shown."""
    default_text: str | None = None
    limits: tuple[int, int] | None = None
    text: Callable[[Any], str] = str
    """The value as it follows the flag."""
    meaning: str = ""
    """Of its column in tables, whose unit is ``unit``."""
    unit: str = ""
    since: int = 4
    """The schema of ``records.jsonl`` that it came with. A record of an older one was measured with
    the field's default."""
    words: Callable[[Any], str] | None = None
    """The value in the line that describes a configuration, empty where it goes without saying;
    None where it is always left out."""


def option(usage: str, *, absent: Any = MISSING, **known: Any) -> Any:
    """Declare a field as an option; ``absent`` is its value where a record does not state it."""
    flag, _, metavar = usage.partition(" ")
    known = {"flag": flag, "metavar": metavar or None, **known}
    return field(default=absent, metadata={"option": Option(**known)})


def switch(flag: str, words: str = "", **known: Any) -> Any:
    """Declare an option without a value, off by default; ``words`` describe it where it is on."""
    return option(flag, default=False, words=lambda on: words if on else "", **known)


def options_of(cls: type) -> dict[str, Option]:
    """Return the options among a dataclass's fields, by their names and in their order."""
    return {known.name: known.metadata["option"] for known in fields(cls) if known.metadata}
