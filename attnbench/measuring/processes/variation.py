"""What is changed on purpose from one process of a run to the next, by the run's seed.

The size of the environment moves the stack, and the order in which networks are built moves them in
memory; either can make a network some percent faster or slower for as long as the process lives
(Mytkowicz et al. 2009). The first process of a run has the environment as it is, and the order of
the plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import TypeVar

from attnbench.measuring.guard import is_custom
from attnbench.records.run import Run
from attnbench.records.schema import Environment

T = TypeVar("T")

PADDING = "ATTNBENCH_PADDING"
"""A variable that no program reads."""

MOST_BYTES = 4096
"""A page: the stack's beginning is aligned to it at most."""


def padding_bytes(seed: int, process: int) -> int:
    """Return by how many bytes the environment of a process is larger."""
    return Random(f"{seed} environment {process}").randrange(MOST_BYTES) if process else 0


@contextmanager
def padded(size: int) -> Iterator[None]:
    """Enlarge the environment, which a process that is started meanwhile inherits."""
    if not size:
        yield
        return
    os.environ[PADDING] = "x" * size
    try:
        yield
    finally:
        os.environ.pop(PADDING, None)


def build_order(run: Run, process: int) -> list[str]:
    """Return the variants in the order in which a process builds and warms them up.

    Custom modules come last: what they might change is watched from before their code is loaded.
    Compiled networks keep the order of the plan, as what compiling takes depends on it.
    """
    variants = list(run.plan.variants)
    if process == 0 or run.case.compiled:
        return variants
    random = Random(f"{run.case.seed} order {process}")
    random.shuffle(variants)
    return sorted(variants, key=lambda name: is_custom(name, run.case.isolated))


def turned(members: Sequence[T], process: int) -> list[T]:
    """Return the runs that share a process in the order in which it builds them: another first."""
    first = process % len(members)
    return [*members[first:], *members[:first]]


def facts(run: Run, process: int, runtimes: Sequence[str] = ()) -> Environment:
    """Return what is recorded of a process with its first round; nothing of a run's first.

    But where runs of several ``runtimes`` share it, it is recorded of each process which they are,
    in the order in which they are built.
    """
    shared: Environment = {}
    if len(runtimes) > 1:
        shared["runtimes_in_process"] = ", ".join(turned(runtimes, process))
    if process == 0:
        return shared
    return shared | {
        "environment_padding_bytes": padding_bytes(run.case.seed, process),
        "build_order": ", ".join(build_order(run, process)),
    }
