"""Profile steps of a network, and divide their seconds by part and operator.

A profiler slows what it watches, so this is a pass of its own, apart from the timing. Its seconds
are shares of a step, not latencies.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import fsum
from typing import Any, Protocol

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from attnbench.counting.rules.executed import part, stage_and_part
from attnbench.measuring import workload
from attnbench.measuring.guard import watched
from attnbench.measuring.timing import Step
from attnbench.records.schema import BETWEEN_OPERATORS, Case, Profile
from attnbench.records.variants import PLAIN
from attnbench.system import process_settings

WARM_UP_STEPS = 3
STEPS = 12

PREFIX = "attnbench "
"""Of the names of ranges: a step, or the path of a module in its network."""

STEP = f"{PREFIX}step of "
"""Followed by the variant."""


class Range(Protocol):
    """What is read of an event of ``torch.profiler``; times are in microseconds."""

    name: str
    cpu_parent: Any
    self_cpu_time_total: float
    self_device_time_total: float


def measure(case: Case, variant: str) -> Profile:
    """Profile steps of one variant, in a process that has done nothing else.

    Steps of the plain host alternate with its own, so that both meet the same machine.

    Raises:
        SettingsError: a custom module changes what it is measured with.
    """
    process_settings.settle(case)
    on_device = case.device != "cpu"
    with watched(variant):
        networks = dict.fromkeys((PLAIN, variant))
        built = {name: workload.step(case, name, statistics=True) for name in networks}
        for _ in range(WARM_UP_STEPS):
            for step in built.values():
                step()
        events = list(_profiled(built, on_device=on_device))
    steps = {name: steps_of(events, name, on_device=on_device) for name in built}
    plain_s, seconds = _sums(steps[PLAIN]), averaged(steps[variant])
    return Profile(
        steps=STEPS,
        seconds=seconds,
        total_s=fsum(spent for row in seconds.values() for spent in row.values()),
        host_s=_sums(steps[variant], "host"),
        attention_s=_sums(steps[variant], "attention"),
        plain_s=() if variant == PLAIN else plain_s,
    )


def _profiled(built: Mapping[str, Step], *, on_device: bool) -> Iterable[Range]:
    """Return the events of alternating steps of these networks."""
    recorded = profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])],
        acc_events=True,  # torch 2.11 warns without it, though there is one cycle
    )
    with ExitStack() as open_ranges:
        for step in built.values():
            open_ranges.enter_context(ranges(step.network))
        with _quiet():
            recorded.start()
        for _ in range(STEPS):
            for name, step in built.items():
                with record_function(STEP + name):
                    step()
        if on_device:
            torch.cuda.synchronize()
        with _quiet():
            recorded.stop()
    events: Iterable[Range] = recorded.events()
    return events


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Kineto, which writes past Python, from telling stderr of devices that are not there."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def ranges(network: nn.Module | None) -> Iterator[None]:
    """Put a range of its path around the forward of every module that is not in an attention."""
    open_ranges: list[record_function] = []
    handles = []

    def entering(path: str) -> Any:
        def enter(*_: object) -> None:
            open_ranges.append(record_function(PREFIX + path))
            open_ranges[-1].__enter__()

        return enter

    def leave(*_: object) -> None:
        open_ranges.pop().__exit__(None, None, None)

    for path, module in network.named_modules() if network is not None else ():
        above, _, _ = path.rpartition(".")
        if path and part(above, "") == "host":
            handles.append(module.register_forward_pre_hook(entering(path)))
            handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


Spent = dict[tuple[str, str], float]
"""Part of the network and operator -> seconds of one step."""


def steps_of(events: Iterable[Range], variant: str, *, on_device: bool = False) -> list[Spent]:
    """Return the seconds of each step of a variant, in their order.

    A part is as in the counts: ``layer1 attention``, ``layer1 host``.
    """
    steps: dict[int, Spent] = {}
    for event in events:
        within = [event, *_above(event)]
        if within[-1].name != STEP + variant:
            continue
        innermost = next(at.name for at in within if at.name.startswith(PREFIX))
        path = "" if innermost == STEP + variant else innermost.removeprefix(PREFIX)
        place = stage_and_part(path, event.name)
        operator = BETWEEN_OPERATORS if event.name.startswith(PREFIX) else event.name
        spent = event.self_device_time_total if on_device else event.self_cpu_time_total
        step = steps.setdefault(id(within[-1]), defaultdict(float))
        step[place, operator] += spent / 1e6
    return list(steps.values())


def averaged(steps: Iterable[Spent]) -> Mapping[str, Mapping[str, float]]:
    """Return the seconds of a step by part, and within it by operator.

    The steps between the quartiles of their sums are averaged, so that parts add up to a step and
    one that was disturbed does not count.
    """
    ordered = sorted(steps, key=lambda step: sum(step.values()))
    quarter = len(ordered) // 4
    middle = ordered[quarter : len(ordered) - quarter]
    parts: dict[str, dict[str, float]] = {}
    for step in middle:
        for (place, operator), spent_s in step.items():
            known = parts.setdefault(place, {})
            known[operator] = known.get(operator, 0.0) + spent_s / len(middle)
    return {place: {name: s for name, s in row.items() if s > 0} for place, row in parts.items()}


def _sums(steps: Iterable[Spent], owner: str = "") -> tuple[float, ...]:
    """Return the seconds of each step, or of its parts that are ``host`` or ``attention``."""
    return tuple(
        sum(spent for (place, _), spent in step.items() if place.endswith(owner)) for step in steps
    )


def _above(event: Range) -> Iterator[Any]:
    parent = event.cpu_parent
    while parent is not None:
        yield parent
        parent = parent.cpu_parent
