"""What the options of a run can be: all that is known before torch is imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from attnbench import host_names
from attnbench.devices.energy import rapl
from attnbench.errors import UserError
from attnbench.files import require_folder
from attnbench.modules import ATTENTION, SettingsError
from attnbench.plugins import host_reference, resolve
from attnbench.plugins.host_reference import parse_host
from attnbench.records import case as cases
from attnbench.records import device, image_size, store
from attnbench.records.bounds import LONGEST_S, MOST_PROCESSES, SHORTEST_S
from attnbench.records.case import CASE_OPTIONS, GRID, OPTIONS, RUNTIMES, Case, RunOptions
from attnbench.records.options import site_patterns
from attnbench.records.options.fault import expected
from attnbench.records.results.energy import LEAST_ROUNDS, LEAST_WINDOW_S, MOST_ROUNDS
from attnbench.records.run import Run, can_be_profiled, gather
from attnbench.records.variants import BLOCKS, STAGES, alone
from attnbench.runtimes import table
from attnbench.runtimes.int8 import calibration
from attnbench.system.worker import require_timeout
from attnbench.text import near, unknown

T = TypeVar("T", Case, RunOptions)

REPLACED = ("squeeze-excite",)
"""Kinds of a host's own modules that can give way."""

LEAST_TIMEOUT_S = 4 * LEAST_WINDOW_S
"""With ``--energy``: a window, what runs before it, and a step that is longer than expected."""

MOST_RUNS = 1000
"""Of one configuration."""


def check(options: RunOptions, out: Path | None) -> bool:
    """Refuse options and folders that cannot be; whether they fit the host needs torch.

    Return whether ``out`` holds finished runs of just these options: there is nothing to do.

    Raises:
        UserError: an option that cannot be, a module or host that is not known, a folder that
            holds something else or cannot be written to.
    """
    try:
        stated = cleaned(options)
        filled = replace(_on_any_machine(stated), **given(stated))
        require_values(filled)
        modules = [resolve.parse(module) for module in filled.modules or ()]
        resolve.origins(modules)  # the files are there
        host_reference.origins(str(filled.host))
        cases_asked = list(cases_of(filled))
        for case in cases_asked:
            check_case(case)
    except SettingsError as error:
        raise UserError(str(error)) from error
    if stated.profile and not any(map(can_be_profiled, cases_asked)):
        raise UserError(
            "--profile takes networks that eager PyTorch runs in inference on cpu or cuda, and none"
            f" of these is one: {cases_asked[0].described}"
        )
    if filled.energy and all(case.device == "cpu" for case in cases_asked):
        rapl.open_counter()
    folders = [] if out is None else store.runs_in(out)
    if not folders:
        require_spacing(filled)
    if folders and all_finished(runs := gathered(folders)):
        # Whether one that has not run was left out, as it does not fit the host, is not known here.
        others = [name for name in stated.modules or () if name not in runs[0].modules]
        require_same_options(runs, folders, stated, others)
        if stated.profile and not all(run.profile for run in runs if run.profiled):
            raise UserError(
                f"--profile: {out} is finished, and nothing can be added to it; "
                "name a new folder with --out"
            )
        return not others
    require_place(out)
    return False


def check_places(options: RunOptions) -> RunOptions:
    """Return the options of ``places``, valid: one size at most, and one way of choosing.

    Raises:
        UserError: one that cannot be, or a host that is not known.
    """
    try:
        stated = cleaned(options)
        filled = replace(defaults(stated.host, device="cpu", threads=1), **given(stated))
        host_reference.origins(str(filled.host))
    except SettingsError as error:
        raise UserError(str(error)) from error
    if len(filled.image_size or ()) > 1:
        raise UserError("--image-size: the places of one size are listed at a time")
    for case in cases_of(filled):
        check_case(case)
    return replace(stated, host=filled.host)


def defaults(host: str | None, *, device: str, threads: int) -> RunOptions:
    """Return the main job: every module in ResNet-50, one 224x224 image; a detector's is larger."""
    values: dict[str, Any] = {
        name: (option.default,) if name in GRID else option.default
        for name, option in OPTIONS.items()
    }
    size = image_size.of(*host_names.default_size(host or values["host"]))
    of_machine = {"device": device, "threads": threads, "image_size": (size,)}
    return RunOptions(**values | {"modules": tuple(ATTENTION)} | of_machine)


def _on_any_machine(stated: RunOptions) -> RunOptions:
    """Return the defaults for a machine on which the stated options can be, if there is one."""
    return defaults(stated.host, device=table.device_for(stated.runtime or (), "cuda"), threads=1)


def given(options: RunOptions) -> dict[str, Any]:
    """Return the options that are stated."""
    return {name: value for name, value in asdict(options).items() if value is not None}


