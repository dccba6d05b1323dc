"""From what the user asked to a run that can be executed: a new one, or one to go on with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, get_type_hints

import torch

from . import environment, store
from .errors import UserError
from .hosts import TOTAL_STRIDE, build
from .modules import ATTENTION, SettingsError, lookup
from .records import CONTROL, PLAIN, Case, Plan, Record
from .runs import Run, gather, machine
from .statistics import TARGET

LIMITS = {
    "batch_size": (1, 2**20),
    "image_size": (1, 2**16),
    "threads": (1, 2**12),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of ``run`` as stated; None where the user left one out."""

    modules: tuple[str, ...] | None = None
    host: str | None = None
    device: str | None = None
    batch_size: int | None = None
    image_size: int | None = None
    dtype: str | None = None
    channels_last: bool | None = None
    mode: str | None = None
    budget_s: float | None = None
    threads: int | None = None
    seed: int | None = None


def defaults() -> Wanted:
    """The main job: every module in ResNet-50, one image of 224x224."""
    return Wanted(
        modules=tuple(ATTENTION),
        host="resnet50",
        device="cuda" if torch.cuda.is_available() else "cpu",
        batch_size=1,
        image_size=224,
        dtype="float32",
        channels_last=False,
        mode="inference",
        budget_s=100.0,
        threads=torch.get_num_threads(),
        seed=0,
    )


def prepare(wanted: Wanted, out: Path | None) -> tuple[Run, Path]:
    """A run and its folder; its plan is on the disk when this returns.

    Without ``out`` a new folder under ``reports/``. A folder with an unfinished run is gone on
    with: options that were left out are the recorded ones, options that were stated must agree.

    Raises:
        UserError: an option that cannot be, a finished run, another configuration or machine,
            a folder that cannot be written to.
        SettingsError: a module or host that is not known or does not fit.
    """
    if wanted.device == "auto":
        wanted = replace(wanted, device=None)
    if out is not None and _has_records(out):
        return _resumed(wanted, out), out
    wanted = _filled(wanted, asdict(defaults()))
    _check_numbers(wanted)
    case, plan = _case(wanted), _plan(wanted)
    _check(case, plan)
    run = Run(case, plan, environment.describe(case.device))
    if out is not None and out.is_dir() and any(out.iterdir()) and not _has_file(out):
        raise UserError(f"{out} holds other files and no run; choose another --out")
    folder = out or _new_folder(case)
    if _has_file(folder):
        store.mend(folder)  # killed within its first line
    store.append(folder, Record(case=case, results=plan, environment=run.environment))
    return run, folder


def _resumed(wanted: Wanted, folder: Path) -> Run:
    path = folder / store.FILE_NAME
    run = gather(store.read(folder), str(path))
    if run.end is not None:
        raise UserError(
            f"{folder} holds a finished run; show it with 'report', or choose another --out"
        )
    recorded = asdict(run.case) | {
        "modules": run.modules,
        "budget_s": run.plan.budget_s,
    }
    for option, value in asdict(_cleaned(wanted)).items():
        if value is not None and value != recorded[option]:
            raise UserError(
                f"{folder} holds another configuration: {option} is {_shown(recorded[option])} "
                f"there and {_shown(value)} here"
            )
    _check(run.case, run.plan)
    for fact, value in machine(environment.describe(run.case.device)).items():
        if value != run.environment.get(fact):
            raise UserError(
                f"{folder} was begun on another machine: {fact} is "
                f"{_shown(run.environment.get(fact))} there and {_shown(value)} here"
            )
    store.mend(folder)
    return run


def _has_file(folder: Path) -> bool:
    return (folder / store.FILE_NAME).exists()


def _has_records(folder: Path) -> bool:
    return _has_file(folder) and bool(store.read(folder))


def _filled(wanted: Wanted, values: dict[str, Any]) -> Wanted:
    stated = {key: value for key, value in asdict(wanted).items() if value is not None}
    return _cleaned(Wanted(**(values | stated)))


def _cleaned(wanted: Wanted) -> Wanted:
    if wanted.modules is None:
        return wanted
    return replace(wanted, modules=tuple(dict.fromkeys(wanted.modules)))


def _case(wanted: Wanted) -> Case:
    values = asdict(wanted)
    return Case(**{key: values[key] for key in get_type_hints(Case)})


def _plan(wanted: Wanted) -> Plan:
    return Plan(
        variants=(PLAIN, CONTROL, *(wanted.modules or ())),
        budget_s=wanted.budget_s or 0.0,
        target=TARGET[wanted.device or "cpu"],
    )


def _check_numbers(wanted: Wanted) -> None:
    for option, (least, most) in LIMITS.items():
        value = getattr(wanted, option)
        if value is None or not least <= value <= most:
            raise UserError(f"{option} must be at least {least} and at most {most}, not {value}")
    if not 0 < (wanted.budget_s or 0) < float("inf"):
        raise UserError(f"the budget must be a positive number of seconds, not {wanted.budget_s}")


def _check(case: Case, plan: Plan) -> None:
    if case.image_size < TOTAL_STRIDE:
        raise UserError(
            f"image_size {case.image_size} is too small: {case.host} divides it by "
            f"{TOTAL_STRIDE}, so it must be at least {TOTAL_STRIDE}"
        )
    if case.device == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is available to torch; use --device cpu")
    with torch.device("meta"):
        for variant in plan.variants[2:]:
            try:
                build(case.host, lookup(variant))
            except SettingsError as error:
                raise UserError(str(error)) from error


def _new_folder(case: Case) -> Path:
    name = f"{datetime.now(UTC):%Y-%m-%d}-{case.device}-{case.host}"
    for number in count(1):
        folder = Path("reports") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error
        return folder
    raise AssertionError("count() has no end")


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
