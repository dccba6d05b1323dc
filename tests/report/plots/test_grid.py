import pandas as pd
import pytest
from helpers.figures import FAULT, grid_of, spoken, unsure

from attnbench.report.plots.grid import GRID_PLOTS, overhead_across_grid
from attnbench.report.plots.run import memory_overhead


def test_of_a_grid_the_points_of_runs_without_a_control_are_told_apart() -> None:
    held, failed = grid_of((2, 64)), grid_of((8, 64)).assign(control_fault=FAULT)
    table = pd.concat([held, failed])
    figure = overhead_across_grid(table, "setting")
    assert figure.get_suptitle() == "setting; pale and hollow: too noisy to judge"
    assert unsure(figure) == [False, True] * 2
    assert GRID_PLOTS["overhead_across_grid"].describe(table) == (
        "Latency over the plain host. SA +50.0% at 2, +12.5% at 8 (no verdict) "
        "SE +10.0% at 2, +10.0% at 8 (no verdict) (batch size)."
    )
    modes = pd.concat([held, failed.assign(mode="training")])
    assert memory_overhead(modes, "setting").get_suptitle() == "setting"  # its figures are exact


def test_a_grid_has_a_line_a_module_along_what_varies() -> None:
    table = grid_of((2, 64), (8, 64))
    figure = overhead_across_grid(table, "")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "batch size"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "8"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["SA", "SE"]
    assert "SA +50.0% [+49.5, +50.5] at batch size 2" in spoken(figure)
    assert GRID_PLOTS["overhead_across_grid"].describe(table) == (
        "Latency over the plain host. SA +50.0% at 2, +12.5% at 8 "
        "SE +10.0% at 2, +10.0% at 8 (batch size)."
    )


def test_a_grid_has_a_panel_for_each_of_the_other_settings() -> None:
    table = pd.concat([grid_of((2, 64), (8, 64)), grid_of((2, 64), (8, 64), mode="training")])
    figure = overhead_across_grid(table, "")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["inference", "training"]


def test_a_line_joins_runs_of_the_same_blocks_only() -> None:
    parts = [grid_of((2, 64), (8, 64), stages=stages) for stages in ("1 2 3 4", "3 4")]
    figure = overhead_across_grid(pd.concat(parts), "")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["stages 1 2 3 4", "stages 3 4"]


def test_two_sizes_that_vary_have_panels_of_both_kinds() -> None:
    figure = overhead_across_grid(grid_of((2, 64), (8, 64), (2, 128), (8, 128)), "")
    panels = [(axes.get_xlabel(), axes.get_title(loc="left")) for axes in figure.axes]
    assert panels == [
        ("batch size", "image size 64"),
        ("batch size", "image size 128"),
        ("image size", "batch size 2"),
        ("image size", "batch size 8"),
    ]


def test_images_that_are_not_square_stand_side_by_side_by_their_pixels() -> None:
    table = grid_of((2, "96x64"), (2, 96), (2, "64x96"), (2, 64))
    figure = overhead_across_grid(table, "")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["64", "64x96", "96x64", "96"]
    assert list(axes.get_xticks()) == [0, 1, 2, 3]
    assert "SA +50.0% [+49.5, +50.5] at image size 64x96" in spoken(figure)
    two = overhead_across_grid(pd.concat([table, grid_of((8, 64), (8, "64x96"))]), "")
    assert ("batch size", "image size 64x96") in [
        (axes.get_xlabel(), axes.get_title(loc="left")) for axes in two.axes
    ]


def test_a_line_goes_through_the_mean_of_the_runs_of_one_configuration() -> None:
    table = pd.concat([grid_of((2, 64), (8, 64)), grid_of((8, 64)).assign(ratio=1.25)])
    (axes,) = overhead_across_grid(table, "").axes
    sa, se = (line for line in axes.lines if list(line.get_xdata()) == [2, 8])
    assert list(sa.get_ydata()) == pytest.approx([50, 100 * ((1.125 * 1.25) ** 0.5 - 1)])
    assert list(se.get_ydata()) == pytest.approx([10, 100 * ((1.1 * 1.25) ** 0.5 - 1)])


def test_one_configuration_is_no_grid() -> None:
    assert not GRID_PLOTS["overhead_across_grid"].fits(grid_of((2, 64)))
