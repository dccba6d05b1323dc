"""Every column of a run's frame: its unit, what it means, and how tables print it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from attnbench import formatting
from attnbench.formatting import fraction, giga, mebibytes, mega, thousandths, whole
from attnbench.records.case import CASE_OPTIONS
from attnbench.records.variants import PLAIN
from attnbench.report.tables.table import (
    TOO_LOW,
    UNKNOWN_OPERATORS,
    Column,
    figure,
    names,
    with_doubt,
    with_ends,
    words,
)
from attnbench.stats.steps.single_steps import PERCENTILES

RULES = {
    "macs": "multiply-accumulates of convolutions and matrix products",
    "leaf": "layer by layer, as the papers of SGE and SA print them",
    "thop": "as the package thop counts",
    "fvcore": "as the package fvcore counts",
}
"""The rules of counting that tables show, in their order, and what each counts."""

PARTS = ("forward", "backward", "optimizer")
"""The parts of a training step, in their order."""

PEAKS = {
    "live": (
        "activation memory",
        "Most bytes that one step creates and holds at once; deterministic.",
    ),
    "resident": ("resident peak", "CPU: the process's peak resident size, libraries included."),
    "allocated": (
        "allocated peak",
        "GPU: most bytes in tensors and libraries' workspaces, weights included "
        "(`max_memory_allocated`, which papers quote).",
    ),
    "allocated_above": (
        "allocated by the step",
        "GPU: `peak_allocated_bytes` less what was allocated before the step.",
    ),
    "reserved_above": (
        "segments added",
        "GPU: most bytes in the allocator's segments, of 2 and 20 MiB on CUDA, less those before "
        "the step. No ratio where the plain host's are fewer than ten large ones.",
    ),
    "reserved": (
        "segments",
        "GPU: most bytes in the allocator's segments, weights included.",
    ),
}
"""The peaks of memory by their keys: the words of their headings, and what they mean."""


def _another_word(row: pd.Series[Any], key: str) -> str:
    """Return the code of a verdict; nothing where the verdict is the same word."""
    same = row[key] == row[key.replace("code", "verdict")]
    return formatting.NOTHING if same else words(row, key)


def _ratio(row: pd.Series[Any], key: str) -> str:
    """Return a cell with a measured ratio; that of the plain host to itself is 1 by definition."""
    if row["variant"] == PLAIN:
        return "1" if row["rounds"] > 0 else formatting.NOTHING
    return with_doubt(formatting.ratio)(row, key)


def _levels(row: pd.Series[Any], key: str) -> str:
    """Return what each level leaves open; nothing where only rounds are known."""
    rounds, processes = row[key], row["ratio_processes"]
    if pd.isna(processes) or row["variant"] == PLAIN:
        return formatting.NOTHING
    return f"±{formatting.percent(rounds)} rounds, ±{formatting.percent(processes)} processes"


def _added(key: str, unit: str, heading: str, show: Callable[..., str]) -> Column:
    meaning = f"`{key}` less the plain host's."
    return Column(f"added_{key}", meaning, unit, f"added {heading}", figure(show, signed=True))


def _operations(rule: str) -> Iterator[Column]:
    key = f"{rule}_operations"
    meaning = f"Operations for one image under the rule `{rule}`: {RULES[rule]}."
    yield Column(key, meaning, "1", f"{rule} (G)", figure(giga))
    yield _added(key, "1", f"{rule} (M)", mega)


def _part(part: str) -> Iterator[Column]:
    meaning = f"Training: median seconds of the {part} of one step, for one image."
    yield Column(f"{part}_s", meaning, "s", f"{part} (ms/image)", figure(thousandths))
    meaning = f"As `ratio`, for the {part} alone."
    yield from with_ends(f"{part}_ratio", meaning, "1", f"{part} ratio [95%]", _ratio)


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


def _peak(peak: str) -> Iterator[Column]:
    words, meaning = PEAKS[peak]
    yield Column(f"peak_{peak}_bytes", meaning, "byte", f"{words} (MiB)", figure(mebibytes))
    meaning = f"`peak_{peak}_bytes` over the plain host's."
    yield Column(f"peak_{peak}_ratio", meaning, "1", f"{words} ratio", figure(fraction))


CONFIGURATION = (
    Column("run", "The run's folder."),
    *(Column(name, option.meaning, option.unit) for name, option in CASE_OPTIONS.items()),
    Column("processor", "The GPU's name, or the CPU's."),
    Column("torch", "Its version."),
    Column("time", "When the run began."),
    Column("control_fault", "Why there are no verdicts; empty where the control holds."),
)
"""What `attnbench.read` and `grid.csv` put before the columns of a run."""

KERNELS = Column(
    "kernels",
    "Operators of one forward that launch work, under the rule `executed`.",
    "1",
    "kernels",
    figure(whole),
)
MOVED = Column(
    "moved_bytes",
    "Bytes that these read and write, each tensor once an operator.",
    "byte",
    "memory traffic (MiB)",
    figure(mebibytes),
)

NODES = Column(
    "nodes",
    "Operators that a runtime executes after its own optimisation, of files that are exported.",
    "1",
    "operators",
    figure(whole),
)
EXPORTED = (
    NODES,
    _added("nodes", "1", "operators", whole),
    Column(
        "added_operators",
        "The types of these operators of which there are more or fewer than in the plain host.",
        "",
        "of these",
        words,
    ),
    Column("artefact_bytes", "Of the exported file.", "byte", "file (MiB)", figure(mebibytes)),
    _added("artefact_bytes", "byte", "to the file (MiB)", mebibytes),
    Column(
        "relative_error",
        "Largest difference to the outputs of eager PyTorch in float32, as a share of the largest "
        "of these outputs.",
        "1",
        "output error",
        figure(formatting.error),
    ),
    Column("export_s", "Seconds of the export, where it was not there.", "s", "exported in (s)"),
)
"""What is known of files that a runtime executes in place of the networks."""

ENERGY = (
    *with_ends(
        "energy_j",
        "Median over rounds of the joules of one step, for one image, by the hardware's counter: "
        "the whole board of a GPU, or the whole sockets of a CPU with their memory where it is "
        "counted.",
        "J",
        "energy (mJ/image) [95%]",
        with_doubt(formatting.millijoules),
    ),
    *with_ends(
        "energy_ratio",
        "As `ratio`, of joules.",
        "1",
        "energy ratio within this run [95%]",
        _ratio,
    ),
    *with_ends(
        "energy_ratio_between_runs",
        "As `ratio_between_runs`, of joules; the variation between runs is that of latency.",
        "1",
        "energy ratio [95%]",
        _ratio,
    ),
    Column("energy_verdict", "As `verdict`, of joules.", "", "energy", words),
    Column("energy_code", "As `code`, of joules.", "", "energy code", _another_word),
    Column(
        "power_w",
        "Median over windows of their mean power: joules over seconds.",
        "W",
        "power (W)",
        figure(formatting.tenths),
    ),
    Column("energy_windows", "Windows of energy of the variant.", "1", "windows", figure(whole)),
    Column(
        "energy_apart",
        "Windows in which the counter and the integral of a sensor's power differ by more than a "
        "tenth; empty where there is no such sensor.",
        "1",
        "counter and power apart",
        figure(whole),
    ),
)
"""What is known of energy (`--energy`)."""

COLUMNS = (
    Column("variant", "A module in the host; `plain` is the host alone, `control` the same again."),
    Column("params", "Learnable parameters, exact.", "1", "parameters", figure(whole)),
    _added("params", "1", "parameters", whole),
    Column("thop_params", "Parameters that thop reports; it misses bare ones.", "1"),
    *(column for rule in RULES for column in _operations(rule)),
    KERNELS,
    _added("kernels", "1", "kernels", whole),
    MOVED,
    _added("moved_bytes", "byte", "memory traffic (MiB)", mebibytes),
    *with_ends(
        "latency_s",
        "Median over rounds of the seconds of one step, for one image.",
        "s",
        "latency (ms/image) [95%]",
        with_doubt(formatting.milliseconds),
    ),
    *with_ends(
        "ratio",
        "exp of the median over rounds of log(step / plain step of the same round), of several "
        "processes the mean of their medians; `attnbench/stats/interval.py` and `processes.py` say "
        "how its interval is computed. It covers the rounds and processes of this run alone.",
        "1",
        "ratio within this run [95%]",
        _ratio,
    ),
    Column(
        "ratio_rounds",
        "By how much the rounds alone leave `ratio` open (95%), as a share; printed with "
        "`ratio_processes`.",
        "1",
        "of which rounds, processes",
        _levels,
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
        "`ratio`; its interval also covers the variation between runs of the same case, as that of "
        "`pick` does (`attnbench/stats/between_runs.py`).",
        "1",
        "latency ratio [95%]",
        _ratio,
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
        _ratio,
    ),
    *with_ends(
        "device_ratio_between_runs",
        "As `ratio_between_runs`, of the device's own times.",
        "1",
        "device ratio [95%]",
        _ratio,
    ),
    *_speed("", "as a user has them"),
    *_speed("device_", "the device's own"),
    Column("device_verdict", "As `verdict`, of the device's own times.", "", "device", words),
    Column(
        "device_code",
        "As `code`, of the device's own times.",
        "",
        "device code",
        _another_word,
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
        "Rounds in which its ratio lies beyond Tukey's outer fences; all kept.",
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
    *EXPORTED,
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
        _another_word,
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
        "As `tied_with`, where the interval also covers the variation between runs.",
        "",
        "not distinguishable from",
        names,
    ),
    *ENERGY,
    *(column for peak in PEAKS for column in _peak(peak)),
    Column(
        "graph_pool_bytes",
        "CUDA graphs: bytes that the captured step keeps, in segments of its own pool; the other "
        "peaks are those of the eager step.",
        "byte",
        "graph pool (MiB)",
        figure(mebibytes),
    ),
    Column(
        "published_top1",
        "Top-1 on ImageNet as `published_recipe` states it, not measured. Only where the run is of "
        "224x224 and the module in every block.",
        "percent",
        "published top-1 (%)",
        figure(formatting.hundredths),
    ),
    Column(
        "published_recipe",
        "The one source of `published_top1`, and how it trained; the one with most of the run's "
        "modules.",
    ),
    Column(
        "published_by_recipe",
        "Top-1 of the same network by every recipe that has it: a JSON object, in percent.",
    ),
    *with_ends(
        "measured_top1",
        "Top-1 of weights evaluated here (below) on images of the run's size; empty where "
        "there are none, or several, or the module is not in every block.",
        "percent",
    ),
    *with_ends("measured_top5", "Top-5 of the same.", "percent"),
    Column("measured_on", "The folder of images of `measured_top1`, and the file of weights."),
    TOO_LOW,
    UNKNOWN_OPERATORS,
    Column("error", "What failed, and why."),
)

POOLED_COLUMNS = (
    *COLUMNS,
    Column("runs", "Runs that timed the variant.", "1", "runs", figure(whole)),
    Column(
        "run_to_run",
        "By how much the variation between runs alone can change the ratio (95%), as a share.",
        "1",
        "run-to-run part",
        lambda row, key: formatting.NOTHING if pd.isna(row[key]) else f"±{row[key]:.1%}",
    ),
)
"""What printed tables of several runs of one configuration have."""