def cleaned(options: RunOptions) -> RunOptions:
    """Return valid options: names in their own case, values once each and sorted.

    Modules keep their order.

    Raises:
        UserError: one is not of its option's type, or none that the option knows.
        SettingsError: a module's name cannot be read.
    """
    options = _valid(RunOptions, asdict(options))
    values: dict[str, Any] = {
        name: tuple(map(cases.written, chosen))
        for name in ("mode", "dtype", "runtime")
        if (chosen := getattr(options, name)) is not None
    }
    for name in ("blocks", "replace"):
        if (word := getattr(options, name)) is not None:
            values[name] = cases.written(word)
    if options.device is not None:
        values["device"] = _device(options.device)
    if options.host is not None:
        values["host"] = parse_host(options.host).name
    if values.get("replace") not in {None, "", *REPLACED}:
        raise UserError(unknown("kind to replace", str(options.replace), REPLACED))
    if options.at:
        try:
            values["at"] = site_patterns.written(options.at)
        except ValueError as error:
            raise UserError(str(error)) from error
    if options.calibration is not None:
        values["calibration"] = calibration.identify(Path(options.calibration))
    if options.modules is not None:
        values["modules"] = tuple(dict.fromkeys(map(resolve.written, options.modules)))
    options = replace(options, **values)
    several: dict[str, Any] = {
        name: in_order(name, chosen)
        for name in ("stages", *GRID)
        if (chosen := getattr(options, name))
    }
    return replace(options, **several)


def _device(word: str) -> str | None:
    """Return the name of a device; None for ``auto``."""
    try:
        return None if word.strip().lower() == "auto" else device.written(word)
    except ValueError as error:
        raise UserError(str(error)) from error


def require_values(options: RunOptions) -> None:
    """Refuse options of several values without any, unknown hosts and stages, and a budget of 0.

    Raises:
        UserError: one of them, or a number of repetitions, seconds or minutes that cannot be.
    """
    if empty := [option for option in (*GRID, "modules") if not getattr(options, option)]:
        raise UserError(f"{empty[0]} has no value")
    if not SHORTEST_S <= (options.budget_s or 0) < LONGEST_S:
        raise UserError(
            f"the budget must be a positive number of seconds below {LONGEST_S:g}, not "
            f"{options.budget_s}"
        )
    if options.timeout_s is not None:
        require_timeout(options.timeout_s)
    if not 0 <= (options.wait_for_quiet_s or 0.0) < LONGEST_S:
        raise UserError(
            f"--wait-for-quiet must be a number of seconds, at least 0 and below {LONGEST_S:g}, "
            f"not {options.wait_for_quiet_s}"
        )
    if not 1 <= (1 if options.processes is None else options.processes) <= MOST_PROCESSES:
        raise UserError(
            f"processes must be at least 1 and at most {MOST_PROCESSES}, not {options.processes}"
        )
    if options.calibration and "int8" not in (options.dtype or ()):
        raise UserError("--calibrate takes the ranges of --dtype int8, and no other")
    if options.energy:
        _require_energy(options, options.energy)
    if not 1 <= (options.repeat or 0) <= MOST_RUNS:
        raise UserError(f"repeat must be at least 1 and at most {MOST_RUNS}, not {options.repeat}")
    if not 0 <= (options.every_minutes or 0.0) < LONGEST_S / 60:
        raise UserError(
            f"every must be a number of minutes, at least 0 and below {LONGEST_S / 60:g}, not "
            f"{options.every_minutes}"
        )
    if beyond := sorted(set(options.stages or ()) - set(STAGES)):
        raise UserError(f"unknown stages {beyond}; known: 1 to 4")
    if not options.stages:
        raise UserError("stages has no value")
    if options.blocks not in BLOCKS:
        raise UserError(unknown("blocks", str(options.blocks), BLOCKS))


def _require_energy(options: RunOptions, rounds: int) -> None:
    if not LEAST_ROUNDS <= rounds <= MOST_ROUNDS:
        raise UserError(
            f"energy must be at least {LEAST_ROUNDS} rounds, of which there is a 95% interval, and "
            f"at most {MOST_ROUNDS}, not {rounds}"
        )
    if options.isolated:
        raise UserError("--energy takes whole networks; leave --isolated or --energy out")
    if (options.timeout_s or LONGEST_S) < LEAST_TIMEOUT_S:
        raise UserError(
            f"--energy has windows of {LEAST_WINDOW_S:g} s, which --timeout {options.timeout_s:g} "
            f"may end; allow {LEAST_TIMEOUT_S:g} s at least"
        )


def require_spacing(options: RunOptions) -> None:
    """Refuse a time between repetitions where there is one run of each configuration.

    Raises:
        UserError: it is so.
    """
    if options.every_minutes and options.repeat == 1:
        raise UserError("--every is the time between repetitions; say how many with --repeat N")


