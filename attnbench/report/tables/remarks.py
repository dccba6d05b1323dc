"""The sentences above and below a run's tables: machine, control, disturbances, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, isfinite
from statistics import median

from attnbench import formatting
from attnbench.formatting import counted, joined, title
from attnbench.records.case import RUNTIMES
from attnbench.records.device import kind_of
from attnbench.records.run import Run
from attnbench.records.variants import PLAIN, STAGES, IsolatedModule
from attnbench.report.tables.energy import notes as energy_notes
from attnbench.report.tables.isolated import map_copies
from attnbench.report.tables.pooled import PooledRun
from attnbench.report.tables.run import WITHIN_RUN, LoadedRun
from attnbench.report.unknown_operators import AT_LEAST, beyond_plain, unknown, written
from attnbench.stats import between_runs, ratios, witness
from attnbench.stats.interval import Interval
from attnbench.stats.processes import FEWEST_PROCESSES
from attnbench.stats.replicates import began
from attnbench.text import printable

_TO_THE_HEADS = "backbone, feature pyramid, heads over all levels"
_BOX_HEAD = "the box head on 1000 proposals an image"
_ONE_STAGE = "backbone, heads over all levels"

FIXED_WORK = {
    "fasterrcnn": f"{_TO_THE_HEADS}, {_BOX_HEAD}",
    "maskrcnn": f"{_TO_THE_HEADS}, {_BOX_HEAD}, the mask branch on 100",
    "keypointrcnn": f"{_TO_THE_HEADS}, {_BOX_HEAD}, the keypoint branch on 100",
    "retinanet": _TO_THE_HEADS,
    "fcos": _TO_THE_HEADS,
    "ssd300": _ONE_STAGE,
    "ssdlite320": _ONE_STAGE,
}
"""What a detector does here, by the family that its host's name begins with."""

NOT_MEASURED = "Resizing, decoding, thresholds and non-maximum suppression are not included."


LOAD = "load_average"
MORE_ROUNDS = 6
"""Times the budget that are advised where the control does not tell how many rounds it takes."""

MOST_ADVISED_S = 3600.0
"""What a longer budget would be is no advice: the machine has to be quieter."""


def uncounted(run: Run) -> list[str]:
    """Return what each rule left at zero in a module, beyond what it leaves in the plain host."""
    lines = []
    plain = run.counts.get(PLAIN, {})
    for variant in run.modules:
        for rule, count in run.counts.get(variant, {}).items():
            base = plain[rule].not_counted if rule in plain else None
            more = Counter(count.not_counted or {}) - Counter(base or {})
            if more:
                listed = ", ".join(f"{name} x{times}" for name, times in sorted(more.items()))
                lines.append(f"{title(variant)} by {rule}: {listed}.")
    return lines


def _unknown_operators(run: Run) -> list[str]:
    """Return which operators of a module no table knows: its counts are too low by them."""
    lines = []
    for module in run.modules:
        pieces = [IsolatedModule(module, stage).name for stage in STAGES]
        more = beyond_plain(run, module)
        for piece in pieces if run.case.isolated else ():
            more |= unknown(run, piece)
        if more:
            lines.append(
                f"{title(module)} is not fully counted, so its kernels and memory traffic are "
                f"too low, and other counts may be (marked {AT_LEAST}): {written(more)}."
            )
    if of_host := unknown(run, PLAIN):
        lines.append(
            "The host runs operators that no table knows, so what is marked "
            f"{AT_LEAST} may be larger: {written(of_host)}."
        )
    return lines


def machine(run: Run) -> str:
    """Return where and when it ran, in one line."""
    case, environment = run.case, run.environment
    name = environment.get("gpu") or environment.get("cpu")
    return (
        f"{name}, {counted(case.threads, 'thread')}, torch {environment.get('torch')}, "
        f"Python {environment.get('python')}, {began(run)}"
    )


def remarks(loaded: LoadedRun) -> list[str]:
    """Return the control's result, then the other remarks on a run."""
    first, *others = notes(loaded)
    return [first, control(loaded), *others]


def _device_times(loaded: LoadedRun) -> list[str]:
    """Return what the device's own times are worth, and for which variants it waited."""
    if loaded.run.case.isolated:
        return ["Times are the device's own."] if loaded.has_device_times else []
    lines = []
    if loaded.waited:
        lines.append(
            f"The GPU waited for Python in {joined(map(title, loaded.waited))}: issuing took more "
            "than nine tenths of the time, so their latency and its ratio are of issuing. The "
            "device ratio is that of the GPU's own work."
        )
    if loaded.has_device_times:
        other = _host_control if loaded.leads_with_device else _device_control
        lines.append(other(loaded))
    return lines


