"""What each operator costs, for ``executed``: tables by kind of operator.

Views and allocations are not here: they launch nothing and move nothing. An operator that is in
neither place is listed as not counted and never guessed.
"""

from __future__ import annotations

import torch

from attnbench.counting.operators.cost import Operator
from attnbench.counting.operators.elementwise import ELEMENTWISE
from attnbench.counting.operators.folding import FOLDING
from attnbench.counting.operators.gradients import GRADIENTS
from attnbench.counting.operators.moves import MOVES
from attnbench.counting.operators.normalisation import NORMALISATION
from attnbench.counting.operators.products import PRODUCTS
from attnbench.counting.operators.sampling import SAMPLING
from attnbench.counting.operators.training import TRAINING

_STATED: dict[str, Operator] = {
    **PRODUCTS,
    **ELEMENTWISE,
    **FOLDING,
    **NORMALISATION,
    **SAMPLING,
    **MOVES,
    **GRADIENTS,
    **TRAINING,
}


def _in_place() -> dict[str, Operator]:
    """Return rows for what PyTorch has in place too: ``cumsum_`` computes what ``cumsum`` does."""
    return {
        f"{name}_": row
        for name, row in _STATED.items()
        if hasattr(torch.ops.aten, f"{name.removeprefix('aten.')}_")
    }


OPERATORS: dict[str, Operator] = {**_in_place(), **_STATED}
"""The whole table, by the operators' names."""
