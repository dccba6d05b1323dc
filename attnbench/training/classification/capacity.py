"""How wide the plain host has to be to take as long as the slowest module: measured, not guessed.

Latency of inference on one image of the training's size, in interleaved rounds beside the plain
host, as ``run`` measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import log

import torch
from torch import nn

from attnbench.hosts.conditions import Conditions
from attnbench.measuring import timing
from attnbench.records.trainings.schema import WIDER, Width
from attnbench.records.variants import PLAIN
from attnbench.stats.interval import Interval
from attnbench.stats.ratios import ratio
from attnbench.training.classification.task import Classification
from attnbench.training.classification.wider import BASE, build_wider, step_of

ROUNDS = 21
WIDEST = 8 * BASE
"""A host so wide takes tens of times as long as the plain one."""

Measure = Callable[[Mapping[str, nn.Module]], dict[str, Interval]]
"""From networks, the plain host among them, to the ratio of each one's latency to its."""


def choose(task: Classification, modules: tuple[str, ...], measure: Measure) -> Width | None:
    """Return the width whose latency is nearest to the slowest module's; None for the host's own.

    It is doubled until it is slower, then halved between; each width is timed beside plain. At last
    plain, module and wider host are timed in the same rounds, which decide and are recorded.
    """
    plain = task.network(PLAIN)
    networks = {name: task.network(name) for name in modules}
    ratios = measure({PLAIN: plain, **networks})
    slowest = max(modules, key=lambda name: ratios[name].median)
    target = ratios[slowest].median
    known = {BASE: 1.0}

    def timed(base: int) -> float:
        if base not in known:
            wide = build_wider(task.host, base, task.data.classes)
            known[base] = measure({PLAIN: plain, WIDER: wide})[WIDER].median
        return known[base]

    for base in _searched(step_of(task.host), lambda base: timed(base) < target):
        timed(base)
    nearest = min(known, key=lambda base: abs(log(known[base] / target)))
    if nearest == BASE:
        return None
    wide = build_wider(task.host, nearest, task.data.classes)
    final = measure({PLAIN: plain, slowest: networks[slowest], WIDER: wide})  # in the same rounds
    wider, module = final[WIDER], final[slowest]
    if abs(log(module.median)) <= abs(log(wider.median / module.median)):
        return None  # the host's own width is nearer
    return Width(
        base=nearest,
        ratio=wider.median,
        ratio_low=wider.low,
        ratio_high=wider.high,
        module=slowest,
        module_ratio=module.median,
        module_ratio_low=module.low,
        module_ratio_high=module.high,
        rounds=ROUNDS,
    )


def _searched(step: int, is_faster: Callable[[int], bool]) -> Iterator[int]:
    """Yield the widths of a search for the first one that is not faster any more."""
    reach = step
    while BASE + reach < WIDEST and is_faster(BASE + reach):
        yield BASE + reach
        reach *= 2
    low, high = (
        reach // 2 // step,
        reach // step,
    )  # in steps; the first is faster, or the host's own
    yield BASE + reach
    while high - low > 1:
        middle = (low + high) // 2
        yield BASE + middle * step
        low, high = (middle, high) if is_faster(BASE + middle * step) else (low, middle)


def measured(task: Classification, place: Conditions) -> Measure:
    """Return what measures latency on the device of the training."""
    image = place.place_image(torch.zeros(1, 3, task.size, task.size))
    clock = timing.clock_for(place.device)

    def step(network: nn.Module) -> timing.Step:
        ready = place.place(network).eval()

        def infer() -> object:
            with torch.inference_mode():
                return ready(image)

        return timing.Step({"forward": infer})

    def measure(networks: Mapping[str, nn.Module]) -> dict[str, Interval]:
        steps = {name: step(network) for name, network in networks.items()}
        blocks = {name: timing.warm_up(ready, clock) for name, ready in steps.items()}
        series = timing.Rounds(dict(steps), blocks, clock, seed=0)
        rounds = list(islice(series, ROUNDS))
        for error in series.failures.values():
            raise error
        known = {name: ratio(rounds, name) for name in networks}
        return {name: interval for name, interval in known.items() if interval is not None}

    return measure
