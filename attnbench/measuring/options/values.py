"""The values of single options: defaults, their own spelling, and what they cannot be."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from attnbench import host_names
from attnbench.errors import UserError
from attnbench.measuring.options.valid import in_order, valid
from attnbench.modules import ATTENTION
from attnbench.plugins import resolve
from attnbench.plugins.host_reference import parse_host
from attnbench.records import case as cases
from attnbench.records import device, image_size
from attnbench.records.bounds import LONGEST_S, MOST_PROCESSES, SHORTEST_S
from attnbench.records.case import GRID, OPTIONS, RunOptions
from attnbench.records.options import site_patterns
from attnbench.records.results.energy import LEAST_ROUNDS, LEAST_WINDOW_S, MOST_ROUNDS
from attnbench.records.variants import BLOCKS, STAGES
from attnbench.runtimes.int8 import calibration
from attnbench.system.worker import require_timeout
from attnbench.text import unknown

REPLACED = ("squeeze-excite",)
"""Kinds of a host's own modules that can give way."""

LEAST_TIMEOUT_S = 4 * LEAST_WINDOW_S
"""With ``--energy``: a window, what runs before it, and a step that is longer than expected."""

MOST_RUNS = 1000
"""Of one configuration."""


def defaults(host: str | None, *, device: str, threads: int) -> RunOptions:
    """Return the main job: every module in ResNet-50, one 224x224 image; a detector's is larger."""
    values: dict[str, Any] = {
        name: (option.default,) if name in GRID else option.default
        for name, option in OPTIONS.items()
    }
    size = image_size.of(*host_names.default_size(host or values["host"]))
    of_machine = {"device": device, "threads": threads, "image_size": (size,)}
    return RunOptions(**values | {"modules": tuple(ATTENTION)} | of_machine)


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
    options = valid(RunOptions, asdict(options))
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
