"""How far ratios scatter by other estimators: ``python benchmarks/estimators.py [FOLDER...]``.

The ratio of a module is the median over rounds of its step against both copies of the plain host.
This reads real records (by default all published runs on a CPU), cuts every process of at least
four times ROUNDS rounds into stretches of ROUNDS, and lets each estimator name the ratio of each
module by each stretch. Printed for each process, and as the geometric mean of all, is how far an
estimator's logarithms scatter between stretches (root mean square over modules) over how far those
of the median against one copy do; the square of it is the share of the rounds that it would take.
Last stands how far it lies from that median, in percent, the mean of all. What changes in the
machine between stretches adds to all estimators alike, and draws these shares towards 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attnbench.records.run import Run

    Array = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
STRETCHES = 4
"""The fewest of a process whose scatter says something."""

COPIES = 2
"""The plain host and the control: the first columns of the times."""

SWEEPS = 3
"""Of a median polish, after which nothing that matters changes."""

REACH = 4
"""Blocks before and after one, by which its neighbours tell the machine's speed."""

LOW = 0.1
"""The quantile that stands for a network where nothing disturbs it."""

DRIFT = {3.0: 0.2, 15.0: 0.25, 100.0: 0.3}
"""By the steps over which a change of the machine lasts, its share of the variance of a step.

The rest is a step's own. About as in the autocorrelation of steps in the old runs of
``reports/2026-11-27-cpu-resnet50-time-to-known``, against which a test holds it."""

HUBER = 1.5
"""Standard deviations beyond which a step counts as if it were so far (Huber 1964)."""

DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

HUBER_SWEEPS = 8


def one_copy(times: Array, _: Array) -> Array:
    """Return the median of each module against the plain host."""
    import numpy as np

    return np.median(times[:, COPIES:] - times[:, :1], axis=0)


def both_copies(times: Array, _: Array) -> Array:
    """Return the median of the ratios to either copy: what attnbench takes."""
    import numpy as np

    modules = times[:, COPIES:]
    return np.median(np.concatenate([modules - times[:, [c]] for c in range(COPIES)]), axis=0)


def mean_of_copies(times: Array, _: Array) -> Array:
    """Return the median against the geometric mean of both copies."""
    import numpy as np

    return np.median(times[:, COPIES:] - times[:, :COPIES].mean(axis=1, keepdims=True), axis=0)


def hodges_lehmann(times: Array, _: Array) -> Array:
    """Return the median of the means of two rounds each, against either copy in each."""
    import numpy as np

    first, second = np.triu_indices(len(times), 1)
    to = [times[:, COPIES:] - times[:, [c]] for c in range(COPIES)]
    return np.median(np.concatenate([a[first] + b[second] for a in to for b in to]), axis=0) / 2


def polished(times: Array, _: Array) -> Array:
    """Return the ratios by a median polish (Tukey 1977): a round's speed by all its networks."""
    import numpy as np

    networks = np.median(times, axis=0)
    for _ in range(SWEEPS):
        left = times - np.median(times - networks, axis=1, keepdims=True)
        networks = np.median(left, axis=0)
    return networks[COPIES:] - np.median(left[:, :COPIES])


def by_neighbours(times: Array, order: Array) -> Array:
    """Return the ratios by the same, with the speed at a block by those next to it in time."""
    import numpy as np

    steps = np.take_along_axis(times, order, axis=1).ravel()
    network = order.ravel()
    beside = [*range(-REACH, 0), *range(1, REACH + 1)]
    at = np.arange(len(steps))[:, None] + beside
    inside = (at >= 0) & (at < len(steps))
    at = at.clip(0, len(steps) - 1)
    networks = np.median(times, axis=0)
    for _ in range(SWEEPS):
        off = steps - networks[network]
        left = steps - np.nanmedian(np.where(inside, off[at], np.nan), axis=1)
        networks = np.array([np.median(left[network == n]) for n in range(times.shape[1])])
    return networks[COPIES:] - np.median(left[network < COPIES])


def lowest_tenth(times: Array, _: Array) -> Array:
    """Return the ratios of a low quantile of each network's own times, of both copies together."""
    import numpy as np

    return np.quantile(times[:, COPIES:], LOW, axis=0) - np.quantile(times[:, :COPIES], LOW)


