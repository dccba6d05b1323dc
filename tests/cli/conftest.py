import pytest

from attnbench.report.plots import render


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no plots where they are not the point: they take longer than everything else."""
    monkeypatch.setattr(render, "PLOTS", {})
