"""From what the user asked to runs that can be executed: new ones, or ones to go on with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_type_hints

import torch

from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.build import TOTAL_STRIDE, build, default_size
from attnbench.hosts.detection import DETECTORS
from attnbench.modules import ATTENTION, SettingsError
from attnbench.plugins import resolve
from attnbench.plugins.resolve import ModuleReference
from attnbench.records import image_size as sizes
from attnbench.records import store
from attnbench.records.image_size import Size
from attnbench.records.run import Run, gather, machine
from attnbench.records.schema import GRID, LIMITS, Case, Plan, Record
from attnbench.records.store import new_folder
from attnbench.records.variants import CONTROL, PLAIN, STAGES, alone
from attnbench.stats.ratios import TARGET
from attnbench.system import environment


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of ``run`` as stated; None where the user left one out."""

    modules: tuple[str, ...] | None = None
    host: str | None = None
    device: str | None = None
    batch_size: tuple[int, ...] | None = None
    image_size: tuple[Size, ...] | None = None
    dtype: tuple[str, ...] | None = None
    channels_last: bool | None = None
    mode: tuple[str, ...] | None = None
    compiled: tuple[bool, ...] | None = None
    cuda_graph: bool | None = None
    isolated: bool | None = None
    stages: tuple[int, ...] | None = None
    blocks: str | None = None
    budget_s: float | None = None
    threads: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class PlannedRun:
    """A run and the folder that it is written to."""

    run: Run
    folder: Path


def defaults(host: str | None = None) -> RunOptions:
    """The main job: every module in ResNet-50, one image of 224x224; a detector's is larger."""
    return RunOptions(
        modules=tuple(ATTENTION),
        host="resnet50",
        device="cuda" if torch.cuda.is_available() else "cpu",
        batch_size=(1,),
        image_size=(sizes.of(*default_size(host or "resnet50")),),
        dtype=("float32",),
        channels_last=False,
        mode=("inference",),
        compiled=(False,),
        cuda_graph=False,
        isolated=False,
        stages=STAGES,
        blocks="all",
        budget_s=100.0,
        threads=torch.get_num_threads(),
        seed=0,
    )


def prepare(wanted: RunOptions, out: Path | None) -> tuple[list[PlannedRun], Path]:
    """The runs that are wanted, one a configuration, and the folder that holds them.

    Their plans are on the disk when this returns. One configuration is written to the folder
    itself, several to folders in it. Without ``out`` a new folder under ``reports/``. A folder
    with unfinished runs is gone on with: options that were left out are the recorded ones,
    options that were stated must agree.

    Raises:
        UserError: an option that cannot be, finished runs, another configuration or machine,
            a folder that cannot be written to.
        SettingsError: a module or host that is not known or does not fit.
    """
    if wanted.device == "auto":
        wanted = replace(wanted, device=None)
    wanted = _cleaned(wanted)
    if out is not None and (recorded := store.runs_in(out)):
        return _resumed(wanted, recorded), out
    wanted = _filled(wanted, asdict(defaults(wanted.host)))
    _check_numbers(wanted)
    modules = _parsed(wanted.modules or ())
    plan, cases = _plan(wanted, modules), list(cases_of(wanted))
    for case in cases:
        _check(case, modules)
    _try(cases, modules)
    if out is not None and _foreign(out):
        raise UserError(f"{out} holds other files and no run; choose another --out")
    kind = "-isolated" if cases[0].isolated else ""
    folder = out or new_folder(f"{cases[0].device}-{cases[0].host}{kind}")
    facts = environment.describe_apart(cases[0].device)
    jobs = [
        PlannedRun(Run(case, plan, facts), folder if len(cases) == 1 else folder / name(case))
        for case in cases
    ]
    for job in jobs:
        store.lock(job.folder)
        if store.holds_a_file(job.folder):
            store.repair(job.folder)  # killed within its first line
        store.append(job.folder, Record(case=job.run.case, results=plan, environment=facts))
    return jobs, folder


def name(case: Case) -> str:
    """The folder of a configuration within that of its grid: ``inference-float32-b1-224``."""
    words = [case.mode, case.dtype, f"b{case.batch_size}", sizes.option(case.image_size)]
    return "-".join([*words, "compiled"] if case.compiled else words)


