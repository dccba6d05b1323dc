"""From the options that a user stated to runs that can be executed: new ones, or resumed ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from attnbench.devices import table as devices
from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.build import build
from attnbench.measuring.options import (
    all_finished,
    cases_of,
    check_case,
    cleaned,
    defaults,
    gathered,
    given,
    require_place,
    require_same,
    require_same_options,
    require_spacing,
    require_values,
)
from attnbench.measuring.workload import conditions_of
from attnbench.modules import SettingsError
from attnbench.plugins import resolve
from attnbench.plugins.resolve import ModuleReference
from attnbench.records import store
from attnbench.records.case import Case, RunOptions
from attnbench.records.device import kind_of
from attnbench.records.run import Run, machine
from attnbench.records.schema import Plan, Record
from attnbench.records.variants import CONTROL, PLAIN, alone
from attnbench.stats.ratios import TARGET
from attnbench.system import environment

PlannedRuns = list[tuple[Run, Path]]
"""Runs, each with its folder."""

LeftOut = dict[str, str]
"""Modules that do not fit the host or are refused, and why."""


def prepare(options: RunOptions, out: Path | None) -> tuple[PlannedRuns, Path, LeftOut]:
    """Plan the runs of every configuration that is asked for; return them and the whole's folder.

    Each run comes with its folder: the whole's where there is one run, else one in it. Those of
    ``repeat`` come repetition by repetition, so that the runs of a configuration lie apart in time.
    Their plans are on the disk when this returns. Without ``out`` a new folder under ``reports/``.
    A folder with runs is resumed: options that were left out are the recorded ones, options that
    were stated must agree; of finished runs nothing is left to do. Modules that do not fit the host
    are left out, each with the reason.

    Raises:
        UserError: an option that cannot be, a module or host that is not known, no module that
            fits, another configuration or machine, a folder that cannot be written to.
    """
    try:
        return _prepare(cleaned(options), out)
    except SettingsError as error:
        raise UserError(str(error)) from error


@dataclass(frozen=True)
class Outline:
    """What :func:`prepare` would plan, or has left to do, while nothing is written."""

    runs: tuple[Run, ...]
    folder: Path | None
    """None for a new one."""
    resumed: bool
    left_out: LeftOut


def outline(options: RunOptions, out: Path | None) -> Outline:
    """Return what would be measured. Custom modules are tried, as that decides it.

    Raises:
        UserError: as of :func:`prepare`, but for what only writing shows.
    """
    try:
        options = cleaned(options)
        if out is not None and (recorded := store.runs_in(out)):
            runs, left_out = _recorded(options, sorted(recorded, key=_repetition))
            return Outline(tuple(runs), out, True, left_out)
        draft = _draft(options, out)
    except SettingsError as error:
        raise UserError(str(error)) from error
    runs = [Run(case, draft.plan, {}) for case, _ in draft.cases]
    return Outline(tuple(runs), out, False, draft.left_out)


@dataclass(frozen=True)
class _Draft:
    """New runs: each one's case and the name of its folder, empty where there is one run."""

    cases: list[tuple[Case, str]]
    plan: Plan
    left_out: LeftOut


def filled(options: RunOptions) -> RunOptions:
    """Fill in the defaults of options that were left out, and what they are on this machine."""
    standard = defaults(options.host, device=devices.automatic(), threads=torch.get_num_threads())
    return replace(standard, **given(options))


def _prepare(options: RunOptions, out: Path | None) -> tuple[PlannedRuns, Path, LeftOut]:
    if out is not None and (recorded := store.runs_in(out)):
        planned_runs, left_out = _resumed(options, recorded)
        return planned_runs, out, left_out
    draft = _draft(options, out)
    first, plan = draft.cases[0][0], draft.plan
    kind = "-isolated" if first.isolated else ""
    folder = out or store.new_folder(f"{first.device.replace(':', '')}-{first.host}{kind}")
    facts = environment.of_case(first)
    planned_runs = []
    for case, name in draft.cases:
        own_folder = folder / name
        store.lock(own_folder)
        if store.holds_a_file(own_folder):
            store.repair(own_folder)  # killed within its first line
        store.append(own_folder, Record(case=case, results=plan, environment=facts))
        planned_runs.append((Run(case, plan, facts), own_folder))
    return planned_runs, folder, draft.left_out


