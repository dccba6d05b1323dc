"""Names that are taken before anybody offers a module under them."""

from __future__ import annotations

from attnbench.modules import ATTENTION
from attnbench.pieces import CEILINGS
from attnbench.records import CONTROL, PLAIN

RESERVED = (PLAIN, CONTROL, *CEILINGS)
"""What records call the variants that are no modules."""


def is_taken(name: str) -> bool:
    """Whether an installed package that offers a module of this name offers it in vain."""
    return name in ATTENTION or name in RESERVED
