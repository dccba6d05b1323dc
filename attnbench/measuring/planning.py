"""From the options that a user stated to runs that can be executed: new ones, or resumed ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from attnbench.devices import table as kinds
from attnbench.errors import UserError
from attnbench.hosts import check_host, check_module
from attnbench.hosts.build import build
from attnbench.hosts.placement.choice import Choice
from attnbench.hosts.resnets import is_resnet
from attnbench.measuring import isolated, repetitions
from attnbench.measuring.options.cases import cases_of, check_case
from attnbench.measuring.options.check import require_place
from attnbench.measuring.options.recorded import (
    all_finished,
    gathered,
    require_same,
    require_same_options,
)
from attnbench.measuring.options.values import (
    cleaned,
    defaults,
    given,
    require_spacing,
    require_values,
)
from attnbench.measuring.processes.share import number_of
from attnbench.measuring.workload import conditions_of
from attnbench.modules import SettingsError
from attnbench.plugins import host_reference, resolve
from attnbench.plugins.resolve import ModuleReference
from attnbench.records import image_size, store
from attnbench.records.case import Case, RunOptions
from attnbench.records.device import in_a_path, kind_of
from attnbench.records.run import MOVES, Run, machine
from attnbench.records.schema import Plan, Record
from attnbench.records.variants import CONTROL, PLAIN, Map, alone
from attnbench.runtimes import table
from attnbench.stats.ratios import TARGET
from attnbench.system import environment, worker

PlannedRuns = list[tuple[Run, Path]]
"""Runs, each with its folder."""

LeftOut = dict[str, str]
"""Modules that do not fit the host or are refused, and why."""


class NoModuleError(UserError):
    """None of the modules can be in the host; ``left_out`` says why each cannot."""

    def __init__(self, left_out: LeftOut) -> None:
        super().__init__("; ".join(left_out.values()))
        self.left_out = left_out


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


def devices(options: RunOptions, out: Path | None) -> tuple[str, ...] | None:
    """Return the names of the devices that new runs would lock; None where a folder is resumed.

    Raises:
        UserError: options that cannot be.
    """
    if out is not None and store.runs_in(out):
        return None
    try:
        case = next(iter(cases_of(filled(cleaned(options)))))
    except SettingsError as error:
        raise UserError(str(error)) from error
    _check(case)
    return repetitions.devices_of(case, environment.of_case(case))


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
    runs = [Run(case, draft.plan_of(case), {}) for case, _ in draft.cases]
    return Outline(tuple(runs), out, False, draft.left_out)


@dataclass(frozen=True)
class _Draft:
    """New runs: each one's case and the name of its folder, empty where there is one run."""

    cases: list[tuple[Case, str]]
    plan: Plan
    processes: int | None
    """As stated; None for what is usual for a case."""
    left_out: LeftOut
    modules: tuple[ModuleReference, ...]

    def plan_of(self, case: Case) -> Plan:
        """Return the plan of one of the cases."""
        plan = replace(self.plan, processes=number_of(self.processes, case, self.plan.budget_s))
        if not case.isolated:
            return plan
        names = [module.name for module in self.modules]
        return replace(plan, variants=alone(names, _maps(case, self.modules)))


def filled(options: RunOptions) -> RunOptions:
    """Fill in the defaults of options that were left out, and what they are on this machine."""
    # A runtime may have no such device: then what is not stated is the CPU.
    device = table.device_for(options.runtime or (), kinds.automatic())
    standard = defaults(options.host, device=device, threads=torch.get_num_threads())
    if options.host and options.image_size is None and host_reference.is_custom(options.host):
        size = image_size.of(*check_host.size_apart(options.host))
        standard = replace(standard, image_size=(size,))
    return replace(standard, **given(options))


def _prepare(options: RunOptions, out: Path | None) -> tuple[PlannedRuns, Path, LeftOut]:
    if out is not None and (recorded := store.runs_in(out)):
        planned_runs, left_out = _resumed(options, recorded)
        return planned_runs, out, left_out
    draft = _draft(options, out)
    first = draft.cases[0][0]
    kind = "-isolated" if first.isolated else ""
    facts = environment.of_case(first)
    if draft.plan.energy_rounds:
        kinds.kind_of(first.device).energy(facts)  # or refuse, before anything is written
    device = in_a_path(first.device)
    folder = out or store.new_folder(f"{device}-{_in_a_path(first.host)}{kind}")
    planned_runs = []
    for case, name in draft.cases:
        own_folder, plan = folder / name, draft.plan_of(case)
        store.lock(own_folder)
        if store.holds_a_file(own_folder):
            store.repair(own_folder)  # killed within its first line
        known = facts | table.facts(case, facts.get(MOVES))
        store.append(own_folder, Record(case=case, results=plan, environment=known))
        planned_runs.append((Run(case, plan, known), own_folder))
    return planned_runs, folder, draft.left_out


