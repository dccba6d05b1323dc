"""The sentences about a run's energy: what was counted, its control, doubtful windows."""

from __future__ import annotations

from attnbench import formatting
from attnbench.formatting import counted, joined
from attnbench.records.results.energy import LEAST_WINDOW_S
from attnbench.report.tables.run import LoadedRun
from attnbench.stats.quantities import joules

WHOLE = {"gpu": "the GPU's whole board"}
"""A domain in words, where its name does not say what it is."""


def notes(loaded: LoadedRun) -> list[str]:
    """Return them; none where no energy is known."""
    if not loaded.has_energy:
        return []
    known = [each for run in loaded.runs for each in joules.windows(run)]
    domains = next(filter(None, map(joules.domains, loaded.runs)))
    lines = [
        f"Energy is what the hardware counted in {counted(len(known), 'window')} of at least "
        f"{LEAST_WINDOW_S:g} s: {joined(WHOLE.get(name, name) for name in domains)}, with what it "
        "draws when idle and for other programs."
    ]
    fault, ratio = loaded.energy_control_fault, formatting.ratio(loaded.energy_control_ratio)
    held = "it holds." if fault is None else f"too noisy to judge: {fault}."
    lines.append(f"Control of energy: {ratio}; {held}")
    if doubtful := sum(map(joules.apart, known)):
        lines.append(
            f"WARNING: in {counted(doubtful, 'window')} of energy the counter and the integral of "
            f"power differ by more than {formatting.percent(joules.MOST_APART, 0)}."
        )
    if shared := sum(each.shared for run in loaded.runs for each in run.energy):
        lines.append(
            f"WARNING: another measurement or training ran in {counted(shared, 'round')} of energy."
        )
    return lines