def _device_control(loaded: LoadedRun) -> str:
    fault, figure = loaded.device_control_fault, formatting.ratio(loaded.device_control_ratio)
    held = "it holds." if fault is None else f"too noisy to judge: {fault}."
    return f"Control of the device's own times: {figure}; {held}"


def notes(loaded: LoadedRun) -> list[str]:
    """Return how many rounds ran, then disturbances, limits, sources of modules and failures."""
    run = loaded.run
    sources = (
        f"The code of {'the host' if name == PLAIN else title(name)}: {origin}."
        for name, origin in run.plan.sources.items()
    )
    limits = (
        *(*_sites(run), *_limits(run), *_executed_by(run)),
        *(*_computed(run), *_unknown_operators(run)),
    )
    if isinstance(loaded, PooledRun):
        of_runs = [*_of_several(loaded), *_scatter(loaded)]
        of_runs += [*_device_times(loaded), *energy_notes.notes(loaded)]
        of_runs += [
            f"In the run of {began(run)}: {line}"
            for run in loaded.runs
            for line in disturbances(run)
        ]
        failures = dict.fromkeys(line for run in loaded.runs for line in _failures(run))
        return [*of_runs, *limits, *sources, *failures]
    return [
        _rounds(run),
        *loaded.left_out,
        *_processes(run),
        *_witness(run),
        *_intervals(loaded),
        *_ceilings(loaded),
        *_device_times(loaded),
        *energy_notes.notes(loaded),
        *disturbances(run),
        *limits,
        *sources,
        *_failures(run),
    ]


def _of_several(loaded: PooledRun) -> list[str]:
    """Return which runs were taken together, and what the plain host took in each."""
    runs, first = loaded.runs, loaded.run
    begun = joined(f"{began(run)} ({counted(len(run.rounds), 'round')})" for run in runs)
    lines = [f"{counted(len(runs), 'run')} taken together, begun at {begun}."]
    lines += [
        f"The run that began at {began(run)} is left out: its control failed: {fault}."
        for run, fault in loaded.replicates.left_out
    ]
    lines += loaded.left_out
    plain = [formatting.thousandths(step.median) for step in loaded.replicates.latencies(PLAIN)]
    lines.append(f"Plain host: {joined(plain)} ms/image in these runs.")
    lines.append(f"Counts, memory and machine are those of the run that began at {began(first)}.")
    return lines


def _scatter(loaded: PooledRun) -> list[str]:
    """Return what the intervals of latency ratios cover, and what the runs show of it."""
    assumed = formatting.percent(_assumed(loaded))
    return [
        "Intervals of latency ratios include the variation between runs: what these runs show of "
        f"it, with an assumed standard deviation of {assumed} at the weight of "
        f"{between_runs.WEIGHT} runs. The run-to-run part is what it alone adds."
    ]


def _assumed(loaded: LoadedRun) -> float:
    return between_runs.ASSUMED if loaded.scatter is None else loaded.scatter


def _processes(run: Run) -> list[str]:
    """Return over how many processes the rounds are spread, and which modules sat out."""
    lines = []
    count = ratios.whole_processes(run.rounds)
    if count >= FEWEST_PROCESSES:
        lines.append(
            f"The rounds ran in {count} processes, one after the other; what differs between these "
            "is in every interval of a ratio."
        )
    if rested := Counter(name for timed in run.rounds for name in timed.sits_out or ()):
        listed = joined(f"{title(name)} {count}" for name, count in rested.items())
        lines.append(f"Rounds that modules sat out, as they had those that they need: {listed}.")
    return lines


def _witness(run: Run) -> list[str]:
    """Return how the baseline fared beside custom code."""
    known = witness.ratio(run)
    if known is None:
        return []
    verdict = (
        "so its figures are worth nothing"
        if witness.shows_interference(known)
        else f"more than {formatting.percent(witness.MOST - 1, 0)} would be interference"
    )
    return [
        f"{title(run.plan.baseline)} in the processes with custom code took "
        f"{formatting.ratio(known)} times as long as in processes without, right after the same "
        f"rounds; {verdict}."
    ]


def _intervals(loaded: LoadedRun) -> list[str]:
    """Return what the intervals of latency ratios cover."""
    run = loaded.run
    if run.case.isolated or not run.rounds:
        return []
    deviation = formatting.percent(_assumed(loaded))
    return [
        "Intervals of latency ratios include the variation between runs, a standard deviation of "
        f"{deviation} until repeated runs show it; tables captioned '{WITHIN_RUN}' leave it out."
    ]


