"""From the options that a user stated to runs that can be executed: new ones, or resumed ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError

from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.build import TOTAL_STRIDE, build, default_size
from attnbench.hosts.detection import DETECTORS
from attnbench.measuring.workload import conditions_of
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


def prepare(options: RunOptions, out: Path | None) -> tuple[list[tuple[Run, Path]], Path]:
    """Plan a run for each configuration that options ask for; return them, and the whole's folder.

    Each run comes with its folder: the whole's where there is one configuration, else one in it.
    Their plans are on the disk when this returns. Without ``out`` a new folder under ``reports/``.
    A folder with unfinished runs is resumed: options that were left out are the recorded ones,
    options that were stated must agree.

    Raises:
        UserError: an option that cannot be, a module or host that is not known or does not fit,
            finished runs, another configuration or machine, a folder that cannot be written to.
    """
    try:
        return _prepare(_cleaned(_valid(RunOptions, asdict(options))), out)
    except SettingsError as error:
        raise UserError(str(error)) from error


def _prepare(options: RunOptions, out: Path | None) -> tuple[list[tuple[Run, Path]], Path]:
    if out is not None and (recorded := store.runs_in(out)):
        return _resumed(options, recorded), out
    options = _filled(options)
    if empty := [option for option in GRID if not getattr(options, option)]:
        raise UserError(f"{empty[0]} has no value")
    if not 0 < (options.budget_s or 0) < float("inf"):
        raise UserError(f"the budget must be a positive number of seconds, not {options.budget_s}")
    modules = [resolve.parse(module) for module in options.modules or ()]
    cases = list(cases_of(options))
    names = [module.name for module in modules]
    plan = Plan(
        variants=alone(names) if options.isolated else (PLAIN, CONTROL, *names),
        budget_s=options.budget_s or 0.0,
        target=TARGET[cases[0].device],
        sources=resolve.origins(modules),
    )
    for case in cases:
        _check(case, modules)
    _try(cases, modules)
    if out and store.has_files(out) and not store.holds_a_file(out):
        raise UserError(f"{out} holds other files and no run; choose another --out")
    kind = "-isolated" if cases[0].isolated else ""
    folder = out or store.new_folder(f"{cases[0].device}-{cases[0].host}{kind}")
    facts = environment.describe_apart(cases[0].device)
    planned_runs = []
    for case in cases:
        own_folder = folder if len(cases) == 1 else folder / case.folder
        store.lock(own_folder)
        if store.holds_a_file(own_folder):
            store.repair(own_folder)  # killed within its first line
        store.append(own_folder, Record(case=case, results=plan, environment=facts))
        planned_runs.append((Run(case, plan, facts), own_folder))
    return planned_runs, folder


def _resumed(options: RunOptions, folders: Sequence[Path]) -> list[tuple[Run, Path]]:
    for folder in folders:
        store.lock(folder)
    runs = [gather(store.read(folder), str(folder / store.FILE_NAME)) for folder in folders]
    where = folders[0] if len(folders) == 1 else folders[0].parent
    if all(run.finished for run in runs):
        raise UserError(
            f"{where} holds a finished run; show it with 'report', or choose another --out"
        )
    _require_same(f"{where} holds another configuration", _recorded(runs), _stated(options))
    here = machine(environment.describe_apart(runs[0].case.device))
    planned_runs = list(zip(runs, folders, strict=True))
    for run, folder in planned_runs:
        modules = [resolve.parse(module) for module in run.modules]
        _check(run.case, modules)
        if resolve.origins(modules) != run.plan.sources:
            raise UserError(f"{folder} was begun with other code of its modules")
        _require_same(f"{folder} was begun on another machine", run.environment, here)
        store.repair(folder)
    return planned_runs


def _require_same(what: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for name, value in here.items():
        if value != (recorded := there.get(name)):
            raise UserError(f"{what}: {name} is {_shown(recorded)} there and {_shown(value)} here")


def _recorded(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the options that made these runs."""
    first = runs[0]
    shared = {name: getattr(first.case, name) for name in GRID}
    if any(replace(run.case, **shared) != first.case or run.plan != first.plan for run in runs):
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
    return replace(defaults(options.host), **_stated(options))


def _stated(options: RunOptions) -> dict[str, Any]:
    return {name: value for name, value in asdict(options).items() if value is not None}


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
        # Custom modules are tried in a process.
        for row in (None, *(module.load() for module in modules if not module.is_custom)):
            build(case.host, row, stages=case.stages, blocks=case.blocks)


def _try(cases: Sequence[Case], modules: Iterable[ModuleReference]) -> None:
    """Check custom modules in child processes, in every input size and dtype of the run."""
    first = cases[0]
    images = {case.image_size: case.input_shape for case in cases}
    conditions = dict.fromkeys(conditions_of(case) for case in cases)
    for module in (module for module in modules if module.is_custom):
        where = ([*images.values()], [*conditions], (first.stages, first.blocks))
        check_module.in_subprocess(check_module.check, module, first.host, *where)


def _shown(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return ", ".join(image_size.written(p) if isinstance(p, tuple) else str(p) for p in parts)
