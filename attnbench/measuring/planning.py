"""From the options that a user stated to runs that can be executed: new ones, or resumed ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.build import TOTAL_STRIDE, build, default_size
from attnbench.hosts.detection import DETECTORS
from attnbench.modules import ATTENTION, SettingsError
from attnbench.plugins import resolve
from attnbench.plugins.resolve import ModuleReference
from attnbench.records import image_size, store
from attnbench.records.case import CASE_OPTIONS, GRID, OPTIONS, Case, RunOptions
from attnbench.records.run import Run, gather, machine
from attnbench.records.schema import Plan, Record
from attnbench.records.variants import CONTROL, PLAIN, STAGES, alone
from attnbench.stats.ratios import TARGET
from attnbench.system import environment

T = TypeVar("T", Case, RunOptions)


@dataclass(frozen=True)
class PlannedRun:
    """A run and the folder that it is written to."""

    run: Run
    folder: Path


def defaults(host: str | None = None) -> RunOptions:
    """Return the main job: every module in ResNet-50, one 224x224 image; a detector's is larger."""
    values: dict[str, Any] = {
        name: (option.default,) if name in GRID else option.default
        for name, option in OPTIONS.items()
    }
    return RunOptions(
        **values
        | {
            "modules": tuple(ATTENTION),
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "image_size": (image_size.of(*default_size(host or values["host"])),),
            "threads": torch.get_num_threads(),
        }
    )


def prepare(options: RunOptions, out: Path | None) -> tuple[list[PlannedRun], Path]:
    """Plan the runs that options ask for, one a configuration, in one folder.

    Their plans are on the disk when this returns. One configuration is written to the folder
    itself, several to folders in it. Without ``out`` a new folder under ``reports/``. A folder
    with unfinished runs is resumed: options that were left out are the recorded ones, options
    that were stated must agree.

    Raises:
        UserError: an option that cannot be, a module or host that is not known or does not fit,
            finished runs, another configuration or machine, a folder that cannot be written to.
    """
    try:
        return _prepare(_cleaned(_valid(RunOptions, asdict(options))), out)
    except SettingsError as error:
        raise UserError(str(error)) from error


def _prepare(options: RunOptions, out: Path | None) -> tuple[list[PlannedRun], Path]:
    if out is not None and (recorded := store.runs_in(out)):
        return _resumed(options, recorded), out
    options = _filled(options)
    _check_values(options)
    modules = [resolve.parse(module) for module in options.modules or ()]
    cases = list(cases_of(options))
    plan = _plan(options, modules, cases[0].device)
    for case in cases:
        _check(case, modules)
    _try(cases, modules)
    if out and store.has_files(out) and not store.holds_a_file(out):
        raise UserError(f"{out} holds other files and no run; choose another --out")
    kind = "-isolated" if cases[0].isolated else ""
    folder = out or store.new_folder(f"{cases[0].device}-{cases[0].host}{kind}")
    facts = environment.describe_apart(cases[0].device)
    planned_runs = [
        PlannedRun(Run(case, plan, facts), folder if len(cases) == 1 else folder / case.folder)
        for case in cases
    ]
    for planned in planned_runs:
        store.lock(planned.folder)
        if store.holds_a_file(planned.folder):
            store.repair(planned.folder)  # killed within its first line
        first = Record(case=planned.run.case, results=plan, environment=facts)
        store.append(planned.folder, first)
    return planned_runs, folder


def _resumed(options: RunOptions, folders: Sequence[Path]) -> list[PlannedRun]:
    for folder in folders:
        store.lock(folder)
    planned_runs = [
        PlannedRun(gather(store.read(folder), str(folder / store.FILE_NAME)), folder)
        for folder in folders
    ]
    where = folders[0] if len(folders) == 1 else folders[0].parent
    if all(planned.run.finished for planned in planned_runs):
        raise UserError(
            f"{where} holds a finished run; show it with 'report', or choose another --out"
        )
    recorded = _recorded([planned.run for planned in planned_runs])
    for option, value in asdict(options).items():
        if value is not None and value != recorded[option]:
            raise UserError(
                f"{where} holds another configuration: {option} is {_shown(recorded[option])} "
                f"there and {_shown(value)} here"
            )
    here = machine(environment.describe_apart(planned_runs[0].run.case.device))
    for planned in planned_runs:
        modules = [resolve.parse(module) for module in planned.run.modules]
        _check(planned.run.case, modules)
        if resolve.origins(modules) != planned.run.plan.sources:
            raise UserError(f"{planned.folder} was begun with other code of its modules")
        for fact, value in here.items():
            if value != planned.run.environment.get(fact):
                raise UserError(
                    f"{planned.folder} was begun on another machine: {fact} is "
                    f"{_shown(planned.run.environment.get(fact))} there and {_shown(value)} here"
                )
        store.repair(planned.folder)
    return planned_runs