def _draft(options: RunOptions, out: Path | None) -> _Draft:
    options = filled(options)
    require_values(options)
    require_spacing(options)
    asked = [resolve.parse(module) for module in options.modules or ()]
    sources = resolve.origins(asked)
    of_host = host_reference.origins(options.host or "")
    cases = list(cases_of(options))
    for case in cases:
        _check(case)
    require_place(out)
    sites, left_out = _tried(cases, asked)
    modules = [module for module in asked if module.name not in left_out]
    if not modules:
        raise NoModuleError(left_out)
    names = [module.name for module in modules]
    plan = Plan(
        variants=alone(names) if options.isolated else (PLAIN, CONTROL, *names),
        budget_s=options.budget_s or 0.0,
        target=TARGET[kind_of(cases[0].device)],
        sources=of_host | {name: origin for name, origin in sources.items() if name in names},
        sites=sites,
        energy_rounds=options.energy or 0,
    )
    named = _named(cases, options.repeat or 1)
    return _Draft(named, plan, options.processes, left_out, (*modules,))


def _maps(case: Case, modules: Iterable[ModuleReference]) -> tuple[Map, ...]:
    """Return what the modules see of one image at each stage; custom code is loaded apart."""
    maps: dict[Map, None] = {}
    for module in modules:
        custom = module.is_custom or host_reference.is_custom(case.host)
        find = partial(worker.call, isolated.maps) if custom else isolated.maps
        maps |= dict.fromkeys(find(case, (module.name,)))
    return (*maps,)


def _in_a_path(host: str) -> str:
    """Return a host's name as part of a folder's: ``nets-small`` of ``lib/nets.py:small``."""
    path, _, name = host.rpartition(".py:")
    named = f"{Path(path).name}-{name}" if path else host
    return re.sub(r"[^\w.-]+", "-", named)


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
    here = environment.of_case(runs[0].case)
    for run, folder in planned_runs:
        modules = [resolve.parse(module) for module in run.modules]
        _check(run.case)
        if resolve.origins(modules) | host_reference.origins(run.case.host) != run.plan.sources:
            raise UserError(f"{folder} was begun with other code of its modules or its host")
        _require_images(run, folder, options)
        known = here | table.facts(run.case, here.get(MOVES))
        require_same(f"{folder} was begun on another machine", run.environment, machine(known))
        store.repair(folder)
    return planned_runs, left_out


def _require_images(run: Run, folder: Path, options: RunOptions) -> None:
    """Refuse to go on without the images that int8 still takes its ranges from."""
    left = [name for name in run.networks if not run.has(name, "export")]
    if run.case.calibration and left and not options.calibration:
        raise UserError(
            f"{folder} was begun with ranges from {run.case.calibration}; name that folder again "
            "with --calibrate"
        )


def _recorded(options: RunOptions, folders: Sequence[Path]) -> tuple[list[Run], LeftOut]:
    runs = gathered(folders)
    others = [name for name in options.modules or () if name not in runs[0].modules]
    _, left_out = _tried([run.case for run in runs], [resolve.parse(name) for name in others])
    require_same_options(runs, folders, options, [*left_out])
    return runs, left_out


def _check(case: Case) -> None:
    check_case(case)
    if (why := kinds.fault(case.device)) is not None:
        raise UserError(why)


def _tried(
    cases: Sequence[Case], modules: Iterable[ModuleReference]
) -> tuple[dict[str, int], LeftOut]:
    """Return at how many sites modules stand, and why others cannot be in the host.

    They are tried at every input size and dtype of the runs.
    Custom ones are checked in child processes, which they may end, and so are custom hosts.
    """
    first, asked = cases[0], [*modules]
    images = {case.image_size: case.input_shape for case in cases}
    conditions = dict.fromkeys(conditions_of(case) for case in cases)
    choice = Choice.of(first)
    where = ([*images.values()], [*conditions], choice)
    sites: dict[str, int] = {}
    left_out: LeftOut = {}
    of_table = [module for module in asked if not module.is_custom]
    if not is_resnet(first.host) or choice.at or choice.replace:
        training = any(case.mode == "training" for case in cases)
        host = host_reference.parse_host(first.host)
        trial = check_host.HostTrial(host, choice, where[0], training, first.isolated)
        checked = check_host.apart(trial, of_table)
        left_out |= checked.left_out
        sites = {module.name: checked.sites for module in of_table}
        of_table = []
    for module in asked:
        try:
            if module.is_custom:
                sites[module.name] = check_module.in_subprocess(
                    check_module.check, module, first.host, *where
                )
            elif module in of_table:
                row = module.load()
                with torch.device("meta"):
                    build(first.host, row, stages=first.stages, blocks=first.blocks)
                size = image_size.sides(first.image_size)
                sites[module.name] = check_module.sites(row, first.host, choice, size)
        except (SettingsError, UserError) as error:
            left_out[module.name] = str(error)
    names = [module.name for module in asked]
    kept = {name: sites[name] for name in names if name in sites and name not in left_out}
    return kept, {name: left_out[name] for name in names if name in left_out}
