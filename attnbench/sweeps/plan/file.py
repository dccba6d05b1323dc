"""The file of a sweep: grids of configurations in TOML. What is wrong is named with its line.

    files = ["helpers.py"]

    [defaults]
    budget = 60

    [[grid]]
    modules = ["se", "sa", "mine.py:Mine"]
    host = ["resnet50", "resnet101"]
    batch-size = [1, 8]
    on = [{ gpu = "H100" }, { cpu = "EPYC" }]

A grid has every combination of its lists; its keys are the options of ``run`` without dashes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

from attnbench.errors import UserError
from attnbench.files import read_named
from attnbench.measuring.options.cases import check_case
from attnbench.measuring.options.values import require_values
from attnbench.modules import ATTENTION, SettingsError
from attnbench.plugins import resolve
from attnbench.plugins.spec import is_in_file
from attnbench.records import image_size
from attnbench.records.case import OPTIONS, RunOptions
from attnbench.runtimes.table import TABLE
from attnbench.sweeps.device.slots import LABELS, OF_GPUS, Labels
from attnbench.sweeps.plan import shipped, toml_lines
from attnbench.sweeps.plan.configuration import KEYS, SEVERAL, Configuration, single
from attnbench.sweeps.plan.shipped import Shipped
from attnbench.text import printable, unknown

TOP = ("files", "defaults", "grid")

MODULES, ON = "modules", "on"

DEVICES = ("cpu", "cuda")
"""The devices that slots have."""

OF_A_GRID = (MODULES, *KEYS, ON)

MOST = 10_000
"""Configurations of a grid; more are a mistake."""

MOST_RUNS = 1000
"""Repetitions of one configuration, as of ``run``."""

ONE_VALUE = ("stages", "repeat")
"""Options of which a grid has one value: a list is one, or makes no sense."""

ONE = (str, bool, int, float)
"""What TOML has for the value of an option."""

NEITHER: dict[type, str] = {dict: "a table", list: "a list within a list"}
"""What is no value of an option, in words."""


@dataclass(frozen=True)
class Sweep:
    """The configurations of a sweep in their order, and the files that go with them."""

    configurations: tuple[Configuration, ...]
    files: Shipped


@dataclass(frozen=True)
class Source:
    """What a sweep is read from, for messages: a file, or options of the command line."""

    name: str
    text: str | None
    """None for a command line, which has no lines."""
    folder: Path
    """Where paths of files start."""

    def at(self, path: toml_lines.Path, value: object = None) -> str:
        """Return ``sweep.toml:3``; for a command line the name of the option."""
        if self.text is None:
            keys = [step for step in path[2:3] if isinstance(step, str)]
            return f"--{keys[0]}" if keys else self.name
        return f"{self.name}:{toml_lines.of_key(self.text, path, value)}"

    def fault(self, path: toml_lines.Path, message: object, value: object = None) -> UserError:
        """Return the error of what stands there."""
        return UserError(f"{self.at(path, value)}: {message}")


def read(path: Path) -> Sweep:
    """Read a file, and check all that is known without torch and without other machines.

    Raises:
        UserError: it cannot be read, or something in it cannot be; the message begins with the
            file and the line.
    """
    try:
        text = read_named(path).decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UserError(f"cannot read {path}: {reason}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = toml_lines.of_error(error, text)
        raise UserError(f"{path}:{line}: {printable(str(error), 200)}") from error
    return of_data(data, Source(str(path), text, path.absolute().parent))


def of_data(data: Mapping[str, Any], source: Source) -> Sweep:
    """Return the sweep of what a file or command line states.

    Raises:
        UserError: something in it cannot be.
    """
    for key in data:
        if key not in TOP:
            raise source.fault([key], unknown("key", key, TOP))
    grids, defaults = data.get("grid", []), data.get("defaults", {})
    if not isinstance(defaults, dict):
        raise source.fault(["defaults"], "defaults is a table: [defaults]")
    if not grids:
        raise UserError(f"{source.name}: no [[grid]], so there is nothing to measure")
    if not (isinstance(grids, list) and all(isinstance(grid, dict) for grid in grids)):
        raise source.fault(["grid"], "a grid is a table of a list: [[grid]]")
    files = _files(data.get("files", []), source)
    configurations: dict[str, Configuration] = {}
    for number, grid in enumerate(grids):
        for known in _Grid(source, number, grid, defaults, files).configurations():
            configurations.setdefault(known.name, known)
    every = sorted(configurations.values(), key=lambda known: known.repetition)
    return Sweep(tuple(every), files.with_modules(every))


def _files(listed: Any, source: Source) -> Shipped:
    if not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
        raise source.fault(["files"], 'files is a list of paths: ["helpers.py"]')
    files = Shipped(source.folder)
    for name in listed:
        try:
            files = files.with_file(name)
        except UserError as error:
            raise source.fault(["files"], error, name) from error
    return files


@dataclass(frozen=True)
class _Grid:
    source: Source
    number: int
    stated: Mapping[str, Any]
    defaults: Mapping[str, Any]
    files: Shipped

    def configurations(self) -> Iterator[Configuration]:
        """Yield every combination, each checked."""
        for key in (*self.defaults, *self.stated):
            if key not in OF_A_GRID:
                raise self.fault(key, unknown_key("key", key, key, OF_A_GRID))
        values = dict(self.defaults) | dict(self.stated)
        repeat = self._repeat(values.pop("repeat", 1))
        places = self._places(values.pop(ON, {}))
        modules = self._modules(values.pop(MODULES, None))
        lengths = [len(value) for value in values.values() if isinstance(value, list)]
        if prod(lengths) * len(places) * repeat > MOST:
            raise self.source.fault(["grid", self.number], f"more than {MOST:,} configurations")
        chosen = {KEYS[key]: self._values(key, value) for key, value in values.items()}
        sources = self._sources(modules)
        for combination in product(*chosen.values()):
            options = self._whole(dict(zip(chosen, combination, strict=True)), modules)
            for on in places:
                device = self._device(options, on)
                known = Configuration(
                    replace(options, device=device),
                    on,
                    sources,
                    self.files.digests,
                    place=self.source.at(["grid", self.number]),
                )
                numbers = range(1, repeat + 1) if repeat > 1 else (0,)
                yield from (replace(known, repetition=number) for number in numbers)

    def fault(
        self, key: str, message: object, value: object = None, within: toml_lines.Path = ()
    ) -> UserError:
        """Return the error of a key, or of what is ``within`` it, here or among the defaults."""
        top: toml_lines.Path = ["grid", self.number] if key in self.stated else ["defaults"]
        # The file has the key; the message may begin with the name of its field.
        named = re.sub(rf"^{KEYS.get(key, key)}\b", key, str(message))
        return self.source.fault([*top, key, *within], named, value)

    def _repeat(self, value: Any) -> int:
        if type(value) is not int or not 1 <= value <= MOST_RUNS:
            raise self.fault(
                "repeat", f"repeat must be a number from 1 to {MOST_RUNS}, not {value!r}"
            )
        return value

    def _modules(self, value: Any) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if names is None:
            return tuple(ATTENTION)
        if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
            raise self.fault(MODULES, f'modules is a list of names: ["se", "sa"], not {value!r}')
        known: list[str] = []
        for name in names:
            if name.strip().lower() == "all":
                known += ATTENTION
                continue
            try:
                module = resolve.parse(name, self.source.folder)
                module.origin()  # its file is there
                shipped.require_below(module)
            except (SettingsError, UserError) as error:
                raise self.fault(MODULES, error, name) from error
            known.append(module.name)
        return tuple(dict.fromkeys(known))

    def _sources(self, modules: Sequence[str]) -> dict[str, str]:
        return resolve.origins([resolve.parse(name, self.source.folder) for name in modules])

    def _values(self, key: str, value: Any) -> list[Any]:
        """Return the values of an option, each checked alone."""
        several = isinstance(value, list) and KEYS[key] not in ONE_VALUE
        values = list(value) if several else [value]
        if not values:
            raise self.fault(key, f"{key} has no value")
        return [self._value(key, each) for each in values]

    def _value(self, key: str, value: Any) -> Any:
        name = KEYS[key]
        if name == "stages":
            self._require_numbers(key, value)
        elif not isinstance(value, ONE) and (name, type(value)) != ("image_size", list):
            kind = NEITHER.get(type(value), "a date or time")
            raise self.fault(key, f"{key} is one value or a list of them, not {kind}")
        is_switch = isinstance(OPTIONS[name].default, bool)
        if is_switch != isinstance(value, bool):
            right = "true or false" if is_switch else "no switch, so it cannot be true or false"
            raise self.fault(key, f"{key} is {right}", value)
        try:
            if name == "image_size" and isinstance(value, str):
                value = image_size.parse(value)
            if name == "stages" and isinstance(value, list):
                value = tuple(value)
            options = single({name: value})
            require_values(Configuration(options).filled)
        except (SettingsError, UserError, ValueError) as error:
            raise self.fault(key, error, value) from error
        cleaned = getattr(options, name)
        known = cleaned[0] if name in SEVERAL else cleaned
        if name == "host":
            self._require_shipped(known, value)
        return known

    def _require_numbers(self, key: str, value: Any) -> None:
        if not (isinstance(value, list) and all(type(number) is int for number in value)):
            stated = f", not {value!r}" if isinstance(value, (*ONE, list)) else ""
            raise self.fault(key, f"{key} is a list of numbers from 1 to 4, such as [2, 3]{stated}")

    def _require_shipped(self, host: str, stated: Any) -> None:
        """Refuse a host in a Python file that does not go with the sweep."""
        path = host.partition(".py:")[0] + ".py"
        if is_in_file(host) and PurePosixPath(path).as_posix() not in self.files.contents:
            raise self.fault("host", f"{path} is not among files, so it would not go along", stated)

    def _whole(self, values: dict[str, Any], modules: tuple[str, ...]) -> RunOptions:
        options = single(values | {MODULES: modules})
        try:
            _require(options)
        except (SettingsError, UserError) as error:
            raise self._fault_of(values, error) from error
        return options

    def _fault_of(self, values: Mapping[str, Any], error: Exception) -> UserError:
        """Return what is wrong with a combination: at the first key without which it would do."""
        for key, name in KEYS.items():
            if name in values and name != "host":
                try:
                    _require(single({other: v for other, v in values.items() if other != name}))
                except (SettingsError, UserError):
                    continue
                return self.fault(key, error)
        return self.source.fault(["grid", self.number], error)

    def _places(self, value: Any) -> list[Labels]:
        places = value if isinstance(value, list) else [value]
        for number, labels in enumerate(places):
            if not isinstance(labels, dict):
                raise self.fault(ON, 'on is a table of labels: { gpu = "H100" }, or a list of them')
            for label, wanted in labels.items():
                within = [number, label] if isinstance(value, list) else [label]
                if label not in LABELS:
                    raise self.fault(ON, unknown("label", label, LABELS), label, within)
                if type(wanted) not in (str, int) or wanted == "":
                    message = f"{label} is a text or a number, not {wanted!r}"
                    raise self.fault(ON, message, label, within)
        if not places:
            raise self.fault(ON, "on has no value")
        return places

    def _device(self, options: RunOptions, on: Labels) -> str | None:
        """Return the device: what is stated, or all that the labels or the runtime leave."""
        of_gpu, device = next((label for label in on if label in OF_GPUS), None), options.device
        if device not in {None, *DEVICES}:
            several = '; on = { gpu-uuid = "..." } names one of several GPUs'
            raise self.fault(
                "device", f"a sweep measures on {' and '.join(DEVICES)}, not {device}{several}"
            )
        runtimes = options.runtime or ("eager",)
        left = [kind for kind in DEVICES if all(kind in TABLE[name].devices for name in runtimes)]
        if of_gpu and "cpu" in {device, *(left if len(left) == 1 else ())}:
            why = "device is cpu" if device else f"{', '.join(runtimes)} needs one"
            raise self.fault(ON, f"no CPU has the label {of_gpu}, and {why}", of_gpu)
        if device is None and len(left) == 1:
            return left[0]
        return device or ("cuda" if of_gpu else None)


SHORT = ("compile", "eager", "cuda-graph")
"""Options of ``run`` that are short for values of ``runtime``."""


def unknown_key(kind: str, stated: str, key: str, known: Sequence[str]) -> str:
    """Return the message about a key, or option, that a grid does not have."""
    if key in SHORT:
        return f"'{stated}' is short for --runtime {key} in run alone; state runtime here"
    return unknown(kind, stated, known)


def _require(options: RunOptions) -> None:
    """Refuse options that no machine can measure.

    Raises:
        UserError: they are such.
    """
    known = Configuration(options)
    require_values(known.filled)
    check_case(known.case)
