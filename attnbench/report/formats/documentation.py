"""Where a page finds the documentation: in the checkout around it, if it lies in one."""

from __future__ import annotations

import os
from pathlib import Path

from attnbench.files import resolved

PAGES = ("measuring.md", "reference.md", "training.md", "glossary.md")
"""The pages in docs/ that a report links to."""


def address(folder: Path) -> str:
    """Return the address of docs/, relative to a page in that folder; empty outside a checkout.

    Empty too where a link in the path makes it another one from the place that the link leads to.
    """
    lexical = Path(os.path.normpath(folder.absolute()))
    found = {_upwards(place) for place in (lexical, resolved(folder))}
    return found.pop() if len(found) == 1 else ""


def _upwards(folder: Path) -> str:
    """Return the way up from a folder to the first checkout of attnbench, and into its docs/."""
    for steps, place in enumerate((folder, *folder.parents)):
        files = [place / "docs" / name for name in PAGES]
        if all(file.is_file() for file in (place / "attnbench" / "__init__.py", *files)):
            return f"{'../' * steps}docs"
    return ""
