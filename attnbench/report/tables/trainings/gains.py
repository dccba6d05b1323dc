"""What each module gains over the plain host at equal training: table, notes and frame."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from math import inf, nan

import pandas as pd

from attnbench import formatting
from attnbench.formatting import title
from attnbench.records.trainings.schema import WIDER, Trainings
from attnbench.records.variants import CONTROL, PLAIN, STAGES
from attnbench.report.tables.run import LoadedRun
from attnbench.report.tables.table import Table
from attnbench.stats.gains import FURTHER, SETTLED, Gain, Gains
from attnbench.stats.interval import Interval
from attnbench.text import printable

METRICS = {"top1": "top-1", "box_ap": "box AP", "mask_ap": "mask AP"}

HEADINGS = (
    *("network", "{metric} (%)", "gain (points) [95%]", "verdict", "code", "test set alone (±)"),
    *("seeds", "seeds for ±{settled}", "best epoch, chosen on this set (%)", "its gain"),
)

DEFINITIONS = (
    "The plain host, its control with other seeds, and the host with each module.",
    "Mean over the seeds of the last epoch's figure, or of the last epochs' mean.",
    "Difference to the plain host of the same seed: mean, with Student's interval over the seeds.",
    "Whether the interval excludes 0; none where the control fails or one seed is done.",
    "Of the verdict, or why there is none; attnbench explain CODE says what to do.",
    "How far the gain may be off because there are no more test images (95%).",
    "How many have trained both networks to the end.",
    "How many would make the interval that narrow, at the scatter of these.",
    "Mean of each training's best epoch: a choice by the images that it is given for.",
    "The same less the plain host's best epoch.",
)


def metric(trainings: Trainings) -> str:
    """Return the metric's name as it is printed."""
    name = trainings.training.metric
    return METRICS.get(name, printable(name))


def heading(gains: Gains) -> str:
    """Return what was trained in one line, and the metric where there are several."""
    training = gains.trainings.training
    several = training.task == "detection"
    return training.described + (f"; {metric(gains.trainings)}" if several else "")


def table(gains: Gains) -> Table | None:
    """Return one row a network; None before any has a figure."""
    plain = gains.plain
    if not plain:
        return None
    trainings = gains.trainings
    settled = f"{100 * SETTLED:.2f}"
    headings = (text.format(metric=metric(trainings), settled=settled) for text in HEADINGS)
    seeds = [s for s in trainings.seeds if trainings.figure(PLAIN, s) is not None]
    best = sum(trainings.best(PLAIN, seed) or 0.0 for seed in seeds) / len(seeds)
    dash = formatting.NOTHING
    first = (
        *(title(PLAIN), _percent(sum(plain) / len(plain)), dash, dash, dash, dash),
        *(str(len(plain)), dash, _percent(best), dash),
    )
    caption = f"Gain in {metric(trainings)} over the plain host at equal training"
    if gains.control_fault is not None:
        caption += "; no verdicts"
    rows = (first, *(_row(gain) for gain in gains.gains))
    return Table(f"{caption}. {trainings.training.described}", tuple(headings), rows, DEFINITIONS)


def _row(gain: Gain) -> tuple[str, ...]:
    return (
        _named(gain.variant),
        _percent(gain.mean),
        formatting.points(gain.gain),
        gain.verdict if gain.variant != CONTROL and gain.verdict != "none" else formatting.NOTHING,
        formatting.NOTHING if gain.variant == CONTROL else gain.code,
        formatting.hundredths(None if gain.sampling is None else 100 * gain.sampling),
        str(gain.seeds),
        formatting.whole(gain.to_settle),
        _percent(gain.best),
        formatting.hundredths(100 * gain.best_gain, signed=True),
    )


def _named(variant: str) -> str:
    return "plain, wider" if variant == WIDER else title(variant)


def _percent(share: float) -> str:
    return formatting.hundredths(100 * share)


def notes(gains: Gains) -> list[str]:
    """Return what must be known to believe the table, and to make it again."""
    further = gains.trainings.training.metric in FURTHER.values()
    sentences = _of_metric(gains) if further else _sentences(gains)
    return [printable(f"{sentence}.") for sentence in sentences]


def _of_metric(gains: Gains) -> Iterator[str]:
    """Yield what the notes of the file's own metric do not say yet."""
    for sentence in _control(gains):
        yield f"By {metric(gains.trainings)}: {sentence[0].lower()}{sentence[1:]}"


