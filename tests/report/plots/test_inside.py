import pandas as pd
import pytest

from attnbench.report.plots.inside import INSIDE_PLOTS
from attnbench.report.plots.render import drawn
from attnbench.report.tables.inside.kinds import ELEMENTWISE, MOVES, ORDER


@pytest.fixture
def table():
    host = {"host_ratio": 0.99, "host_ratio_low": 0.98, "host_ratio_high": 1.01}
    rows = [
        {"variant": "sa"} | dict.fromkeys(ORDER, 0.0) | {ELEMENTWISE: 0.1, MOVES: 0.05} | host,
        {"variant": "se"} | dict.fromkeys(ORDER, 0.0) | {MOVES: 0.02} | host,
    ]
    return pd.DataFrame(rows)


def test_bars_are_stacked_in_percent_the_least_first(table):
    figure = INSIDE_PLOTS["inside"].draw(table, "setting")
    (axes,) = figure.axes
    widths = [[bar.get_width() for bar in axes.patches[6 * row : 6 * row + 6]] for row in (0, 1)]
    lefts = [bar.get_x() for bar in axes.patches[6:12]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SE", "SA"]
    assert sum(widths[0]) == pytest.approx(2)
    assert sum(widths[1]) == pytest.approx(15)
    assert lefts[ORDER.index(MOVES)] == pytest.approx(10)  # behind the elementwise ones


def test_it_says_that_they_are_no_latencies(table):
    (drawing,) = drawn(INSIDE_PLOTS, table, "setting")
    assert "not latencies" in drawing.caption
    assert "A profiler slows what it watches" in drawing.words
    assert "SE 2.0% (" in drawing.words
    assert "host's own parts -1.0 [-2.0, +1.0]" in drawing.words
    assert "SA, elementwise: 10.00% of the plain host's step" in drawing.svg.replace("&#x27;", "'")


def test_there_is_none_without_profiles(table):
    assert drawn(INSIDE_PLOTS, table.iloc[:0], "setting") == []
