"""What disturbed a run's rounds, and what failed in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attnbench import formatting
from attnbench.formatting import counted, joined, title
from attnbench.records.run import Run
from attnbench.records.variants import STAGES, IsolatedModule
from attnbench.stats import ratios
from attnbench.text import printable


def disturbances(run: Run) -> list[str]:
    """Return the rounds that were disturbed, and what the GPU's driver reported after rounds."""
    lines = []
    flagged = ratios.flags(run.rounds)
    if throttled := sum(bool(moment.get("gpu_throttle")) for moment in run.moments):
        flagged["under a throttle reason"] = throttled
    if flagged:
        listed = ", ".join(f"{count} {name}" for name, count in flagged.items())
        lines.append(f"Rounds flagged, none dropped: {listed}.")
    if held := sum(timed.held_s > 0 for timed in run.rounds):
        lines.append(
            f"Held back while other programs used the cores: {counted(held, 'round')}, for "
            f"{formatting.seconds(run.held_s)} in all."
        )
    reasons = (moment.get("gpu_throttle") for moment in run.moments)
    throttles = Counter(str(reason) for reason in reasons if reason)
    lines += [
        f"The GPU was throttled after {counted(count, 'round')}: {reason}."
        for reason, count in throttles.items()
    ]
    foreign = sum(bool(moment.get("gpu_other_processes")) for moment in run.moments)
    if foreign:
        lines.append(f"WARNING: after {counted(foreign, 'round')} other processes were on the GPU.")
    clocks = [mhz for moment in run.moments if isinstance(mhz := moment.get("gpu_clock_mhz"), int)]
    if clocks:
        span = " to ".join(map(str, sorted({min(clocks), max(clocks)})))
        lines.append(f"GPU clock after the rounds: {span} MHz.")
    return lines


def failures(run: Run) -> list[str]:
    """Return each distinct error once, after the names of the variants that it stopped."""
    variants: dict[str, list[str]] = {}
    for variant, steps in run.failures.items():
        for step, failure in steps.items():
            error = f"{step}: {failure.type}: {printable(failure.message)}"
            variants.setdefault(error, []).append(variant)
    return [
        f"{joined(_titles(run, names))} failed at {error}." for error, names in variants.items()
    ]


def _titles(run: Run, variants: Sequence[str]) -> list[str]:
    """Return the names in tables; an isolated module that failed at every stage appears once."""
    names = dict.fromkeys(variants)
    for module in run.modules if run.case.isolated else ():
        pieces = [IsolatedModule(module, stage).name for stage in STAGES]
        if names.keys() >= set(pieces):
            names = dict.fromkeys(module if name in pieces else name for name in names)
    return list(dict.fromkeys(map(title, names)))
