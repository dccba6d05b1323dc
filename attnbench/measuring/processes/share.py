"""What one process does of a run's rounds: when it ends, and which modules sit out.

The processes run one after the other, so that a run takes the memory of one, and whatever changes
slowly in the machine differs between processes too and is in the interval. Each begins with the
plain host, the control and every module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, inf
from statistics import median
from typing import Literal

from attnbench.records.run import Run
from attnbench.records.schema import Case, Round
from attnbench.records.variants import is_ceiling
from attnbench.stats import ratios
from attnbench.stats.interval import RESAMPLES
from attnbench.stats.processes import LEAST_ROUNDS, USUAL_PROCESSES
from attnbench.stats.quantities.device_time import device_rounds, has_device_times
from attnbench.stats.ratios import CHECK_EVERY, FEWEST_ROUNDS

COMPILED = 1
"""Processes where networks are compiled: each further one would compile all of them again."""

ISOLATED = 1
"""Processes of modules alone: each further one would take 20 s to build and warm up about forty
variants, and leave Student's t fewer rounds of each; what they read moves in every round."""

FOR_ROUNDS = 0.75
"""Share of the target that rounds alone may leave open when a module has its rounds: what differs
between processes comes on top, by a quarter where nothing does (Student's quantile)."""


SHORT_S = 60.0
"""A budget below which one process has all rounds: to start more would take longer than they do."""


def number_of(stated: int | None, case: Case, budget_s: float) -> int:
    """Return how many processes a run has, as stated or by default."""
    if stated is not None:
        return stated
    if case.compiled:
        return COMPILED
    if case.isolated:
        return ISOLATED
    return USUAL_PROCESSES if budget_s >= SHORT_S else 1


def next_process(run: Run) -> int:
    """Return the number of the process that goes on with a run."""
    return run.rounds[-1].process + 1 if run.rounds else 0


CLOSE = 3
"""Times the target from 1 is close: by a few rounds, it may be one that the target itself could
not tell from 1."""

FEW_RESAMPLES = 200
"""Of the bootstrap, where an interval only says how many rounds are still needed."""

FOR_CONTROL = 0.25
"""Share of a process's time that is for the control alone where it still needs rounds by then: no
ratio is believed without it, and rounds of two networks are short. A module, which has two samples
of each round, needs two thirds of its rounds."""