def _sentences(gains: Gains) -> Iterator[str]:
    training = gains.trainings.training
    recipe, data = training.recipe, training.data
    yield (
        f"{training.host}: {data.name}, {data.train_images:,} images to train on and "
        f"{data.test_images:,} to test on ({data.split}), {data.classes:,} classes, sha256 "
        f"{data.sha256}"
    )
    changed = f", but for {', '.join(_stated(gains.trainings))}" if recipe.changed else ""
    yield f"Recipe {recipe.name} ({recipe.source}){changed}: what it shows, it shows of this length"
    of = (
        "the last epoch's" if training.last == 1 else f"the mean of the last {training.last} epochs"
    )
    yield (
        f"A figure is {of}, as stated before the training; papers print the best epoch, which is "
        "chosen on the test images and so too good"
    )
    yield from _control(gains)
    own_error = (
        "the error of the test set itself is not known for an average precision"
        if training.task == "detection"
        else "the test set's own error stands beside"
    )
    yield (
        f"Intervals cover other seeds on the same test images; {own_error}. One in twenty modules "
        "without any effect gets a verdict by chance"
    )
    for name, weights in training.pretrained.items():
        whose = "of every network without a file of its own" if name == PLAIN else f"of {name}"
        yield f"The backbone {whose} began with {weights.name}, sha256 {weights.sha256}"
    for name, why in training.left_out.items():
        yield f"{_named(name)} was left out: {why.removeprefix(f'{name}: ')}"
    for (variant, seed), fault in gains.trainings.faults.items():
        yield (
            f"{variant} with seed {seed} ended early ({fault.kind}): {fault.message}; the figures "
            "are of the other seeds alone, which may flatter it"
        )
    unfinished = [
        f"{variant} with seed {seed}"
        for seed in gains.trainings.seeds
        for variant in training.variants
        if not gains.trainings.finished(variant, seed)
        and (variant, seed) not in gains.trainings.faults
    ]
    if unfinished:
        more = f" and {len(unfinished) - 3} more" if len(unfinished) > 3 else ""  # noqa: PLR2004
        yield f"Not trained to the end yet: {', '.join(unfinished[:3])}{more}"
    if training.width is not None:
        width = training.width
        wider = Interval(width.ratio, width.ratio_low, width.ratio_high)
        module = Interval(width.module_ratio, width.module_ratio_low, width.module_ratio_high)
        yield (
            f"The wider plain host has {width.base} channels in its stem instead of 64: its "
            f"latency is {formatting.ratio(wider)} times the plain host's; that of "
            f"{title(width.module)}, the slowest module, {formatting.ratio(module)} times, in "
            f"{width.rounds} rounds"
        )
    facts, machines = training.environment, gains.trainings.machines
    if len(machines) > 1:
        yield (
            f"Not all epochs were trained on one machine and version: {'; '.join(machines)}; a "
            "difference between networks may be one between these"
        )
    yield (
        f"{training.amp} on {machines[0]}, "
        f"{formatting.counted(training.processes, 'process', 'processes')}, "
        f"attnbench {facts.get('attnbench')}, {facts.get('time')}"
        f"{', deterministic algorithms alone' if training.deterministic else ''}"
    )


def _control(gains: Gains) -> Iterator[str]:
    control = gains.gain(CONTROL)
    if gains.control_fault is not None:
        yield f"No verdicts: {gains.control_fault}"
    elif control is not None:
        yield (
            f"The control holds: the plain host with other seeds gains "
            f"{formatting.points(control.gain)} points over itself"
        )


def _stated(trainings: Trainings) -> list[str]:
    recipe = trainings.training.recipe
    return [f"{name}={_written(getattr(recipe, name))}" for name in recipe.changed]


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def command(trainings: Trainings) -> str:
    """Return the command that trains the same; of a folder of data the name is known."""
    training = trainings.training
    suite, custom = (
        [name for name in training.modules if (name in training.sources) is is_custom]
        for is_custom in (False, True)
    )
    words = ["attnbench", "train", "--data", training.data.name]
    for option, name in training.data.files.items():
        words += [f"--{option}", name]
    words += ["--host", training.host]
    for name, weights in training.pretrained.items():
        words += ["--backbone", weights.name if name == PLAIN else f"{name}={weights.name}"]
    words += ["--modules", ",".join(suite)] if suite else []
    for name in custom:
        words += ["--module", name]
    words += ["--recipe", training.recipe.name]
    for change in _stated(trainings):
        words += ["--set", change]
    words += ["--seeds", str(len(trainings.seeds))]
    for flag, value, default in (
        ("--seed", trainings.seeds[0], 0),
        ("--last", training.last, 1),
        ("--stages", ",".join(map(str, training.stages)), ",".join(map(str, STAGES))),
        ("--blocks", training.blocks, "all"),
        ("--at", training.at, ""),
        ("--replace", training.replace, ""),
        ("--amp", training.amp, "float32"),
    ):
        words += [] if value == default else [flag, str(value)]
    words += ["--image-size", str(training.image_size), "--device", training.device]
    words += ["--threads", str(training.threads)]
    for flag, on in (
        ("--channels-last", training.channels_last),
        ("--deterministic", training.deterministic),
        ("--capacity-control", training.width is not None),
    ):
        words += [flag] if on else []
    return shlex.join(words)


def frame(gains: Gains, run: LoadedRun | None = None) -> pd.DataFrame:
    """Return one row a variant with a gain: ``gain`` and its ends in points, and its verdict.

    With a run of the same host also the latency ratio and its ends, NaN where it has none.
    """
    timed = {} if run is None else {row["variant"]: row for _, row in run.frame.iterrows()}
    keys = ("ratio_between_runs", "ratio_between_runs_low", "ratio_between_runs_high")
    rows = []
    for gain in gains.gains:
        known = timed.get(gain.variant)
        low, high = (
            100 * end if abs(end) < inf else nan for end in (gain.gain.low, gain.gain.high)
        )
        rows.append(
            {
                "variant": gain.variant,
                "gain": 100 * gain.gain.median,
                "gain_low": low,
                "gain_high": high,
                "seeds": gain.seeds,
                "verdict": gain.verdict,
                "code": "" if gain.variant == CONTROL else gain.code,
                **{key: nan if known is None else known[key] for key in keys},
            }
        )
    columns = ("variant", "gain", "gain_low", "gain_high", "seeds", "verdict", "code", *keys)
    fault = gains.control_fault or (None if run is None else run.control_fault)
    return pd.DataFrame(rows, columns=list(columns)).assign(control_fault=fault)


def of_host(trainings: Trainings, run: LoadedRun) -> bool:
    """Return whether a run timed the networks that were trained."""
    training, case = trainings.training, run.run.case
    same = all(
        getattr(training, name) == getattr(case, name)
        for name in ("host", "stages", "blocks", "at", "replace")
    )
    return not case.isolated and same
