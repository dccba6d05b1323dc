"""Text that is not ours (names, messages of foreign errors), made safe to show on one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_WORD = 100
"""Characters of a word that is shown in a message, or compared with known ones."""


def printable(text: str, most: int | None = None) -> str:
    """Return any text on one line, with ``�`` for what cannot be displayed.

    A control character is not allowed in an SVG, and one that changes the direction of writing
    would change its neighbours too. What is longer than ``most`` characters ends in an ellipsis.
    """
    line = "".join(map(_shown, " ".join(text.split())))
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def unknown(what: str, word: str, known: Iterable[str], more: str = "") -> str:
    """Return the message for a word that is none of those that are known, with the nearest one."""
    names = list(known)
    shown = printable(word, LONGEST_WORD)
    return f"unknown {what} '{shown}'{near(word, names)}; known: {', '.join(names)}{more}"


def near(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean sa?)`` with the nearest of the known words, or nothing."""
    # Without regard to case, as words are read; a long one would take long.
    alike = get_close_matches(word[:LONGEST_WORD].lower(), list(known), n=1)
    return f" (did you mean {alike[0]}?)" if alike else ""


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
