"""Names that are taken before anybody offers a module under them."""

from __future__ import annotations

from attnbench.modules import ATTENTION
from attnbench.records.variants import RESERVED


def is_taken(name: str) -> bool:
    """Whether an installed package that offers a module of this name offers it in vain."""
    return name in ATTENTION or name in RESERVED
