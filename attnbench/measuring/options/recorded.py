"""The options of runs that a folder holds already: stated ones must be the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from attnbench.errors import UserError
from attnbench.measuring.options.valid import in_order
from attnbench.measuring.options.values import given
from attnbench.records import image_size, store
from attnbench.records.case import GRID, RunOptions
from attnbench.records.run import Run, gather
from attnbench.records.variants import alone


def gathered(folders: Sequence[Path]) -> list[Run]:
    """Return the runs of folders that hold one each."""
    return [gather(store.read(folder), str(folder / store.FILE_NAME)) for folder in folders]


def all_finished(runs: Iterable[Run]) -> bool:
    """Return whether nothing is left to do."""
    return all(run.finished for run in runs)


def require_same_options(
    runs: Sequence[Run], folders: Sequence[Path], stated: RunOptions, left_out: Sequence[str] = ()
) -> None:
    """Refuse stated options that are not those of the runs; modules in ``left_out`` do not count.

    Raises:
        UserError: they differ.
    """
    where = folders[0] if len(folders) == 1 else folders[0].parent
    recorded = _recorded(runs)
    values = {name: value for name, value in given(stated).items() if name in recorded}
    if recorded["modules"] == tuple(n for n in stated.modules or () if n not in left_out):
        del values["modules"]
    require_same(f"{where} holds another configuration", recorded, values)


def require_same(what: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse values here that are others there; ``what`` begins the message.

    Raises:
        UserError: one differs.
    """
    for name, value in here.items():
        if value != (recorded := there.get(name)):
            raise UserError(f"{what}: {name} is {_shown(recorded)} there and {_shown(value)} here")


def _recorded(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the options that made these runs."""
    first = runs[0]
    shared = {name: getattr(first.case, name) for name in (*GRID, "calibration")}
    calibrations = {run.case.calibration for run in runs if run.case.dtype == "int8"} or {""}
    # Fewer processes where compiled; and modules alone see other maps of other images.
    plans = {id(run): replace(run.plan, processes=1, variants=_compared(run)) for run in runs}
    if len(calibrations) > 1 or any(
        replace(run.case, **shared) != first.case or plans[id(run)] != plans[id(first)]
        for run in runs
    ):
        raise UserError("the folder holds several runs that are no grid; name one of them")
    counted = Counter(run.case for run in runs)
    if len({*counted.values()}) > 1:
        listed = "; ".join(f"{count} of {case.described}" for case, count in counted.items())
        raise UserError(f"the folder holds runs that are no grid: {listed}; name one of them")
    options = asdict(first.case) | {"modules": first.modules, "budget_s": first.plan.budget_s}
    options["repeat"] = counted[first.case]
    processes = {run.plan.processes: None for run in runs}
    (options["calibration"],) = calibrations
    options["energy"] = first.plan.energy_rounds
    options["processes"] = first.plan.processes if len(processes) == 1 else tuple(processes)
    return options | {
        option: in_order(option, [getattr(run.case, option) for run in runs]) for option in GRID
    }


def _compared(run: Run) -> tuple[str, ...]:
    return alone(run.modules) if run.case.isolated else run.plan.variants


def _shown(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return ", ".join(image_size.written(p) if isinstance(p, tuple) else str(p) for p in parts)
