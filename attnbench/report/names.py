"""How tables and plots write the names of modules."""

from __future__ import annotations

TITLES = {name: name.upper() for name in ("se", "cbam", "eca", "gc", "sk", "sge", "sa")}
"""As the papers write them; any other name stands as it is."""


def title(variant: str) -> str:
    """The name that tables and plots show, on one line; for what cannot be shown stands ``�``.

    No file may be broken by it: a control character has no place in an SVG, and one that turns
    the direction of writing would turn its neighbours too.
    """
    return TITLES.get(variant) or "".join(map(_shown, variant))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
