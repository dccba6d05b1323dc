"""Every column of a run's frame in its order; ``figures`` says what each means, and its print."""

from __future__ import annotations

import pandas as pd

from attnbench import formatting
from attnbench.formatting import whole
from attnbench.records.case import CASE_OPTIONS
from attnbench.report.tables.figures.accuracy import ACCURACY
from attnbench.report.tables.figures.counted import COUNTED
from attnbench.report.tables.figures.energy import ENERGY
from attnbench.report.tables.figures.exported import EXPORTED
from attnbench.report.tables.figures.memory import MEMORY
from attnbench.report.tables.figures.timed import TIMED, VERDICTS
from attnbench.report.tables.table import TOO_LOW, UNKNOWN_OPERATORS, Column, figure

CONFIGURATION = (
    Column("run", "The run's folder."),
    *(Column(name, option.meaning, option.unit) for name, option in CASE_OPTIONS.items()),
    Column("processor", "The GPU's name, or the CPU's."),
    Column("torch", "Its version."),
    Column("time", "When the run began."),
    Column("control_fault", "Why there are no verdicts; empty where the control holds."),
)
"""What `attnbench.read` and `grid.csv` put before the columns of a run."""

COLUMNS = (
    Column("variant", "A module in the host; `plain` is the host alone, `control` the same again."),
    *COUNTED,
    *TIMED,
    *EXPORTED,
    *VERDICTS,
    *ENERGY,
    *MEMORY,
    *ACCURACY,
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
