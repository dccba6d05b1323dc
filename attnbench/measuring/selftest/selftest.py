"""Self-test of the timing: are its intervals right, on simulated machines and on this one?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil, inf, isfinite, log, sqrt
from statistics import median, stdev
from time import perf_counter
from typing import Any

from attnbench import formatting
from attnbench.devices import table as devices
from attnbench.devices.clocks import Queue
from attnbench.errors import UserError
from attnbench.measuring import planning, timing, workload
from attnbench.measuring.options.cases import cases_of
from attnbench.measuring.selftest.processes import run_in_processes
from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import Step
from attnbench.records.case import RunOptions
from attnbench.records.device import kind_of
from attnbench.records.schema import Case, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import between_runs, ratios
from attnbench.stats.interval import Interval
from attnbench.stats.ratios import TARGET
from attnbench.stats.verdicts import reasons
from attnbench.system import process_settings, worker

MACHINES: dict[str, dict[str, Any]] = {
    "calm": {},
    "drift: a third slower at the end": {"drift": 0.02},
    "a step: 1.3 times as slow from halfway": {"jump_at_s": 8.0, "jump": 1.3},
    "spikes: one step in twenty takes ten times as long": {"spikes": 0.05},
    "heavy tails (Student's t of 3)": {"heavy_tails": True},
    "memory: a step's place shifts it by 1% (standard deviation)": {"placement": 0.01},
    "processes: each shifts a step by 0.5% (standard deviation)": {"process": 0.005},
    "all of these": {"drift": 0.02, "jump_at_s": 8.0, "jump": 1.3, "spikes": 0.05}
    | {"heavy_tails": True, "placement": 0.01, "process": 0.005},
}
"""Settings of the simulated machines, on which a run of some 40 rounds takes 16 s."""

NOISE = 0.015
"""Standard deviation of a simulated step's log-time."""

STEP_S = 0.1
PLANTED = {f"+{share:.0%}": share for share in (0.02, 0.05)}
"""The variants with a known slowdown, and its share."""

HELD, REAL_HELD, FOUND = 0.93, 0.90, 0.95
"""Least shares of runs: interval holds the known ratio, the same here, slowdown found."""

SEEN, REAL_FOUND = "+5%", 0.90
"""The slowdown that real runs have to find, and in what share of them at least."""

MODULE = "sa"
"""Timed in the real runs too: it scatters between runs as modules do, which a control does not."""

MOST_ROUNDS = 500
SIMULATED_BUDGET_S = 100.0
"""The default of a run."""

REAL_BUDGET_S = 30.0

SIDES = (1, 3)
"""Numbers of old and new runs in a comparison, each tried."""

HEADINGS = (
    *("what", "runs", "interval holds 1", "+2% found", "+5% found", "median half-width"),
    "code",
)

VARIANTS = (PLAIN, CONTROL, *PLANTED)

Intervals = dict[str, Interval]
"""The ratio of each variant but the plain one, from a run or a comparison of runs."""


