from pathlib import Path

import pandas as pd
import pytest

from attnbench.records import store
from attnbench.records.run import Run, gather
from attnbench.report.tables.run import LoadedRun

SMALL_RUN = Path(__file__).parent.parent / "data" / "small-run"


@pytest.fixture
def run() -> Run:
    return gather(store.read(SMALL_RUN), str(SMALL_RUN))


@pytest.fixture
def table(run: Run) -> pd.DataFrame:
    return LoadedRun(run).frame.set_index("variant", drop=False)