def by_drift(times: Array, order: Array) -> Array:
    """Return the ratios by generalized least squares (Aitken 1936): steps near in time are alike.

    What then is far off is drawn in (Huber 1964).
    """
    import numpy as np

    steps = np.take_along_axis(times, order, axis=1).ravel()
    network = np.maximum(order.ravel() - (COPIES - 1), 0)  # the copies are one
    lags = np.abs(np.subtract.outer(np.arange(len(steps)), np.arange(len(steps))))
    drift = sum(
        (share * np.exp(-lags / lasts) for lasts, share in DRIFT.items()), np.zeros(lags.shape)
    )
    weights = np.linalg.inv(drift + (1 - sum(DRIFT.values())) * np.eye(len(steps)))
    ran = np.eye(times.shape[1] - COPIES + 1)[network]
    fit = np.linalg.solve(ran.T @ weights @ ran, ran.T @ weights)
    drawn_in = steps
    for _ in range(HUBER_SWEEPS):
        networks = ran @ fit @ drawn_in
        expected = networks + drift @ weights @ (drawn_in - networks)
        off = steps - expected
        most = HUBER * DEVIATION * np.median(np.abs(off))
        drawn_in = expected + off.clip(-most, most)
    known = fit @ drawn_in
    return known[1:] - known[0]


ESTIMATORS: dict[str, Callable[[Array, Array], Array]] = {
    "one copy": one_copy,
    "both copies": both_copies,
    "mean of copies": mean_of_copies,
    "Hodges-Lehmann": hodges_lehmann,
    "polished": polished,
    "by neighbours": by_neighbours,
    "by drift": by_drift,
    "lowest tenth": lowest_tenth,
}
"""Logarithms of the modules' ratios from those of the times (rounds by networks, both copies first)
and the networks of each round in the order in which they ran."""


def processes_of(run: Run) -> dict[int, tuple[Array, Array]]:
    """Return the times and orders of each process, of rounds in which every network ran."""
    import numpy as np

    names = run.plan.variants
    found: dict[int, tuple[list[list[float]], list[list[int]]]] = {}
    for timed in run.rounds:
        step_s = {block.variant: block.seconds / block.steps for block in timed.blocks}
        if len(step_s) == len(names):
            times, order = found.setdefault(timed.process, ([], []))
            times.append([log(step_s[name]) for name in names])
            order.append([names.index(block.variant) for block in timed.blocks])
    return {process: (np.array(t), np.array(o)) for process, (t, o) in found.items()}


def by_stretches(times: Array, order: Array, rounds: int) -> Array:
    """Return the ratios of each stretch (first axis) by each estimator (second axis)."""
    import numpy as np

    starts = range(0, len(times) - rounds + 1, rounds)
    return np.array(
        [
            [named(times[s : s + rounds], order[s : s + rounds]) for named in ESTIMATORS.values()]
            for s in starts
        ]
    )


def scatter(ratios: Array) -> Array:
    """Return each estimator's scatter between stretches, over that of the first one."""
    import numpy as np

    by_estimator = np.sqrt(ratios.var(axis=0).mean(axis=1))
    return by_estimator / by_estimator[0]


def offsets(ratios: Array) -> Array:
    """Return how far each estimator lies from the first one."""
    return (ratios - ratios[:, :1]).mean(axis=(0, 2))


def published() -> list[Path]:
    """Return the folders of published runs on a CPU."""
    return sorted((ROOT / "reports").glob("*-cpu-*"))


def show(folders: Sequence[Path], rounds: int) -> None:
    """Print a line for each process with rounds enough, and one for all."""
    import numpy as np

    from attnbench.records.run import read
    from attnbench.records.store import runs_in

    scatters, away = [], []
    print(f"{'run, process':56} rounds  " + "  ".join(ESTIMATORS))
    for path in (path for folder in folders for path in runs_in(folder)):
        run = read(path)
        if run.case.isolated or len(run.plan.variants) <= COPIES:
            continue
        for process, (times, order) in processes_of(run).items():
            if len(times) < STRETCHES * rounds:
                continue
            ratios = by_stretches(times, order, rounds)
            scatters.append(scatter(ratios))
            away.append(offsets(ratios))
            where = f"{path.parent.name}/{path.name}, {process}"[-56:]
            print(f"{where:56} {len(times):6}  " + cells(scatters[-1]))
    if not scatters:
        sys.exit(f"estimators.py: no process has {STRETCHES * rounds} rounds")
    of_all = np.exp(np.log(scatters).mean(axis=0))
    print(f"{'all':56} {'':6}  " + cells(of_all))
    print(f"{'of the rounds':56} {'':6}  " + cells(of_all**2))
    print(f"{'from one copy, percent':56} {'':6}  " + cells(100 * np.mean(away, axis=0), "+"))


def cells(values: Array, sign: str = "") -> str:
    """Return values under the names of their estimators."""
    return "  ".join(
        f"{value:{sign}{len(name)}.2f}" for value, name in zip(values, ESTIMATORS, strict=True)
    )


def main() -> None:
    """Read the folders and print how far the estimators scatter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, help="of runs; the published ones")
    parser.add_argument("--rounds", type=int, default=25, help="of a stretch; 25")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("a stretch has a round at least")
    from attnbench.errors import UserError

    try:
        show(arguments.folders or published(), arguments.rounds)
    except UserError as error:
        sys.exit(f"estimators.py: {error}")


if __name__ == "__main__":
    main()
