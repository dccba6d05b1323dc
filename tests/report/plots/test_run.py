from pathlib import Path

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from helpers.figures import FAULT, KNOWN, row, rows, spoken, texts, unsure
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.records.run import Run
from attnbench.report.plots.drawing.names import written
from attnbench.report.plots.drawing.rows import percent
from attnbench.report.plots.grid import GRID_PLOTS
from attnbench.report.plots.run import (
    PLOTS,
    latency_overhead,
    memory_overhead,
    paper_cost_against_latency,
)
from attnbench.report.plots.style import MODULES, SPOKEN, looks
from attnbench.report.tables.run import LoadedRun


def test_every_module_of_the_table_has_a_colour_and_a_marker_of_its_own() -> None:
    assert set(MODULES) == set(ATTENTION)
    assert len({colour for colour, _ in MODULES.values()}) == len(MODULES)
    assert len({marker for _, marker in MODULES.values()}) == len(MODULES)


def test_a_module_looks_the_same_whoever_stands_beside_it() -> None:
    assert looks(["sa"])["sa"] == looks(["mine", "se", "sa"])["sa"]
    assert looks(["mine"])["mine"] not in MODULES.values()
    others = [f"mine {number}" for number in range(16)]
    assert len(set(looks(others).values())) == len(MODULES) + 16


def test_a_run_without_results_fits_no_plot(run: Run) -> None:
    empty = LoadedRun(Run(run.case, run.plan, run.environment)).frame
    assert not any(plot.fits(empty) for plot in PLOTS.values())


def test_a_ratio_is_shown_as_what_is_over_one() -> None:
    assert percent(1.2) == pytest.approx(20)


def test_the_latency_plot_shows_the_ratio_in_the_modules_colour(table: pd.DataFrame) -> None:
    axes = latency_overhead(table, "setting").axes[0]
    (point,) = [line for line in axes.lines if line.get_marker() == MODULES["sa"][1]]
    assert point.get_xdata()[0] == pytest.approx(20)  # a ratio of 1.20
    assert matplotlib.colors.same_color(point.get_color(), MODULES["sa"][0])
    assert "(%)" in axes.get_xlabel()
    # 1.20 [1.19, 1.211] within the run; between runs of sd 1.3%, Student's t with six degrees of
    # freedom: exp(log 1.2 +- hypot(log(1.2112 / 1.2), 2.4469 * 0.013)).
    within = "within this run [+19.0, +21.1]"
    assert point.get_gid() == f"{SPOKEN}SA +20.0% [+16.1, +24.0]; {within}"


def test_latencies_are_ordered_and_too_few_rounds_are_said() -> None:
    endless = row("sge", 1.1, np.inf)
    figure = latency_overhead(rows(row("sa", 1.2), endless, row("se", 1.05)), "")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["SE", "SGE", "SA"]
    few = "[too few rounds]"
    assert f"SGE +10.0% {few}; within this run {few}" in spoken(figure)


TIMED = ("latency_overhead", "accuracy_against_latency", "paper_cost_against_latency")


@pytest.mark.parametrize("name", TIMED)
def test_without_a_control_no_point_is_drawn_as_if_it_were_sure(name: str) -> None:
    held = PLOTS[name].draw(KNOWN.assign(control_fault=None), "setting")
    assert held.get_suptitle() == "setting"
    assert not any(unsure(held))
    table = KNOWN.assign(control_fault=FAULT)
    failed = PLOTS[name].draw(table, "setting")
    assert failed.get_suptitle() == "setting; too noisy to judge"
    assert all(unsure(failed))
    assert all(words.count(", no verdict") == 1 for words in spoken(failed) if "plain" not in words)
    assert "no verdict" in PLOTS[name].describe(table)


def test_what_papers_print_has_a_panel_each() -> None:
    figure = paper_cost_against_latency(rows(row("sa", 1.2, added_params=708.0)), "")
    params, operations = figure.axes
    assert (params.get_xlabel(), operations.get_xlabel()) == (
        "added parameters",
        "added GFLOPs, as papers count",
    )
    assert spoken(figure) == [
        "SA +20.0% [+19.5, +20.5]; added parameters +708",
        "SA +20.0% [+19.5, +20.5]; added GFLOPs, as papers count +0.002",
    ]


