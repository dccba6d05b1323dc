"""The command line, called in this process."""

from pathlib import Path

import pytest

from attnbench.cli.app import main

ROOT = Path(__file__).parents[2]
SMALL_RUN = ROOT / "tests" / "data" / "small-run"


def call(*arguments: str) -> int:
    """Return the exit status."""
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)