@dataclass
class Findings:
    """A row of the table under HEADINGS for each machine, and the requirements that failed."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    caption = "A against A, and against A with a planted slowdown"

    def take(
        self,
        what: str,
        runs: Sequence[Intervals],
        held: float,
        found: float | None,
        *,
        real: bool = False,
    ) -> None:
        """Add the runs of one machine, with the shares that are required of it.

        ``real``: it is this machine, which has to see a slowdown at all.
        """
        controls = [run[CONTROL] for run in runs]
        slower = {name: sum(run[name].low > 1 for run in runs) for name in PLANTED}
        codes = [self._held(what, controls, held)]
        for name, count in slower.items():
            which = f"runs that find {name}"
            if found is not None and not self._meets(what, which, count, len(runs), found):
                codes.append(reasons.MISSED)
        if real and not self.require_sight(runs):
            codes.append(reasons.BLIND)
        self._add(what, controls, [str(count) for count in slower.values()], codes)

    def take_controls(self, what: str, intervals: Sequence[Interval], held: float) -> None:
        """Add intervals of which that share must hold 1; nothing was planted."""
        nothing = [formatting.NOTHING] * len(PLANTED)
        self._add(what, intervals, nothing, [self._held(what, intervals, held)])

    def take_crash(self, what: str, error: Exception) -> None:
        """Add a run that an error has ended, of any kind: it is a finding about that run."""
        self.faults.append(f"{what}: {type(error).__name__}: {error}")
        cells = (formatting.NOTHING,) * (len(HEADINGS) - 3)
        self.rows.append((what, "1", *cells, reasons.CRASHED))

    def _add(
        self, what: str, intervals: Sequence[Interval], cells: Sequence[str], codes: Sequence[str]
    ) -> None:
        width = _width(intervals, digits=2).removeprefix("±")
        code = next((code for code in codes if code != reasons.CALIBRATED), reasons.CALIBRATED)
        counts = (str(len(intervals)), str(_holding(intervals)))
        self.rows.append((what, *counts, *cells, width, code))

    def _held(self, what: str, intervals: Sequence[Interval], held: float) -> str:
        which, holding = "intervals that hold 1", _holding(intervals)
        enough = self._meets(what, which, holding, len(intervals), held)
        return reasons.CALIBRATED if enough else reasons.OVERCONFIDENT

    def require_sight(self, runs: Sequence[Intervals]) -> bool:
        """Return whether runs on this machine see a slowdown: else they say nothing, a fault."""
        finding, least = sum(run[SEEN].low > 1 for run in runs), _least(REAL_FOUND, len(runs))
        if finding < least:
            width = _width([run[SEEN] for run in runs], digits=1)
            of = formatting.counted(len(runs), "run")
            self.faults.append(
                f"this machine cannot see {SEEN.removeprefix('+')} now: {finding} of {of} found "
                f"{SEEN}, at least {least} must; half-width of its ratios: {width}. Stop other "
                "programs and try again"
            )
        return finding >= least

    def _meets(self, what: str, which: str, count: int, of: int, share: float) -> bool:
        """Return whether a requirement is met; else add the fault."""
        least = _least(share, of)
        if count < least:
            self.faults.append(f"{what}: {which}: {count} of {of}, at least {least} must")
        return count >= least


def _holding(intervals: Sequence[Interval]) -> int:
    return sum(isfinite(i.half_width) and not i.excludes_one for i in intervals)


def _width(intervals: Sequence[Interval], digits: int) -> str:
    width = median(interval.half_width for interval in intervals)
    return f"±{formatting.percent(width, digits)}" if isfinite(width) else "too few rounds"


def _least(share: float, of: int) -> int:
    return ceil(share * of - 1e-9)


def run(simulated: int, real: int, device: str | None, findings: Findings) -> Iterator[str]:
    """Fill the findings; yield a line of progress after each machine, run or comparison.

    Raises:
        UserError: no such device.
    """
    case = real_case(device)
    for what, settings in MACHINES.items():
        machines = (Machine(seed=seed, noise=NOISE, **settings) for seed in range(simulated))
        findings.take(what, [intervals(simulated_run(m)) for m in machines], HELD, FOUND)
        yield f"simulated, {what}: {simulated} runs"
    yield from _simulated_comparisons(simulated, findings)
    runs = []
    for number in range(1, real + 1):
        try:
            runs.append(list(worker.stream(real_run, case, number)))
        except Exception as error:
            findings.take_crash(f"real run {number}", error)
            continue
        texts = (f"{name} {formatting.ratio(r)}" for name, r in intervals(runs[-1]).items())
        rounds = formatting.counted(len(runs[-1]), "round")
        yield f"real run {number} of {real}, {rounds}: {', '.join(texts)}"
    if runs:
        known = [*map(intervals, runs)]
        findings.take(f"this machine: {case.described}", known, REAL_HELD, None, real=True)
    yield from _real_comparisons(runs, findings)


def _real_comparisons(runs: Sequence[list[Round]], findings: Findings) -> Iterator[str]:
    """Compare the module in each real run with the next, as ``compare`` does."""
    known = [interval for run in runs if (interval := ratios.ratio(run, MODULE)) is not None]
    pairs = list(zip(known[::2], known[1::2], strict=False))
    if not pairs:
        return
    medians = [interval.median for interval in known]
    yield (
        f"{MODULE} in {len(known)} real runs: {min(medians):.3f} to {max(medians):.3f}, which "
        f"scatter by {formatting.percent(stdev(map(log, medians)))} (standard deviation); compare "
        f"takes them to scatter by {formatting.percent(between_runs.ASSUMED)} until they show it"
    )
    compared = [between_runs.change([old], [new]) for old, new in pairs]
    what = f"compare, {MODULE} in each of these with the next"
    findings.take_controls(what, compared, REAL_HELD)


def _simulated_comparisons(count: int, findings: Findings) -> Iterator[str]:
    mood = between_runs.ASSUMED / sqrt(2)  # of the plain host and of the module
    machines = (Machine(seed=seed, noise=NOISE, mood=mood) for seed in range(2**32))
    most = range(max(SIDES, default=0))
    runs = [[[simulated_run(next(machines)) for _ in most] for _ in range(2)] for _ in range(count)]
    for side in SIDES:
        compared = [changes(old[:side], new[:side]) for old, new in runs]
        scatter = formatting.percent(between_runs.ASSUMED)
        what = f"compare, runs that scatter by {scatter}, {side} a side"
        findings.take(what, compared, HELD, None)
        yield f"simulated, {what}: {count} comparisons"


def intervals(run: list[Round]) -> Intervals:
    """Return the ratios that one run measured."""
    return {name: ratio for name in VARIANTS[1:] if (ratio := ratios.ratio(run, name))}


def changes(old: list[list[Round]], new: list[list[Round]]) -> Intervals:
    """Compare the control in old runs with each variant in new ones."""
    before = [intervals(run)[CONTROL] for run in old]
    runs = [intervals(run) for run in new]
    return {name: between_runs.change(before, [run[name] for run in runs]) for name in VARIANTS[1:]}


def simulated_run(machine: Machine) -> list[Round]:
    """Time rounds on a simulated machine, with the engine and its rules to stop.

    Where processes differ there, in as many as a run has; else in one.
    """
    cost_s = {name: (1 + PLANTED.get(name, 0.0)) * STEP_S for name in VARIANTS}
    if machine.process:
        return run_in_processes(machine, cost_s, budget_s=SIMULATED_BUDGET_S)
    steps = {name: machine.step(seconds, name) for name, seconds in cost_s.items()}
    series = timing.Rounds(steps, dict.fromkeys(steps, 1), machine, machine.seed)
    return list(_until_known(series, TARGET["cpu"]))


def real_case(device: str | None) -> Case:
    """Return the main job's case on a device of this machine."""
    options = planning.filled(RunOptions())
    chosen = options.device if device in (None, "auto") else device
    chosen = devices.chosen(chosen)
    kind = devices.kind_of(chosen)
    if chosen != "cpu" and not kind.graphs:
        raise UserError(
            f"selftest plants slowdowns in captured steps, by a kernel that spins, and torch has "
            f"neither on {kind.title}; use --device cpu"
        )
    # A GPU without a CUDA graph waits for Python, and a slowdown of the device could hide in that.
    runtime = "cuda-graph" if kind.graphs else "eager"
    (case,) = cases_of(replace(options, device=chosen, runtime=(runtime,)))
    return case


