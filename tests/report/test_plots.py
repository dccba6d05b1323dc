import matplotlib.colors
import pandas as pd
import pytest

from attnbench import report
from attnbench.modules import ATTENTION
from attnbench.report.plots import PLOTS
from attnbench.report.style import MODULES, looks
from attnbench.runs import Run


def test_every_module_of_the_table_has_a_colour_and_a_marker_of_its_own() -> None:
    assert set(MODULES) <= set(ATTENTION)
    assert len({colour for colour, _ in MODULES.values()}) == len(MODULES)
    assert len({marker for _, marker in MODULES.values()}) == len(MODULES)


def test_a_module_looks_the_same_whoever_stands_beside_it() -> None:
    assert looks(["sa"])["sa"] == looks(["mine", "se", "sa"])["sa"]
    assert looks(["mine"])["mine"] not in MODULES.values()


@pytest.mark.parametrize("name", PLOTS)
def test_axes_say_what_they_show_in_which_unit(name: str, table: pd.DataFrame) -> None:
    axes = PLOTS[name](table, "setting").axes[0]
    labels = axes.get_xlabel() + axes.get_ylabel()
    assert "(%)" in labels or "(MiB)" in labels


@pytest.mark.parametrize("name", PLOTS)
def test_a_run_without_results_gives_an_empty_plot(name: str, run: Run) -> None:
    empty = report.frame(Run(run.case, run.plan, run.environment))
    assert PLOTS[name](empty, "setting").axes


def test_the_latency_plot_shows_the_ratio_in_the_modules_colour(table: pd.DataFrame) -> None:
    axes = PLOTS["latency_overhead"](table, "setting").axes[0]
    (point,) = [line for line in axes.lines if line.get_marker() == MODULES["sa"][1]]
    assert point.get_xdata()[0] == pytest.approx(20)  # a ratio of 1.20
    assert point.get_color() == MODULES["sa"][0]
    assert matplotlib.colors.is_color_like(point.get_color())


def test_the_memory_plot_shows_the_difference_in_mebibytes(table: pd.DataFrame) -> None:
    axes = PLOTS["memory_overhead"](table, "setting").axes[0]
    (bar,) = axes.patches
    assert bar.get_width() == pytest.approx(15 - 10)
    assert axes.texts[0].get_text() == "+50.0%"
