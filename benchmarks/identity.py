"""Time an identity in one network of each family: it has to take as long as the network without.

    python benchmarks/identity.py --out DIR [--budget SECONDS] [HOST ...]

Each network runs beside itself (the control) and with an identity at every site, in rounds as of an
ordinary run. Prints both ratios with their 95% intervals. Of two intervals that hold the truth 19
times in 20 each, one in twenty leaves 1 by chance, so that a network whose identity does is
measured once more, and only both count. Eight networks take about 15 minutes with the defaults.

Exit status 1 where an identity's interval leaves 1 twice while the control's holds it; else 3 where
it cannot be told, as a control leaves 1 or the budget gives too few rounds; else 0. Runs that are
there already are not repeated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnbench.stats.interval import Interval

FAMILIES = {
    "resnet50": "",
    "mobilenet_v2": "",
    "mobilenet_v3_large": "",
    "efficientnet_b0": "",
    "convnext_tiny": "",
    "regnet_y_400mf": "",
    "swin_t": "features.*.*.mlp",
    "shufflenet_v2_x1_0": "stage*.*.branch2.7",
}
"""Host -> where the identity stands; empty for the residual branches."""

TRIES = 2

HOLDS, FAILS, CANNOT_TELL = "holds", "NOT 1", "cannot tell: the control is not 1"
TOO_FEW = "cannot tell: too few rounds for an interval"

STATUS = {HOLDS: 0, FAILS: 1, CANNOT_TELL: 3, TOO_FEW: 3}

Measure = Callable[[str, str, int], "tuple[Interval, Interval]"]
"""From a host, where the identity stands, and the number of the try to the control's ratio to the
plain host and the identity's."""


def verdict(control: Interval, identity: Interval) -> str:
    """Return whether the identity's interval holds 1, where the control's does."""
    if isinf(control.half_width) or isinf(identity.half_width):
        return TOO_FEW
    if control.excludes_one:
        return CANNOT_TELL
    return FAILS if identity.excludes_one else HOLDS


def examine(hosts: Sequence[str], measure: Measure) -> int:
    """Print a line for every measurement of these hosts; return the exit status."""
    from attnbench import formatting

    verdicts = []
    for host in hosts:
        for number in range(1, TRIES + 1):
            control, identity = measure(host, FAMILIES.get(host, ""), number)
            of_host = verdict(control, identity)
            ratios = f"control {formatting.ratio(control)}, identity {formatting.ratio(identity)}"
            print(f"{host:20} {ratios}: {of_host}", flush=True)
            if of_host == HOLDS:
                break
        verdicts.append(of_host)
    print(f"{verdicts.count(HOLDS)} of {len(hosts)} networks take as long with an identity")
    return next((STATUS[word] for word in (FAILS, CANNOT_TELL, TOO_FEW) if word in verdicts), 0)


def measure_in(folder: Path, budget_s: float) -> Measure:
    """Return a function that makes a run with the identity, in a folder of its own."""
    from attnbench import measuring
    from attnbench.measuring import RunOptions
    from attnbench.stats import ratios

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "an_identity.py"
    file.write_text("from torch.nn import Identity\n", encoding="utf-8")
    module = f"{file}:Identity"

    def measure(host: str, at: str, number: int) -> tuple[Interval, Interval]:
        options = RunOptions(modules=(module,), host=host, at=at or None, budget_s=budget_s)
        (run,) = measuring.run(options, folder / f"{host}-{number}").runs
        control = ratios.ratio(run.rounds, run.plan.control)
        identity = ratios.ratio(run.rounds, module)
        if control is None or identity is None:
            raise SystemExit(f"{host}: no rounds; see {folder / f'{host}-{number}'}")
        return control, identity

    return measure


def main() -> None:
    """Measure the networks and end with the status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hosts", nargs="*", metavar="HOST", help=", ".join(FAMILIES))
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of rounds; 60")
    given = parser.parse_args()
    if unknown := [host for host in given.hosts if host not in FAMILIES]:
        parser.error(f"unknown {', '.join(unknown)}; known: {', '.join(FAMILIES)}")
    hosts = given.hosts or [*FAMILIES]
    sys.exit(examine(hosts, measure_in(given.out.resolve(), given.budget)))


if __name__ == "__main__":
    main()
