"""Tables of runs on several machines: one for each machine, and the spread over them."""

from __future__ import annotations

from dataclasses import replace

from attnbench import formatting
from attnbench.formatting import title
from attnbench.report.machines import places
from attnbench.report.tables import claims
from attnbench.report.tables.grid import grid
from attnbench.report.tables.run import BETWEEN_RUNS, LoadedRun, Runs
from attnbench.report.tables.table import Table, interval
from attnbench.stats.interval import Interval


def tables(runs: Runs) -> list[Table]:
    """Return the spread, a table of each machine, and the claims once; empty of one machine."""
    runs = places.in_order(runs)
    by_machine = places.machines(runs)
    if len({*by_machine.values()}) < 2:  # noqa: PLR2004  several
        return []
    every = [known for known in (spread(runs),) if known is not None]
    for machine in dict.fromkeys(by_machine.values()):
        here = {name: loaded for name, loaded in runs.items() if by_machine[name] == machine}
        every.append(_of_machine(machine, here))
    return [*every, *checked(runs)]


def _of_machine(machine: str, runs: Runs) -> Table:
    known = grid(runs)
    rows = tuple(
        (label or loaded.run.case.described, *cells)
        for (label, *cells), loaded in zip(known.rows, runs.values(), strict=True)
    )
    return replace(known, caption=f"{machine}. {known.caption}", rows=rows)


def spread(runs: Runs) -> Table | None:
    """Return the overhead of each module on each machine; None where no two have a configuration.

    Every ratio is to the plain host on the same machine, in the same rounds.
    """
    by_machine, named = places.machines(runs), places.configurations(runs)
    machines = tuple(dict.fromkeys(by_machine.values()))
    groups: dict[str, dict[str, LoadedRun]] = {}
    for name, loaded in runs.items():
        groups.setdefault(named[name], {}).setdefault(by_machine[name], loaded)
    shared = {label: known for label, known in groups.items() if len(known) > 1}
    rows = [
        (title(module), label, *_cells(known, machines, module))
        for label, known in shared.items()
        for module in dict.fromkeys(name for one in known.values() for name in one.run.modules)
    ]
    if not rows:
        return None
    caption = (
        f"Latency over the plain host of the same machine{BETWEEN_RUNS}; ? too noisy to judge. "
        "No figure here is a ratio between machines"
    )
    return Table(
        caption,
        ("module", "configuration", *machines, "least to greatest"),
        tuple(rows),
        (
            "The module in the host.",
            "The settings in which configurations differ.",
            *("Over the plain host on this machine, with the 95% interval." for _ in machines),
            "Of the machines whose control holds: by how much it depends on the machine.",
        ),
    )


def _cells(known: dict[str, LoadedRun], machines: tuple[str, ...], module: str) -> tuple[str, ...]:
    ratios = {machine: _ratio(loaded, module) for machine, loaded in known.items()}
    cells = []
    for machine in machines:
        text = formatting.overhead(ratios.get(machine))
        fails = machine in known and known[machine].control_fault is not None
        cells.append(f"? {text}" if fails and ratios[machine] is not None else text)
    held = [
        ratio.median - 1
        for machine, loaded in known.items()
        if loaded.control_fault is None and (ratio := ratios[machine]) is not None
    ]
    several = f"{min(held):+.1%} to {max(held):+.1%}" if len(held) > 1 else formatting.NOTHING
    return (*cells, several)


def _ratio(loaded: LoadedRun, module: str) -> Interval | None:
    for _, row in loaded.frame.iterrows():
        if row["variant"] == module:
            return interval(row, "ratio_between_runs")
    return None


def checked(runs: Runs) -> list[Table]:
    """Return the published figures that the counts of any run can check, each once."""
    rows: dict[tuple[str, ...], None] = {}
    for loaded in runs.values():
        table = claims.table(loaded.run)
        rows |= dict.fromkeys(table.rows)
    return [replace(table, rows=tuple(rows))] if rows else []
