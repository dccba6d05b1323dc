"""The specification of a custom module: its source, its site, its settings."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from attnbench.modules import SettingsError, Site

SEPARATOR = re.compile(r",\s*(?=[A-Za-z_]\w*\s*=)")
"""A comma before ``key=``; the one within ``sizes=(3, 5)`` is no separator."""

FRACTION = re.compile(r"([+-]?\d+)\s*/\s*(\d+)")
"""The one expression that is computed: authors write ``ratio=1. / 16``."""


class Given(Enum):
    """What stands for a value, as a bare word of the specification."""

    CHANNELS = "channels"
    """The number of channels where the module is built."""

    NOTHING = "none"
    """As the value of ``channels``: the module is built without their number."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Spec:
    """The parts of ``source,site=...,channels=...,key=value,...``."""

    source: str
    site: Site | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By key; :attr:`Given.CHANNELS` is filled in where the module is built."""
    channels: str | Given | None = None
    """The parameter that takes the number of channels, NOTHING where none does; None if unsaid."""


def parse_spec(text: str) -> Spec:
    """Parse a specification; values are Python literals, fractions, or texts.

    A fraction is of whole numbers (``1/16``) and becomes Python's float. The word ``channels``
    stands for the number of channels; in quotes it is a text.

    Raises:
        SettingsError: the source is missing, a value is missing or stated twice, the site is
            unknown, a fraction has no value, or the text cannot be printed or stored: line
            breaks, control characters, bytes that are no UTF-8.
    """
    if text.encode(errors="replace").decode() != text:
        raise SettingsError(f"{text!a} holds bytes that are not UTF-8")
    if not text.strip().isprintable():
        raise SettingsError(f"{text!a} holds characters that cannot be printed; rename it")
    source, *pairs = SEPARATOR.split(text.strip())
    if not source or "=" in source.rpartition(":")[2]:
        raise SettingsError(f"'{text}' names no module before its settings")
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = (part.strip() for part in pair.partition("="))
        if not value or key in settings:
            raise SettingsError(f"'{text}': {key} has {'two values' if value else 'no value'}")
        try:
            settings[key] = _value(value)
        except (ArithmeticError, ValueError) as error:
            raise SettingsError(f"'{text}': {key} has no value: {error}") from error
    site = settings.pop("site", None)
    channels = _named(settings)
    try:
        return Spec(source, None if site is None else Site(site), settings, channels)
    except ValueError:
        raise SettingsError(f"'{text}': unknown site '{site}'; known: {', '.join(Site)}") from None


def _named(settings: dict[str, Any]) -> str | Given | None:
    """Take what names the parameter of the channels out of the settings.

    A number remains a setting: of a parameter ``channels`` beside that of the input's channels.
    """
    value = settings.get("channels")
    if value is Given.CHANNELS:
        value = "channels"
    elif value == "none" or ("channels" in settings and value is None):
        value = Given.NOTHING
    elif not (isinstance(value, str) and value.isidentifier()):
        return None
    del settings["channels"]
    return value


def _value(text: str) -> Any:
    if text == Given.CHANNELS.value:
        return Given.CHANNELS
    if fraction := FRACTION.fullmatch(text):
        return int(fraction[1]) / int(fraction[2])
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