class Share:
    """The share of the process that goes on with a run, as it is when this is made.

    A run of one process has all its rounds there; a module that has reached the target sits out.
    Several planned ones share the budget that is left; a process also ends where every variant
    has the rounds that it needs, by what its rounds so far leave open. Those that then have not
    reached the target get further processes, of as many rounds as the others had, in which the
    modules that have reached it sit out. Where a device's own times are taken too, they have to
    reach the target as well.
    """

    def __init__(self, run: Run) -> None:
        self.process = next_process(run)
        self._first = len(run.rounds)
        self._whole = ratios.whole_processes(run.rounds)
        left = run.plan.processes - self._whole
        self._further = left < 1
        share_s = inf if self._further else max(run.plan.budget_s - run.timed_s, 0.0) / left
        self._budget_s = share_s if left > 1 else inf
        self._modules_s = inf if run.case.isolated else (1 - FOR_CONTROL) * share_s
        self._late = False
        self._most = ceil(self._first / self._whole) if self._further else inf
        able = self._able(run) if self._further else ()
        self._resting = {name for name in able if name in _modules(run) and _known(run, name)}

    @property
    def resting(self) -> frozenset[str]:
        """The modules that sit out, now and for the rest of the process."""
        return frozenset(self._resting)

    def over(self, run: Run) -> Literal["target", "process"] | None:
        """Return whether the run has reached its target, or the process has done its share.

        First let modules rest that have their rounds. A run stops in its planned processes at the
        earliest.
        """
        if run.plan.processes == 1:
            return self._alone(run)
        ended = self._ended(run)
        enough = len(run.rounds) >= FEWEST_ROUNDS and (
            ratios.whole_processes(run.rounds) >= run.plan.processes
        )
        due = enough and (ended or len(run.rounds) % CHECK_EVERY == 0)
        if due and all(_known(run, name) for name in self._able(run)):
            return "target"
        return "process" if ended else None

    def _alone(self, run: Run) -> Literal["target"] | None:
        """Return whether the only process has reached the target; modules that have, rest."""
        if len(run.rounds) < FEWEST_ROUNDS or len(run.rounds) % CHECK_EVERY != 0:
            return None
        able = {*self._able(run)}
        known = {name for name in able if name in self._resting or _known(run, name)}
        self._resting |= known & _modules(run)
        return "target" if known == able else None

    def _ended(self, run: Run) -> bool:
        rounds = len(run.rounds) - self._first
        if rounds < LEAST_ROUNDS:
            return False
        spent_s = sum(timed.seconds for timed in run.rounds[self._first :])
        if rounds >= self._most or spent_s >= self._budget_s:
            return True
        late = spent_s >= self._modules_s
        due = rounds % LEAST_ROUNDS == 0 or late > self._late
        if not due or self._further:
            return False
        self._late = late
        waiting = {*self._able(run)} - self._resting
        ready = {name for name in waiting if self._has_rounds(run, name)}
        self._resting |= ready & _modules(run)
        able = {*self._able(run)}
        if run.plan.control in ready or run.plan.control not in able:
            return able <= ready | self._resting
        if late:
            self._resting |= able & _modules(run)
        return False

    @staticmethod
    def _able(run: Run) -> list[str]:
        """Return the variants that are compared and have not failed."""
        compared = run.plan.variants[1:]
        return [name for name in compared if not run.failed(name, "latency")]

    def _has_rounds(self, run: Run, name: str) -> bool:
        """Return whether a variant has its share of the rounds that it takes for the target."""
        return all(self._has_enough(run, rounds, name) for rounds in _times(run, name))

    def _has_enough(self, run: Run, rounds: Sequence[Round], name: str) -> bool:
        known = ratios.parts(rounds, name, FEW_RESAMPLES, baseline=run.plan.baseline)
        if known is None or known.rounds == inf:
            return False
        goal = _goal(run, rounds, name)
        samples = ratios.samples(rounds, name, run.plan.baseline)
        ran = Counter(process for _, process in samples)
        needed = ran.total() * (known.rounds / (FOR_ROUNDS * goal)) ** 2
        return ran[self.process] >= max(needed / run.plan.processes, LEAST_ROUNDS)


def _times(run: Run, name: str) -> list[Sequence[Round]]:
    """Return the rounds with the times that users have, and with the device's own if it has any."""
    both = _has_device(run, name) and _has_device(run, run.plan.baseline)
    return [run.rounds, device_rounds(run.rounds)] if both else [run.rounds]


def _has_device(run: Run, name: str) -> bool:
    """Return whether the device's own time is taken of a variant, if of any."""
    return has_device_times(run.rounds) and not run.failed(name, "device time")


def _modules(run: Run) -> set[str]:
    """Return the variants that may sit out: all but the baseline, its control and ceilings."""
    return {name for name in run.plan.variants[2:] if not is_ceiling(name)}


def _known(run: Run, name: str) -> bool:
    return all(_reached(run, rounds, name) for rounds in _times(run, name))


def _reached(run: Run, rounds: Sequence[Round], name: str) -> bool:
    goal = _goal(run, rounds, name)
    for resamples in (FEW_RESAMPLES, RESAMPLES):  # the first shows most that are not
        ratio = ratios.ratio(rounds, name, resamples, baseline=run.plan.baseline)
        if ratio is None or ratio.half_width > (1.2 if resamples < RESAMPLES else 1.0) * goal:
            return False
    return True


def _goal(run: Run, rounds: Sequence[Round], name: str) -> float:
    """Return the half-width at which a variant is known: half the target where it is close to 1.

    By its distance from 1 in the first rounds of the first process. A run that went on until its
    interval excludes 1, or as long as its newest ratio is close, would err more often than it
    promises.
    """
    first = [timed for timed in rounds if timed.process == rounds[0].process][:FEWEST_ROUNDS]
    logs = ratios.log_ratios(first, name, run.plan.baseline)
    compared_with_1 = name in _modules(run)
    close = compared_with_1 and abs(median(logs or [0.0])) < CLOSE * run.plan.target
    return run.plan.target / 2 if close else run.plan.target
