"""Names of modules in a sentence or a cell. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable


def joined(names: Iterable[str]) -> str:
    """``SE, SA``; with semicolons where a name has a comma of its own."""
    found = list(names)
    return ("; " if any("," in name for name in found) else ", ").join(found)
