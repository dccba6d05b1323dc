"""What is known of energy."""

from __future__ import annotations

from attnbench import formatting
from attnbench.formatting import whole
from attnbench.report.tables.figures.cells import another_word, ratio
from attnbench.report.tables.table import Column, figure, with_doubt, with_ends, words

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
        ratio,
    ),
    *with_ends(
        "energy_ratio_between_runs",
        "As `ratio_between_runs`, of joules; the variation between runs is that of latency.",
        "1",
        "energy ratio [95%]",
        ratio,
    ),
    Column("energy_verdict", "As `verdict`, of joules.", "", "energy", words),
    Column("energy_code", "As `code`, of joules.", "", "energy code", another_word),
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