def _ceilings(loaded: LoadedRun) -> list[str]:
    """Return what the ceiling of bandwidth is, and which modules exceed one beyond the interval."""
    run = loaded.run
    if not run.case.isolated or not run.rounds:
        return []
    lines = []
    if not map_copies(run):
        lines.append(
            "This run has no copies of the maps that modules see, so its ceiling of bandwidth is "
            "that of a large copy, which a map in a cache exceeds."
        )
    above = [
        f"{title(row['module'])} stage {row['stage']:.0f} ({ceiling})"
        for _, row in loaded.frame.iterrows()
        for ceiling in ("launch", "bandwidth", "compute")
        if row[f"{ceiling}_share_low"] > 1
    ]
    if above:
        lines.append(
            f"Above a ceiling, beyond the interval: {joined(above)}. It is no ceiling of these; "
            "reading alone can be faster than copying."
        )
    return lines


def control(loaded: LoadedRun) -> str:
    """Return whether the control of the time that stands first holds, with its figure."""
    return (_device_control if loaded.leads_with_device else _host_control)(loaded)


def _host_control(loaded: LoadedRun) -> str:
    run, fault = loaded.run, loaded.control_fault
    baseline = run.plan.baseline
    ratio = loaded.control_ratio
    what = "Control of issuing" if loaded.leads_with_device else "Control"
    figure = f"{what} ({baseline} against {baseline}): {formatting.ratio(ratio)}"
    if fault is None:
        return f"{figure}; it holds."
    rest = "; bounds rest on their own intervals" if run.case.isolated else ""
    return f"{figure}. Too noisy to judge: {fault}{rest}. {_advice(run, ratio)}"


def _advice(run: Run, control: Interval | None) -> str:
    """Return what would make the run judgeable: ``--budget`` by the control's own half-width."""
    wanted, known = run.plan.target, control is not None and isfinite(control.half_width)
    factor = ceil((control.half_width / wanted) ** 2) if control and known else MORE_ROUNDS
    budget_s = run.plan.budget_s * max(factor, 2)
    if not known:  # a round can take longer than the budget
        seconds = max(run.plan.budget_s, ceil(run.timed_s)) * max(factor, 2)
        return f"More rounds would do: --budget {seconds:g}."
    loads = [load for moment in run.moments if isinstance(load := moment.get(LOAD), int | float)]
    cores = run.environment.get("cores_allowed") or run.environment.get("cores")
    on = f" on {counted(cores, 'core')}" if isinstance(cores, int) else ""
    reason = f"Load was {median(loads):.0f}{on}: " if loads else ""
    ways = ["quiet the machine"]
    ways += ["--threads 1"] if run.case.device == "cpu" and run.case.threads > 1 else []
    if control is not None and not control.excludes_one and budget_s <= MOST_ADVISED_S:
        ways.append(f"--budget {budget_s:g}")
    advice = f"{reason}{', or '.join(ways)}."
    return advice[0].upper() + advice[1:]


def _failures(run: Run) -> list[str]:
    """Return each distinct error once, after the names of the variants that it stopped."""
    variants: dict[str, list[str]] = {}
    for variant, steps in run.failures.items():
        for step, failure in steps.items():
            error = f"{step}: {failure.type}: {printable(failure.message)}"
            variants.setdefault(error, []).append(variant)
    return [
        f"{joined(_titles(run, names))} failed at {error}." for error, names in variants.items()
    ]


def _titles(run: Run, variants: Sequence[str]) -> list[str]:
    """Return the names in tables; an isolated module that failed at every stage appears once."""
    names = dict.fromkeys(variants)
    for module in run.modules if run.case.isolated else ():
        pieces = [IsolatedModule(module, stage).name for stage in STAGES]
        if names.keys() >= set(pieces):
            names = dict.fromkeys(module if name in pieces else name for name in names)
    return list(dict.fromkeys(map(title, names)))


def _rounds(run: Run) -> str:
    rounds = counted(len(run.rounds), "interleaved round")
    count = f"{rounds} in {formatting.seconds(run.timed_s)}"
    if run.end is None:
        return f"{count}; the run is not finished."
    ends = {
        "target": f"every interval reached ±{formatting.percent(run.plan.target)}",
        "budget": f"the budget of {formatting.seconds(run.plan.budget_s)} was spent",
        "failed": f"then it failed: {printable(run.end.message or 'the baseline did')}",
    }
    return f"{count}; {ends[run.end.reason]}."


