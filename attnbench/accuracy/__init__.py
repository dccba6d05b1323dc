"""How often given weights are right on given images, and the authors' released weights."""

from __future__ import annotations

from attnbench.accuracy.checkpoints import (
    load_authors_state_dict,
    read_weights,
    to_authors_state_dict,
)

__all__ = ["load_authors_state_dict", "read_weights", "to_authors_state_dict"]
