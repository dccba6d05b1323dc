"""A configuration of a sweep: what one process measures, and the digest that identifies it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from attnbench.measuring.options.cases import cases_of
from attnbench.measuring.options.values import cleaned, defaults, given
from attnbench.measuring.processes.share import number_of
from attnbench.records.case import OPTIONS, Case, RunOptions
from attnbench.records.schema import Plan
from attnbench.records.variants import CONTROL, PLAIN, alone
from attnbench.runtimes.table import device_for
from attnbench.sweeps.device.slots import Labels, wanted

DIGITS = 12
"""Of a digest, in the name of a folder."""


@dataclass(frozen=True)
class Configuration:
    """One run: options with a single value each, and where it may be measured."""

    options: RunOptions
    """As stated, with the values of names in their own case."""
    on: Labels = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Digests and versions of the code of custom modules, by module."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Digests of the files that go to the machine, by their paths."""
    repetition: int = 0
    """From 1 where there are several; 0 where there is one."""
    place: str = ""
    """Where it was stated: ``sweep.toml:3``."""

    @property
    def device(self) -> str | None:
        """``cpu`` or ``cuda``; None for any."""
        return self.options.device

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of the modules."""
        return self.filled.modules or ()

    @cached_property
    def filled(self) -> RunOptions:
        """The options with the defaults of those that are not stated.

        Device and threads depend on the machine where they are not stated: one thread stands there.
        """
        device = self.device or device_for(self.options.runtime or (), "cuda")
        standard = defaults(self.options.host, device=device, threads=1)
        return replace(standard, **given(self.options))

    @cached_property
    def case(self) -> Case:
        """The case, with the device and threads of :attr:`filled`."""
        (case,) = cases_of(self.filled)
        return case

    @cached_property
    def plan(self) -> Plan:
        """About what will be planned; a module that does not fit the host is left out there."""
        names = self.modules
        variants = alone(names) if self.case.isolated else (PLAIN, CONTROL, *names)
        budget_s = self.filled.budget_s or 0.0
        return Plan(
            variants=variants,
            budget_s=budget_s,
            target=0.1,
            processes=number_of(self.filled.processes, self.case, budget_s),
            energy_rounds=self.filled.energy or 0,
        )

    @cached_property
    def digest(self) -> str:
        """Digest of all that determines what is measured: equal ones have the same records.

        Not of what depends on the machine, nor of the timeout, which changes no figure. Options
        that later versions have added count where they are not at their default: what an earlier
        version has measured keeps its name.
        """
        options = {
            name: value
            for name, value in asdict(self.filled).items()
            if value is not None and not _came_later(name, value)
        }
        for name in ("timeout_s", "wait_for_quiet_s", "repeat", "every_minutes"):
            options.pop(name, None)
        for name in ("device", "threads"):
            options[name] = getattr(self.options, name)
        whole = {"options": options, "on": self.on, "sources": self.sources, "files": self.files}
        return sha256(json.dumps(whole, sort_keys=True, default=list).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The folder of its records: ``resnet50-inference-float32-b1-224-0f3a...``."""
        readable = re.sub(r"[^A-Za-z0-9._-]", "_", f"{self.case.host}-{self.case.folder}")
        repetition = f"-run{self.repetition}" if self.repetition else ""
        return f"{readable}-{self.digest[:DIGITS]}{repetition}"

    @property
    def described(self) -> str:
        """The configuration in one line, with device, threads and seed only where stated."""
        words = self.case.described.split(", ")
        if self.device is None:
            words.remove(self.case.device)
        if self.options.threads is not None:
            words.append(f"threads {self.options.threads}")
        if self.options.seed is not None:
            words.append(f"seed {self.options.seed}")
        if self.repetition:
            words.append(f"repetition {self.repetition}")
        return ", ".join(words)

    @property
    def wanted(self) -> str:
        """Where it may be measured: ``gpu = H100``."""
        return wanted(self.device, self.on)

    def request(self, device: str) -> dict[str, Any]:
        """Return what the process that measures is told, as JSON has it."""
        stated = replace(self.options, device=device, repeat=None, every_minutes=None)
        return {"options": given(stated), "sources": dict(self.sources)}


FIRST_SCHEMA = 4
"""Of the records when digests were first written."""


def _came_later(name: str, value: object) -> bool:
    """Return whether an option is one of a later schema, at its default."""
    known = OPTIONS.get(name)
    return (
        known is not None
        and known.since > FIRST_SCHEMA
        and value in (known.default, (known.default,))
    )


SEVERAL = tuple(
    name
    for name, kind in RunOptions.__annotations__.items()
    if "tuple" in str(kind) and name not in {"modules", "stages"}
)
"""Options of ``run`` that may have several values; a configuration has one of each."""


def single(values: Mapping[str, Any]) -> RunOptions:
    """Return options from one value of each.

    Raises:
        UserError: one is not of its option's type, or none that the option knows.
        SettingsError: a module's name cannot be read.
    """
    wrapped: dict[str, Any] = {
        name: (value,) if name in SEVERAL else value for name, value in values.items()
    }
    return cleaned(RunOptions(**wrapped))


KEYS = {
    known.flag.removeprefix("--"): name
    for name, known in OPTIONS.items()
    if name not in {"every_minutes", "calibration"}  # no folder of images goes to a machine
}
"""The keys of a grid that are options of ``run``, and the names of their fields."""
