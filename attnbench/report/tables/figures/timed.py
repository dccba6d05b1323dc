"""What is timed: latency, ratios, single steps, the device's own time, verdicts."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from attnbench import formatting
from attnbench.formatting import thousandths, whole
from attnbench.report.tables.figures.cells import another_word, levels, ratio
from attnbench.report.tables.table import Column, figure, names, with_doubt, with_ends, words
from attnbench.stats.quantities.single_steps import PERCENTILES

PARTS = ("forward", "backward", "optimizer")
"""The parts of a training step, in their order."""


def _part(part: str) -> Iterator[Column]:
    meaning = f"Training: median seconds of the {part} of one step, for one image."
    yield Column(f"{part}_s", meaning, "s", f"{part} (ms/image)", figure(thousandths))
    meaning = f"As `ratio`, for the {part} alone."
    yield from with_ends(f"{part}_ratio", meaning, "1", f"{part} ratio [95%]", ratio)


def _speed(prefix: str, of: str) -> Iterator[Column]:
    """Yield images a second, and percentiles of single steps, of users' or the device's time."""
    words = "device: " if prefix else ""
    meaning = f"Images of a step over its median seconds, {of}; not of steps that overlap."
    yield from with_ends(
        f"{prefix}images_per_s", meaning, "1/s", f"{words}images/s", figure(formatting.tenths)
    )
    for share in PERCENTILES:
        least = 100 // (100 - share)
        meaning = (
            f"Seconds that {share}% of single steps do not exceed, {of}, for the whole batch, by "
            f"nearest rank over all rounds; without an interval. Empty below {least} steps."
        )
        heading = f"{words}p{share} (ms/step)"
        show = figure(formatting.thousandths)
        yield Column(f"{prefix}step_p{share}_s", meaning, "s", heading, show)


TIMED = (
    *with_ends(
        "latency_s",
        "Median over rounds of the seconds of one step, for one image.",
        "s",
        "latency (ms/image) [95%]",
        with_doubt(formatting.milliseconds),
    ),
    *with_ends(
        "ratio",
        "Latency over the plain host's: exp of the median over rounds of log(step / plain step of "
        "the same round), of a module to both copies of the plain host; of several processes the "
        "mean of their medians. Its interval covers this run alone: the rounds, at each end the "
        "wider of a block bootstrap and order statistics, and of three processes or more also what "
        "differs between them (Student's t), where that is wider.",
        "1",
        "ratio within this run [95%]",
        ratio,
    ),
    Column(
        "ratio_rounds",
        "By how much the rounds alone leave `ratio` open (95%), as a share; printed with "
        "`ratio_processes`.",
        "1",
        "of which rounds, processes",
        levels,
    ),
    Column(
        "ratio_processes",
        "What the scatter between the processes of the run adds to that, in quadrature; empty "
        "where it ran in fewer than three.",
        "1",
    ),
    Column("processes", "Processes of the run in which the variant ran.", "1"),
    *with_ends(
        "ratio_between_runs",
        "Latency over the plain host's, as `ratio`; its interval also covers the variation between "
        "runs of the same case, as that of `pick` does; a remark says how much is assumed.",
        "1",
        "latency ratio [95%]",
        ratio,
    ),
    *with_ends(
        "device_latency_s",
        "As `latency_s`, of the device's own times: steps behind a spin that outlasts their "
        "issuing. Only of devices that execute behind the host.",
        "s",
        "device time (ms/image) [95%]",
        with_doubt(formatting.milliseconds),
    ),
    *with_ends(
        "device_ratio",
        "As `ratio`, of the device's own times.",
        "1",
        "device ratio within this run [95%]",
        ratio,
    ),
    *with_ends(
        "device_ratio_between_runs",
        "As `ratio_between_runs`, of the device's own times.",
        "1",
        "device ratio [95%]",
        ratio,
    ),
    *_speed("", "as a user has them"),
    *_speed("device_", "the device's own"),
    Column("device_verdict", "As `verdict`, of the device's own times.", "", "device", words),
    Column(
        "device_code",
        "As `code`, of the device's own times.",
        "",
        "device code",
        another_word,
    ),
    Column(
        "issued_share",
        "Median over rounds of the share of its seconds in which the host issued the steps. Above "
        "0.9 the device waited for Python, and `ratio` is one of issuing.",
        "1",
        "issuing",
        lambda row, key: formatting.NOTHING if pd.isna(row[key]) else f"{row[key]:.0%}",
    ),
    Column("rounds", "Rounds in which the variant ran.", "1"),
    Column(
        "outliers",
        "Rounds in which its ratio to `plain` lies beyond Tukey's outer fences; all kept.",
        "1",
        "outliers",
        figure(whole),
    ),
    *(column for part in PARTS for column in _part(part)),
    Column(
        "compile_s",
        "Compiled: seconds from nothing to the first answer, compiling included.",
        "s",
        "compiled in (s)",
        figure(formatting.tenths),
    ),
)
"""What is known of times."""


VERDICTS = (
    Column(
        "verdict",
        "slower, faster, no significant difference, by the interval of `ratio_between_runs`; "
        "slower or faster in this run, where only that of `ratio` excludes 1; empty where the "
        "control fails.",
        "",
        "verdict",
        words,
    ),
    Column(
        "code",
        "Of the verdict, or why there is none; `attnbench explain CODE` says what to do. Printed "
        "where it is another word.",
        "",
        "code",
        another_word,
    ),
    Column(
        "tied_with",
        "Modules to which its ratio, within the rounds of this run, has an interval that holds 1; "
        "a list in JSON, as a name may hold commas.",
        "",
        "not distinguishable from, within this run",
        names,
    ),
    Column(
        "tied_between_runs",
        "Modules to which its ratio has an interval that holds 1, the variation between runs "
        "included; a list in JSON.",
        "",
        "not distinguishable from",
        names,
    ),
)
"""What the times allow to say of a module."""