def _resumed(wanted: RunOptions, folders: Sequence[Path]) -> list[PlannedRun]:
    for each in folders:
        store.lock(each)
    jobs = [
        PlannedRun(gather(store.read(each), str(each / store.FILE_NAME)), each) for each in folders
    ]
    where = folders[0] if len(folders) == 1 else folders[0].parent
    if all(job.run.finished for job in jobs):
        raise UserError(
            f"{where} holds a finished run; show it with 'report', or choose another --out"
        )
    recorded = _recorded([job.run for job in jobs])
    for option, value in asdict(wanted).items():
        if value is not None and value != recorded[option]:
            raise UserError(
                f"{where} holds another configuration: {option} is {_shown(recorded[option])} "
                f"there and {_shown(value)} here"
            )
    here = machine(environment.describe_apart(jobs[0].run.case.device))
    for job in jobs:
        modules = _parsed(job.run.modules)
        _check(job.run.case, modules)
        if resolve.origins(modules) != job.run.plan.sources:
            raise UserError(f"{job.folder} was begun with other code of its modules")
        for fact, value in here.items():
            if value != job.run.environment.get(fact):
                raise UserError(
                    f"{job.folder} was begun on another machine: {fact} is "
                    f"{_shown(job.run.environment.get(fact))} there and {_shown(value)} here"
                )
        store.repair(job.folder)
    return jobs


def _recorded(runs: Sequence[Run]) -> dict[str, Any]:
    """The options that made these runs."""
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


def _foreign(folder: Path) -> bool:
    """Whether there are files, and no beginning of a run."""
    try:
        return folder.is_dir() and any(folder.iterdir()) and not store.holds_a_file(folder)
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error


def _filled(wanted: RunOptions, values: dict[str, Any]) -> RunOptions:
    stated = {key: value for key, value in asdict(wanted).items() if value is not None}
    return RunOptions(**(values | stated))


def _cleaned(wanted: RunOptions) -> RunOptions:
    """Modules once each, in the order asked for; stages and a grid's values once each, sorted."""
    if wanted.stages is not None:
        wanted = replace(wanted, stages=tuple(sorted(set(wanted.stages))))
    if wanted.modules is not None:
        wanted = replace(wanted, modules=tuple(dict.fromkeys(wanted.modules)))
    grid = {option: getattr(wanted, option) for option in GRID}
    ordered = {option: _in_order(option, values) for option, values in grid.items() if values}
    return replace(wanted, **ordered)  # type: ignore[arg-type]


def _in_order(option: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Each value once, sorted; images by height, then width."""
    key = sizes.sides if option == "image_size" else None
    return tuple(sorted(set(values), key=key))


def cases_of(wanted: RunOptions) -> Iterable[Case]:
    """Every configuration of options that are all stated."""
    values = {key: value for key, value in asdict(wanted).items() if key in get_type_hints(Case)}
    for chosen in product(*(values[option] for option in GRID)):
        yield Case(**(values | dict(zip(GRID, chosen, strict=True))))


def _plan(wanted: RunOptions, modules: Sequence[ModuleReference]) -> Plan:
    names = [module.name for module in modules]
    return Plan(
        variants=alone(names) if wanted.isolated else (PLAIN, CONTROL, *names),
        budget_s=wanted.budget_s or 0.0,
        target=TARGET[wanted.device or "cpu"],
        sources=resolve.origins(modules),
    )


def _check_numbers(wanted: RunOptions) -> None:
    for option, (least, most) in LIMITS.items():
        values = getattr(wanted, option)
        for value in values if isinstance(values, tuple) else (values,):
            shortest, longest = sorted(sizes.sides(value))
            if not least <= shortest <= longest <= most:
                raise UserError(
                    f"{option} must be at least {least} and at most {most}, "
                    f"not {sizes.option(value)}"
                )
    if not 0 < (wanted.budget_s or 0) < float("inf"):
        raise UserError(f"the budget must be a positive number of seconds, not {wanted.budget_s}")


def _parsed(modules: Iterable[str]) -> list[ModuleReference]:
    try:
        return [resolve.parse(module) for module in modules]
    except SettingsError as error:
        raise UserError(str(error)) from error


def _check(case: Case, modules: Sequence[ModuleReference]) -> None:
    if min(sizes.sides(case.image_size)) < TOTAL_STRIDE:
        raise UserError(
            f"image_size {sizes.option(case.image_size)} is too small: {case.host} divides it by "
            f"{TOTAL_STRIDE}, so it must be at least {TOTAL_STRIDE}"
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
    try:
        with torch.device("meta"):
            build(case.host, stages=case.stages, blocks=case.blocks)
            for module in modules:
                if not module.is_custom:  # others are tried in a process
                    build(case.host, module.load(), stages=case.stages, blocks=case.blocks)
    except SettingsError as error:
        raise UserError(str(error)) from error


def _try(cases: Sequence[Case], modules: Iterable[ModuleReference]) -> None:
    """Modules that nobody here has seen, each at every size that it will have."""
    first = cases[0]
    images = {case.image_size: case.input_shape for case in cases}
    for module in (module for module in modules if module.is_custom):
        check_module.check_in_subprocess(
            module, first.host, [*images.values()], first.stages, first.blocks
        )


def _shown(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ", ".join(
        sizes.written(each) if isinstance(each, tuple) else str(each) for each in value
    )