def cases_of(options: RunOptions) -> Iterable[Case]:
    """Yield every configuration of options that are all stated.

    Raises:
        UserError: a value that its option does not know.
    """
    values = {name: getattr(options, name) for name in CASE_OPTIONS}
    for chosen in product(*(values[name] for name in GRID)):
        of_case = values | dict(zip(GRID, chosen, strict=True))
        if of_case["dtype"] != "int8":
            of_case["calibration"] = ""  # the others of a grid take no ranges
        yield _valid(Case, of_case)


def check_case(case: Case) -> None:
    """Refuse a combination of options that cannot be measured on any machine.

    Raises:
        UserError: it is one.
    """
    stride = host_names.TOTAL_STRIDE if case.host in host_names.STRIDED else 1
    if min(image_size.sides(case.image_size)) < stride:
        raise UserError(
            f"image_size {image_size.option(case.image_size)} is too small: {case.host} divides "
            f"it by {stride}, so it must be at least {stride}"
        )
    if host_names.is_detector(case.host) and case.mode == "training":
        raise UserError(
            f"{case.host} has no --mode training: what its step does depends on the objects that "
            "it is shown, so there is no fixed work to time"
        )
    if case.host in host_names.SEGMENTATION and case.mode == "training":
        raise UserError(
            f"{case.host} has no --mode training: it returns maps, and a step takes its loss from "
            "logits (batch, classes)"
        )
    if case.at and case.replace:
        raise UserError("--at and --replace both say where the module stands; leave one out")
    if case.cudnn_benchmark and device.kind_of(case.device) != "cuda":
        raise UserError("--cudnn-benchmark needs a CUDA device")
    if case.isolated and case.stages != STAGES:
        raise UserError("--isolated measures all stages; leave --stages out")
    if case.autocast:
        _check_autocast(case)
    if case.isolated and case.mode == "training":
        raise UserError("--isolated times the eager forward: no --mode training")
    table.check(case)


AUTOCAST_ON = {"amp": ("cpu", "cuda", "xpu"), "amp-float16": ("cuda",)}
"""Kinds of devices by dtype: where torch casts to it, and people train so."""


def _check_autocast(case: Case) -> None:
    """Refuse autocast where a device or a run of modules alone does not have it.

    Raises:
        UserError: it is so.
    """
    able = AUTOCAST_ON[case.dtype]
    if device.kind_of(case.device) not in able:
        raise UserError(f"--dtype {case.dtype} runs on {', '.join(able)}, not on {case.device}")
    if case.isolated:
        raise UserError(
            f"--isolated has no --dtype {case.dtype}: a whole network decides what is cast; "
            f"use --dtype {case.autocast}"
        )
    if case.cuda_graph and case.mode == "training" and case.autocast == "float16":
        raise UserError(
            f"--dtype {case.dtype} has no --cuda-graph in training: the gradient scaler asks the "
            "device after every step"
        )


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


def require_place(out: Path | None) -> None:
    """Refuse a folder for records that holds other files, or cannot be made or written to.

    Raises:
        UserError: it is one.
    """
    if out and store.has_files(out) and not store.runs_in(out) and not store.holds_a_file(out):
        raise UserError(f"{out} holds other files and no run; choose another --out")
    require_folder(out or Path("reports"))


@cache
def _adapter(kind: Any) -> Any:
    return TypeAdapter(kind)  # which takes milliseconds, of each of a sweep's configurations


def _valid(kind: type[T], values: dict[str, Any]) -> T:
    try:
        any_kind: Any = kind
        adapter: TypeAdapter[T] = _adapter(any_kind)
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise UserError(str(first["ctx"]["error"])) from error
        option, value = first["loc"][0], repr(first["input"])
        if first["type"] == "literal_error":
            known = first["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
            hint = near(str(first["input"]), known.split(", "))
            raise UserError(f"unknown {option} {value}{hint}; known: {known}") from error
        right = KINDS.get(first["type"]) or expected(first)
        raise UserError(f"{option} must be {right}, not {value}") from error


KINDS = {
    **dict.fromkeys(("bool_type", "bool_parsing"), "True or False"),
    "finite_number": "a whole number",
    "tuple_type": "a tuple of values, such as (1, 8)",
}
"""What an option must be where it is said otherwise than of a file, by the kind of the error."""


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


def in_order(option: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Sort the values, each once; images by height, then width, runtimes as in their table."""
    keys: dict[str, Callable[[Any], Any]] = {
        "image_size": image_size.sides,
        "runtime": lambda name: ([*RUNTIMES, name].index(name), name),
    }
    key = keys.get(option)
    return tuple(sorted(set(values), key=key))


def _shown(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return ", ".join(image_size.written(p) if isinstance(p, tuple) else str(p) for p in parts)
