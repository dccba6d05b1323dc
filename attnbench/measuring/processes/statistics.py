"""The statistics of batch norms, which the first process of a run takes and the others read.

In ResNet-50 they take 0.3 to 0.9 s a network, and each process has a network for every module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attnbench import temporary
from attnbench.records.run import Run


@contextmanager
def taken_once(runs: Sequence[Run]) -> Iterator[None]:
    """Give each run of the suite's own networks a folder for them until the body ends.

    The code of others may build another network in each process, or write into the folder.

    Raises:
        UserError: no folder can be made.
    """
    with temporary.folder() as place:
        for number, run in enumerate(runs):
            if not run.plan.sources:
                run.statistics = place / str(number)
                run.statistics.mkdir()
        try:
            yield
        finally:
            for run in runs:
                run.statistics = None
