"""A simulated machine with known costs: a clock, and steps that advance it by what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, sqrt
from random import Random

from attnbench.measuring.timing import CpuClock, Step


@dataclass
class Machine(CpuClock):
    """A clock of simulated time; ``log`` lists what happened, in its order.

    A step of cost c takes c times the slowness of the moment times exp(noise of the step).
    """

    seed: int = 0
    noise: float = 0.0
    """Scale of a step's log-time: of the normal's deviation, or of Student's t."""
    heavy_tails: bool = False
    """Noise of Student's t with three degrees of freedom instead of the normal one."""
    drift: float = 0.0
    """The share by which everything slows down in a second."""
    jump_at_s: float = inf
    jump: float = 1.0
    """From jump_at_s on everything takes this many times as long."""
    spikes: float = 0.0
    """The share of steps that take ten times as long."""
    placement: float = 0.0
    """Standard deviation of the effect of a step's addresses on its log-time, until it moves."""
    process: float = 0.0
    """Standard deviation of the effect of the process on a step's log-time; a step that is made
    anew is in another process."""
    mood: float = 0.0
    """Standard deviation of the effect of the run on a step's log-time, constant within a run."""
    now: float = 0.0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self._moods: dict[str, float] = {}

    def mark(self) -> float:
        self.log.append("mark")
        return self.now

    def seconds(self, start: float, end: float) -> float:
        self.log.append("wait")
        return end - start

    def step(self, cost_s: float, name: str = "step") -> Step:
        """Make a step that costs that much on the machine at its fastest."""
        return self.steps_of(lambda _: cost_s, name)

    def steps_of(self, cost_s: Callable[[int], float], name: str = "step") -> Step:
        """Make a step whose cost depends on how often it ran before."""
        calls, placed = 0, self._shift(self.placement)
        constant = self._mood(name) * self._shift(self.process)

        def run() -> None:
            nonlocal calls
            self.log.append(name)
            self.now += cost_s(calls) * constant * placed * self._slowness() * exp(self._noise())
            calls += 1

        def move() -> None:
            nonlocal placed
            placed = self._shift(self.placement)

        return Step({name: run}, move)

    def _mood(self, name: str) -> float:
        return self._moods.setdefault(name, self._shift(self.mood))

    def _shift(self, deviation: float) -> float:
        return exp(self.random.gauss(0.0, deviation)) if deviation else 1.0

    def _slowness(self) -> float:
        jump = self.jump if self.now >= self.jump_at_s else 1.0
        spike = 10.0 if self.random.random() < self.spikes else 1.0
        return (1.0 + self.drift * self.now) * jump * spike

    def _noise(self) -> float:
        normal = self.random.gauss(0.0, 1.0)
        if self.heavy_tails:
            normal /= sqrt(self.random.gammavariate(1.5, 2.0) / 3)  # chi-squared of 3, over 3
        return self.noise * normal
