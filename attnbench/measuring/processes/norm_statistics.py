"""The statistics of batch norms, taken once before the processes that time a run and read by each.

So all of these begin alike, and sooner: the statistics take a forward of several images, and each
process has a network for every module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from attnbench import temporary
from attnbench.errors import UserError
from attnbench.hosts.values import norm_statistics
from attnbench.measuring import workload
from attnbench.records.run import Run
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.system import process_settings


@contextmanager
def folders(runs: Sequence[Run]) -> Iterator[None]:
    """Give each run whose processes share statistics a folder for them, until the body ends.

    Where none can be made, each process takes its own.
    """
    with ExitStack() as kept:
        with suppress(UserError, OSError):
            place = kept.enter_context(temporary.folder())
            for number, run in enumerate(runs):
                if run.shares_statistics:
                    folder = place / str(number)
                    folder.mkdir()
                    run.norm_statistics = folder
        try:
            yield
        finally:
            for run in runs:
                run.norm_statistics = None


def file_of(run: Run, variant: str) -> Path | None:
    """Return the file of a variant's statistics; the control's are the plain host's."""
    network = PLAIN if variant == CONTROL else variant
    folder = run.norm_statistics
    return None if folder is None else folder / str(run.plan.variants.index(network))


def take(run: Run, variant: str) -> None:
    """Build a network of a run and keep its statistics in its file; a child process runs it.

    Raises:
        SettingsError: it cannot be built.
    """
    process_settings.settle(run.case)
    with norm_statistics.kept_in(file_of(run, variant)):
        workload.network(run.case, variant, "cpu", statistics=True)