def real_run(case: Case, seed: int) -> Iterator[Round]:
    """Time rounds here: the plain host twice, twice with a planted slowdown, and with a module."""
    process_settings.settle(case)
    clock = timing.clock_for(case.device)
    steps = {name: workload.step(case, PLAIN) for name in VARIANTS}
    steps[MODULE] = workload.step(case, MODULE)
    blocks = {name: timing.warm_up(step, clock) for name, step in steps.items()}
    for name, share in PLANTED.items():
        queue = clock.queue
        steps[name] = (
            _slower_cpu(steps[name], share)
            if queue is None
            else _slower_device(steps[name], share, clock, queue)
        )
    series = timing.Rounds(steps, blocks, clock, seed)
    yield from _until_known(series, TARGET[kind_of(case.device)], REAL_BUDGET_S)


def _until_known(series: timing.Rounds, target: float, budget_s: float = inf) -> Iterator[Round]:
    rounds: list[Round] = []
    for finished in islice(series, MOST_ROUNDS):
        if series.failures:
            break
        rounds.append(finished)
        yield finished
        spent_s = sum(known.seconds for known in rounds)
        if ratios.may_stop(rounds, VARIANTS, target) or spent_s > budget_s:
            break
    for error in series.failures.values():
        raise error


def _slower_cpu(step: Step, share: float) -> Step:
    """Follow the step by waiting for that share of the time that it took."""

    def slower() -> object:
        start = perf_counter()
        output = step()
        end = perf_counter()
        until = end + share * (end - start)
        while perf_counter() < until:
            pass
        return output

    return Step({"slower": slower}, step.move)


def _slower_device(step: Step, share: float, clock: timing.Clock, queue: Queue) -> Step:
    """Follow the step by a kernel that spins for that share of its time on the device."""
    spin_s = share * timing.timed(step, 50, clock) / 50

    def slower() -> object:
        output = step()
        queue.spin(spin_s)
        return output

    return Step({"slower": slower})