def _draft(options: RunOptions, out: Path | None) -> _Draft:
    options = filled(options)
    require_values(options)
    require_spacing(options)
    asked = [resolve.parse(module) for module in options.modules or ()]
    sources = resolve.origins(asked)
    cases = list(cases_of(options))
    for case in cases:
        _check(case)
    require_place(out)
    left_out = _left_out(cases, asked)
    modules = [module for module in asked if module.name not in left_out]
    if not modules:
        raise UserError("; ".join(left_out.values()))
    names = [module.name for module in modules]
    plan = Plan(
        variants=alone(names) if options.isolated else (PLAIN, CONTROL, *names),
        budget_s=options.budget_s or 0.0,
        target=TARGET[kind_of(cases[0].device)],
        sources={name: origin for name, origin in sources.items() if name in names},
    )
    return _Draft(_named(cases, options.repeat or 1), plan, left_out)


def _named(cases: Sequence[Case], repeat: int) -> list[tuple[Case, str]]:
    """Return every run's case and the name of its folder, empty where there is one run."""
    if repeat > 1:
        numbers = range(1, repeat + 1)
        return [(case, f"{case.folder}-run{number}") for number in numbers for case in cases]
    return [(case, case.folder if len(cases) > 1 else "") for case in cases]


_REPETITION = re.compile(r"-run(\d+)$")


def _repetition(folder: Path) -> int:
    """Return the number of a run among those of its configuration; 0 where there is no other."""
    number = _REPETITION.search(folder.name)
    return int(number[1]) if number else 0


def _resumed(options: RunOptions, folders: Sequence[Path]) -> tuple[PlannedRuns, LeftOut]:
    folders = sorted(folders, key=_repetition)
    if not all_finished(gathered(folders)):
        for folder in folders:
            store.lock(folder)
    runs, left_out = _recorded(options, folders)  # now that no other process writes to them
    planned_runs = list(zip(runs, folders, strict=True))
    if all_finished(runs):
        return planned_runs, left_out
    here = machine(environment.of_case(runs[0].case))
    for run, folder in planned_runs:
        modules = [resolve.parse(module) for module in run.modules]
        _check(run.case)
        if resolve.origins(modules) != run.plan.sources:
            raise UserError(f"{folder} was begun with other code of its modules")
        require_same(f"{folder} was begun on another machine", run.environment, here)
        store.repair(folder)
    return planned_runs, left_out


def _recorded(options: RunOptions, folders: Sequence[Path]) -> tuple[list[Run], LeftOut]:
    runs = gathered(folders)
    others = [name for name in options.modules or () if name not in runs[0].modules]
    left_out = _left_out([run.case for run in runs], [resolve.parse(name) for name in others])
    require_same_options(runs, folders, options, [*left_out])
    return runs, left_out


def _check(case: Case) -> None:
    check_case(case)
    if (why := devices.fault(case.device)) is not None:
        raise UserError(why)


def _left_out(cases: Sequence[Case], modules: Iterable[ModuleReference]) -> LeftOut:
    """Return why modules cannot be in the host, at any input size and dtype of the runs.

    Custom ones are checked in child processes, which they may end.
    """
    first = cases[0]
    images = {case.image_size: case.input_shape for case in cases}
    conditions = dict.fromkeys(conditions_of(case) for case in cases)
    where = ([*images.values()], [*conditions], (first.stages, first.blocks))
    left_out = {}
    for module in modules:
        try:
            if module.is_custom:
                check_module.in_subprocess(check_module.check, module, first.host, *where)
            else:
                with torch.device("meta"):
                    build(first.host, module.load(), stages=first.stages, blocks=first.blocks)
        except (SettingsError, UserError) as error:
            left_out[module.name] = str(error)
    return left_out
