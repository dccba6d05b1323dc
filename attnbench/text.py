"""Text that is not ours (names, messages of foreign errors), made safe to show on one line."""

from __future__ import annotations


def printable(text: str, most: int | None = None) -> str:
    """Return any text on one line, with ``�`` for what cannot be displayed.

    A control character is not allowed in an SVG, and one that changes the direction of writing
    would change its neighbours too. What is longer than ``most`` characters ends in an ellipsis.
    """
    line = "".join(map(_shown, " ".join(text.split())))
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
