"""How tables and plots write the names of modules."""

from __future__ import annotations

TITLES = {name: name.upper() for name in ("se", "cbam", "eca", "gc", "sk", "sge", "sa")}
"""As the papers write them; any other name stands as it is."""


def title(variant: str) -> str:
    """The name that tables and plots show."""
    return TITLES.get(variant, variant)
