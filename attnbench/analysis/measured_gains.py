"""The trainings of a folder that are of the same networks as its runs. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attnbench.records.case import Case
from attnbench.records.trainings import store
from attnbench.stats.gains import Gains


def of(folder: Path, case: Case, modules: Sequence[str]) -> Gains | None:
    """Return the gains of the host and places of a case; of several, those of most modules.

    Raises:
        UserError: a file of trainings that cannot be read.
    """
    alike = [
        Gains(known)
        for known in store.in_folder(folder).values()
        if all(
            getattr(known.training, name) == getattr(case, name)
            for name in ("host", "stages", "blocks", "at", "replace")
        )
    ]
    known = [gains for gains in alike if any(gains.gain(module) for module in modules)]
    return max(known, key=lambda gains: sum(map(bool, map(gains.gain, modules))), default=None)