def _limits(run: Run) -> list[str]:
    """Return what the counted figures do not cover here (``attnbench.counting.dispatch``)."""
    case, rocm = run.case, run.environment.get("hip") is not None
    work = FIXED_WORK.get(case.host.partition("_")[0])
    of_networks = {
        f"Fixed work, the same for every variant: {work}. {NOT_MEASURED}": work,
        "Counts, kernels and activation memory are those of the eager networks.": case.compiled,
        f"Weights are in float32, and torch casts to {case.autocast} what suits it (autocast), "
        "weights anew in every step. Counts, bytes and activation memory hold these casts, by the "
        "operators that torch casts on a CPU.": bool(case.autocast),
        "Counts leave out the gradient scaler.": (
            case.autocast == "float16" and case.mode == "training"
        ),
        "Counts and kernels are those of the eager networks in float32. A runtime's own memory is "
        "not measured.": case.exported,
    }
    cuda = kind_of(case.device) == "cuda"
    of_any = {
        "Convolutions may use TF32 within float32, PyTorch's default.": (
            cuda and not rocm and case.dtype == "float32"
        ),
        "cuDNN's benchmark was on: each process may have chosen other algorithms.": (
            case.cudnn_benchmark
        ),
        f"This GPU is AMD's: torch for ROCm {run.environment.get('hip')}, with MIOpen in the place "
        "of cuDNN.": rocm,
    }
    limits = of_any if case.isolated else of_networks | of_any
    return [sentence for sentence, applies in limits.items() if applies]


def _sites(run: Run) -> list[str]:
    """Return at how many sites each module stands, where these are not as many for all."""
    modules: dict[int, list[str]] = {}
    for name, number in run.plan.sites.items():
        modules.setdefault(number, []).append(title(name))
    if len(modules) < 2:  # noqa: PLR2004  nothing to tell apart
        return []
    listed = joined(
        f"{joined(names)} at {counted(number, 'site')}" for number, names in modules.items()
    )
    return [f"Modules stand at different numbers of sites of the host: {listed}."]


def _executed_by(run: Run) -> list[str]:
    """Return the settings of a runtime that executes files, as it states them; int8's images."""
    if not run.export:
        return []
    name, facts = RUNTIMES[run.case.runtime], next(iter(run.export.values())).settings
    version = run.environment.get(run.case.runtime)
    stated = ", ".join(f"{key} {value}" for key, value in facts.items() if key != CALIBRATION)
    sentences = [f"{name} {version} states these settings: {printable(stated)}."]
    if CALIBRATION in facts:
        sentences.append(f"int8 is calibrated on {printable(str(facts[CALIBRATION]))}.")
    return sentences


CALIBRATION = "calibration"
"""Beside a runtime's settings in the record, and none of them: what int8 took its ranges from."""


def _computed(run: Run) -> list[str]:
    """Return which variants' counts hold for one input alone, and why."""
    return [
        f"The counts of {title(variant)} are those of one forward with the seed's input, on which "
        f"its operators may depend: {printable(reason)}."
        for variant, rules in run.counts.items()
        if (reason := next(filter(None, (count.computed for count in rules.values())), None))
    ]


def disturbances(run: Run) -> list[str]:
    """Return the rounds that were disturbed, and what the GPU's driver reported after rounds."""
    lines = []
    flagged = ratios.flags(run.rounds)
    if throttled := sum(bool(moment.get("gpu_throttle")) for moment in run.moments):
        flagged["under a throttle reason"] = throttled
    if flagged:
        listed = ", ".join(f"{count} {name}" for name, count in flagged.items())
        lines.append(f"Rounds flagged, none dropped: {listed}.")
    if held := sum(timed.held_s > 0 for timed in run.rounds):
        lines.append(
            f"Held back while other programs used the cores: {counted(held, 'round')}, for "
            f"{formatting.seconds(run.held_s)} in all."
        )
    reasons = (moment.get("gpu_throttle") for moment in run.moments)
    throttles = Counter(str(reason) for reason in reasons if reason)
    lines += [
        f"The GPU was throttled after {counted(count, 'round')}: {reason}."
        for reason, count in throttles.items()
    ]
    foreign = sum(bool(moment.get("gpu_other_processes")) for moment in run.moments)
    if foreign:
        lines.append(f"WARNING: after {counted(foreign, 'round')} other processes were on the GPU.")
    clocks = [mhz for moment in run.moments if isinstance(mhz := moment.get("gpu_clock_mhz"), int)]
    if clocks:
        lines.append(f"GPU clock after the rounds: {min(clocks)} to {max(clocks)} MHz.")
    return lines