def _recorded(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the options that made these runs."""
    first = runs[0]
    shared = {name: getattr(first.case, name) for name in GRID}
    if any(replace(run.case, **shared) != first.case for run in runs) or any(
        run.plan != first.plan for run in runs
    ):
        raise UserError("the folder holds several runs that are no grid; name one of them")
    options = asdict(first.case) | {"modules": first.modules, "budget_s": first.plan.budget_s}
    return options | {
        option: _in_order(option, [getattr(run.case, option) for run in runs]) for option in GRID
    }


def _valid(kind: type[T], values: dict[str, Any]) -> T:
    """Make a RunOptions or Case of these values.

    Raises:
        UserError: one is not of its option's type, or none that the option knows.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise UserError(str(first["ctx"]["error"])) from error
        option, value = first["loc"][0], repr(first["input"])
        if first["type"] == "literal_error":
            known = first["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
            raise UserError(f"unknown {option} {value}; known: {known}") from error
        raise UserError(f"{option}: {first['msg']}, not {value}") from error


def _filled(options: RunOptions) -> RunOptions:
    """Fill in the defaults of options that were left out."""
    stated = {name: value for name, value in asdict(options).items() if value is not None}
    return replace(defaults(options.host), **stated)


def _cleaned(options: RunOptions) -> RunOptions:
    """Keep modules once each, in their order; stages and a grid's values once each, sorted."""
    values: dict[str, Any] = {
        name: _in_order(name, chosen)
        for name in ("stages", *GRID)
        if (chosen := getattr(options, name))
    }
    if options.modules is not None:
        values["modules"] = tuple(dict.fromkeys(options.modules))
    return replace(options, **values, device=None if options.device == "auto" else options.device)


def _in_order(option: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Sort the values, each once; images by height, then width."""
    key = image_size.sides if option == "image_size" else None
    return tuple(sorted(set(values), key=key))


def cases_of(options: RunOptions) -> Iterable[Case]:
    """Yield every configuration of options that are all stated.

    Raises:
        UserError: a value that its option does not know.
    """
    values = {name: getattr(options, name) for name in CASE_OPTIONS}
    for chosen in product(*(values[name] for name in GRID)):
        yield _valid(Case, values | dict(zip(GRID, chosen, strict=True)))


def _plan(options: RunOptions, modules: Sequence[ModuleReference], device: str) -> Plan:
    names = [module.name for module in modules]
    return Plan(
        variants=alone(names) if options.isolated else (PLAIN, CONTROL, *names),
        budget_s=options.budget_s or 0.0,
        target=TARGET[device],
        sources=resolve.origins(modules),
    )


def _check_values(options: RunOptions) -> None:
    for option in GRID:
        if not getattr(options, option):
            raise UserError(f"{option} has no value")
    if not 0 < (options.budget_s or 0) < float("inf"):
        raise UserError(f"the budget must be a positive number of seconds, not {options.budget_s}")


def _check(case: Case, modules: Sequence[ModuleReference]) -> None:
    if min(image_size.sides(case.image_size)) < TOTAL_STRIDE:
        raise UserError(
            f"image_size {image_size.option(case.image_size)} is too small: {case.host} divides "
            f"it by {TOTAL_STRIDE}, so it must be at least {TOTAL_STRIDE}"
        )
    if case.host in DETECTORS and case.mode == "training":
        raise UserError(
            f"{case.host} has no --mode training: what its step does depends on the objects that "
            "it is shown, so there is no fixed work to time"
        )
    if case.device == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is available to torch; use --device cpu")
    if case.cuda_graph and case.device != "cuda":
        raise UserError("--cuda-graph needs a CUDA device")
    if case.isolated and case.stages != STAGES:
        raise UserError("--isolated measures all stages; leave --stages out")
    if case.isolated and (case.mode == "training" or case.compiled or case.cuda_graph):
        raise UserError(
            "--isolated times the eager forward: no --mode training, --compile or --cuda-graph"
        )
    with torch.device("meta"):
        build(case.host, stages=case.stages, blocks=case.blocks)
        for module in modules:
            if not module.is_custom:  # others are tried in a process
                build(case.host, module.load(), stages=case.stages, blocks=case.blocks)


def _try(cases: Sequence[Case], modules: Iterable[ModuleReference]) -> None:
    """Check custom modules in child processes, at every input size of the run."""
    first = cases[0]
    images = {case.image_size: case.input_shape for case in cases}
    for module in (module for module in modules if module.is_custom):
        where = ([*images.values()], first.stages, first.blocks)
        check_module.in_subprocess(check_module.check, module, first.host, *where)


def _shown(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(
        image_size.written(part) if isinstance(part, tuple) else str(part) for part in value
    )
