"""Which runs were measured on one machine, and how each machine and configuration is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from attnbench.records import image_size
from attnbench.records.run import MACHINE, MOVES, Run
from attnbench.report.tables.grid import shared, tidy
from attnbench.report.tables.run import Runs
from attnbench.stats.replicates import FREE, configuration

FACTS = tuple(fact for fact in (*MACHINE, "gpu_uuid") if fact != MOVES)
"""What tells machines apart, software included; of two that agree in all, records know one."""

OF_MACHINES = ("device", "threads")
"""Settings that differ between machines and do not make another configuration."""


def in_order(runs: Runs) -> Runs:
    """Return the runs by configuration, small ones first; those of one stay in their order."""

    def place(name: str) -> tuple[object, ...]:
        case = runs[name].run.case
        size = image_size.sides(case.image_size)
        return case.host, case.mode, case.dtype, case.batch_size, size, case.runtime

    return {name: runs[name] for name in sorted(runs, key=place)}


def machines(runs: Runs) -> dict[str, str]:
    """Return the machine of each run, by the run's name: its GPU or CPU, and what else differs."""
    facts = {name: _facts(loaded.run) for name, loaded in runs.items()}
    labels: dict[str, str] = {}
    for name, loaded in runs.items():
        processor = _processor(loaded.run)
        alike = [facts[other] for other in runs if _processor(runs[other].run) == processor]
        differing = [key for key in FACTS if len(_stated(key, alike)) > 1]
        told = ", ".join(f"{key} {facts[name][key]}" for key in differing)
        labels[name] = f"{processor} ({told})" if told else processor
    return labels


def _stated(key: str, facts: Sequence[Mapping[str, object]]) -> set[str]:
    """Return the values of a fact; a run states the packages of its own runtime alone."""
    return {str(known[key]) for known in facts if known[key] is not None}


def _facts(run: Run) -> dict[str, object]:
    return {key: run.environment.get(key) for key in FACTS}


def _processor(run: Run) -> str:
    return str(run.environment.get("gpu") or run.environment.get("cpu") or run.case.device)


def configurations(runs: Runs) -> dict[str, str]:
    """Return the configuration of each run, by the run's name, in what differs between them.

    It is the same on every machine: neither device nor threads belong to it.
    """
    common = set(shared(runs).split(", "))
    names: dict[tuple[object, ...], str] = {}
    for loaded in runs.values():
        case = loaded.run.case
        words = [word for word in case.described.split(", ") if word != case.device]
        label = ", ".join(word for word in words if word not in common) or "all alike"
        number = sum(known.partition(" #")[0] == label for known in names.values())
        names.setdefault(key(loaded.run), f"{label} #{number + 1}" if number else label)
    return {name: names[key(loaded.run)] for name, loaded in runs.items()}


def key(run: Run) -> tuple[object, ...]:
    """Return the settings that make a configuration, whatever the machine."""
    fields = vars(run.case)
    return configuration(run.case, [name for name in fields if name not in (*FREE, *OF_MACHINES)])


def placed(runs: Runs) -> pd.DataFrame:
    """Return the table of ``attnbench.read`` with the columns ``machine`` and ``configuration``."""
    columns: Mapping[str, Mapping[str, str]] = {
        "machine": machines(runs),
        "configuration": configurations(runs),
    }
    table = tidy(in_order(runs))
    return table.assign(**{name: table["run"].map(known) for name, known in columns.items()})