def test_names_beside_points_that_lie_close_do_not_cover_each_other() -> None:
    close = rows(
        *(row(name, 1.2 + 0.001 * place) for place, name in enumerate(("sa", "sge", "sk")))
    )
    figure = paper_cost_against_latency(close, "")
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_the_memory_plot_shows_the_difference_in_mebibytes(table: pd.DataFrame) -> None:
    axes = memory_overhead(table, "setting").axes[0]
    (bar,) = axes.patches
    assert bar.get_width() == pytest.approx(15 - 10)
    assert axes.texts[0].get_text() == "+5.0"
    assert "(MiB)" in axes.get_xlabel()


def test_inference_and_training_have_a_panel_each() -> None:
    both = pd.concat(
        [
            rows(row("sa", 1.2)).assign(mode="inference"),
            rows(row("sa", 1.3, peak_live_bytes=40 * 2**20, peak_live_ratio=2.0)).assign(
                mode="training"
            ),
        ]
    )
    figure = memory_overhead(both, "")
    assert sorted(spoken(figure)) == [
        "SA: +10.0 MiB, +50.0%, inference",  # 30 MiB over 20
        "SA: +20.0 MiB, +100.0%, training",  # 40 MiB over 20
    ]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["inference", "training"]
    assert [round(axes.patches[0].get_width()) for axes in figure.axes] == [10, 20]
    assert "(MiB)" in figure.get_supxlabel()
    assert len(memory_overhead(both[both["mode"] == "training"], "").axes) == 1
    assert GRID_PLOTS["memory_across_modes"].fits(both)
    assert not GRID_PLOTS["memory_across_modes"].fits(both[both["mode"] == "training"])


LONG = "a/long/path/of_mine.py:WithALongClassName,groups=32"


def test_a_long_name_is_shortened_in_its_middle_and_on_one_line() -> None:
    assert written(LONG) == "a/long/pa…,groups=32"
    assert written("timm:bottleneck,feat_size=7") == "timm:bott…eat_size=7"
    assert written("sa") == "SA"
    assert written("two\nlines") == "two lines"


@pytest.mark.parametrize("name", PLOTS)
def test_a_name_that_is_shortened_is_whole_under_the_pointer(name: str) -> None:
    table = rows(row(LONG, 1.2, top1=77.0), row("se", 1.1, top1=77.1))
    figure = PLOTS[name].draw(table, "setting")
    whole = [text.get_text() for text in figure.findobj(Text) if text.get_gid() == SPOKEN + LONG]
    assert set(whole) == {"a/long/pa…,groups=32"}


def test_long_names_stand_in_a_key_below_two_panels_and_within_the_figure() -> None:
    table = rows(
        row(LONG, 1.2),
        row("timm:bottleneck,feat_size=7", 1.201),
        *(row(f"another/file_{number}.py:Gate", 1.21) for number in range(5)),
    )
    figure = paper_cost_against_latency(table, "setting")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert not any(texts(axes) for axes in figure.axes)
    (key,) = figure.legends
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in key.get_texts()]
    assert len(boxes) == 7
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)
    assert all(axes.bbox.width > figure.bbox.width / 3 for axes in figure.axes)


def test_names_beside_points_stay_within_their_axes() -> None:
    name = "nine_sign"
    figure = paper_cost_against_latency(rows(row(name, 1.2, added_params=2e6)), "")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        (text,) = axes.texts
        box = text.get_window_extent(canvas.get_renderer())
        assert axes.bbox.x0 <= box.x0 < box.x1 <= axes.bbox.x1


@pytest.mark.parametrize("name", PLOTS)
def test_two_runs_in_one_table_are_not_drawn_as_one(name: str) -> None:
    one = rows(row("sa", 1.2, top1=77.0)).assign(mode="inference")
    with pytest.raises(UserError, match="choose one run of the table"):
        PLOTS[name].draw(pd.concat([one, one]), "")


HOSTILE = 'a$b_1$ <b>"x"</b> & %'


@pytest.mark.parametrize("name", PLOTS)
def test_a_hostile_name_is_drawn_as_it_is(name: str, tmp_path: Path) -> None:
    table = rows(row(HOSTILE, 1.2, top1=77.0))
    figure = PLOTS[name].draw(table, "setting")
    figure.savefig(tmp_path / "plot.svg")
    assert any(words.startswith(HOSTILE) for words in spoken(figure))
    assert HOSTILE in PLOTS[name].describe(table)
