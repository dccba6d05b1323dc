from io import StringIO
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from helpers.figures import (
    FAULT,
    spoken,
    unsure,
)
from matplotlib.text import Text

from attnbench.report.plots.roofline import ISOLATED_PLOTS, ceilings, roofline

ALONE = pd.DataFrame(
    {
        "module": ["sa", "sk"],
        "stage": [1.0, 1.0],
        "macs": [0.0, 2e9],
        "moved_bytes": [1e6, 1e8],
        "latency_s": [1e-4, 1e-2],
        "bytes_per_s": [1e10, 1e10],
        "bytes_per_s_low": [0.9e10, 0.9e10],
        "bytes_per_s_high": [1.1e10, np.inf],
        "copy_bytes_per_s": [np.nan, np.nan],
        "memory_bytes_per_s": [2e10, 2e10],
        "bandwidth_share": [0.5, 0.5],
        "compute_share": [0.0, 0.8],
        "unknown_operators": ["", ""],
    }
)


def test_the_roofs_are_the_rates_of_the_ceilings() -> None:
    # SK: 2e9 in 1e-2 s, 0.8 of the product's.
    assert ceilings(ALONE) == (pytest.approx(2e10), pytest.approx(2.5e11))
    assert ceilings(ALONE[:1]) == (pytest.approx(2e10), np.inf)


def test_without_a_control_a_roofline_is_as_unsure() -> None:
    figure = roofline(ALONE.assign(control_fault=FAULT), "setting")
    assert figure.get_suptitle() == "setting; too noisy to judge"
    assert all(unsure(figure))


def test_a_roofline_rises_with_the_copy_and_is_level_at_the_product() -> None:
    figure = roofline(ALONE, "setting")
    (axes,) = figure.axes
    roof = max(axes.lines, key=lambda line: len(line.get_xdata()))
    x, y = roof.get_xdata(), roof.get_ydata()
    assert y[0] == pytest.approx(20 * x[0])  # 20 GB/s of the copy, in 1e9 a second
    assert y[-1] == pytest.approx(250)  # the product's 2.5e11
    assert all(np.diff(y) >= 0)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    # SK: 2e9 multiply-accumulates over 1e8 bytes at 1e10 bytes a second.
    assert spoken(figure) == ["SK, stage 1: 200 GMAC/s, 20 multiply-accumulates a byte, 10.0 GB/s"]


def stages(moved: list[float], module: str = "sk") -> pd.DataFrame:
    """A module at as many stages as it moves so many bytes at."""
    rows = pd.concat([ALONE[1:]] * len(moved), ignore_index=True)
    of_stages = range(1, len(moved) + 1)
    return rows.assign(module=module, stage=list(map(float, of_stages)), moved_bytes=moved)


def test_a_module_is_one_line_with_its_first_and_last_stage_named() -> None:
    figure = roofline(stages([1e8, 3e8, 9e8, 27e8]), "setting")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["SK 1", "SK 4"]
    # 2e9 multiply-accumulates over the bytes of each stage.
    joined = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 4]
    assert joined == [pytest.approx([20, 20 / 3, 20 / 9, 20 / 27])]
    assert "A line joins a module's stages" in figure.get_supxlabel()
    assert "A line joins" not in roofline(ALONE, "setting").get_supxlabel()


def test_the_name_of_a_long_module_is_left_to_the_legend() -> None:
    figure = roofline(stages([1e8, 9e8], "mine.py:Attention"), "setting")
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2"]


def test_names_of_modules_at_one_place_stand_apart_and_lines_lead_from_those_far_away() -> None:
    names = ("se", "cbam", "eca", "gc", "sk")
    figure = roofline(pd.concat([stages([1e8, 1.01e8], name) for name in names]), "setting")
    texts = figure.axes[0].texts
    # Of the words alone, without the space above and below the letters.
    boxes = [Text.get_window_extent(text).expanded(0.8, 0.6) for text in texts]
    assert len(boxes) == 10
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    led = [text.arrow_patch is not None for text in texts]
    assert any(led)
    assert not all(led)


def test_a_dash_is_the_roof_of_a_copy_of_the_map_and_the_product_bounds_it() -> None:
    # SK: 20 multiply-accumulates a byte, at 1.25e10 bytes a second of the copy of its map.
    table = ALONE.assign(copy_bytes_per_s=1.25e10)
    figure = roofline(table, "setting")
    (axes,) = figure.axes
    dashes = [line for line in axes.lines if line.get_marker() == "_" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in dashes] == [(20, 250)]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["large copy,\nlarge product", "copy of its map", "SK"]
    assert "Dashes: the roof of each" in figure.get_supxlabel()
    assert "SK stage 1 200 below 250 at 20" in ISOLATED_PLOTS["roofline"].describe(table)
    slower = roofline(ALONE.assign(copy_bytes_per_s=1.1e10), "setting").axes[0]
    (dash,) = [line for line in slower.lines if line.get_marker() == "_" and len(line.get_xdata())]
    assert dash.get_ydata()[0] == pytest.approx(220)


def test_a_module_without_multiplications_is_named_and_has_no_place() -> None:
    figure = roofline(ALONE, "setting")
    note = "No multiply-accumulates, so no place here: SA."
    assert note in figure.get_supxlabel().replace("\n", " ")
    plot = ISOLATED_PLOTS["roofline"]
    assert note in plot.describe(ALONE)
    assert "20.0 GB/s" in plot.describe(ALONE)
    assert plot.fits(ALONE)
    assert not plot.fits(ALONE.assign(bytes_per_s=np.nan))
    assert spoken(roofline(ALONE[:1], "setting")) == []  # no module with any


def test_a_module_with_unknown_operators_is_named_as_higher_than_drawn() -> None:
    low = ALONE.assign(unknown_operators=["", "aten::fold x1"])
    note = "Not fully counted, so higher than drawn: SK."
    assert note in roofline(low, "setting").get_supxlabel().replace("\n", " ")
    describe = ISOLATED_PLOTS["roofline"].describe
    assert note in describe(low)
    # A table from a file has NaN for empty text, and an older one has no such column.
    read = pd.read_csv(StringIO(ALONE.to_csv(index=False)))
    assert read["unknown_operators"].isna().all()
    for all_known in (ALONE, read, ALONE.drop(columns="unknown_operators")):
        assert "Not fully counted" not in describe(all_known)
