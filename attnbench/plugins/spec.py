"""The specification of a custom module: its source, its site, its settings."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnbench.modules import SettingsError, Site

SEPARATOR = re.compile(r",\s*(?=[A-Za-z_]\w*\s*=)")
"""A comma before ``key=``; the one within ``sizes=(3, 5)`` is no separator."""


@dataclass(frozen=True)
class Spec:
    """The parts of ``source,site=...,key=value,...``."""

    source: str
    site: Site | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def parse_spec(text: str) -> Spec:
    """Parse a specification; values are Python literals, anything else is a string.

    Raises:
        SettingsError: the source is missing, a value is missing or stated twice, the site is
            unknown, or the text cannot be printed or stored: line breaks, control characters, bytes
            that are no UTF-8.
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
        settings[key] = _literal(value)
    site = settings.pop("site", None)
    try:
        return Spec(source, None if site is None else Site(site), settings)
    except ValueError:
        raise SettingsError(f"'{text}': unknown site '{site}'; known: {', '.join(Site)}") from None


def _literal(value: str) -> Any:
    try:
        return literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
