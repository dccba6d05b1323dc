import json
from io import StringIO
from pathlib import Path

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.records.run import Run
from attnbench.report.plots.accuracy import accuracy_against_latency, dominated, panels, pareto
from attnbench.report.plots.drawing import PALE, percent, written
from attnbench.report.plots.grid import GRID_PLOTS, overhead_across_grid
from attnbench.report.plots.roofline import ISOLATED_PLOTS, ceilings, roofline
from attnbench.report.plots.run import (
    PLOTS,
    latency_overhead,
    memory_overhead,
    paper_cost_against_latency,
)
from attnbench.report.plots.style import MODULES, SPOKEN, looks
from attnbench.report.tables.run import LoadedRun

RECIPE = "someone/somewhere README; 100 epochs"


def row(
    variant: str,
    ratio: float,
    doubt: float = 0.005,
    top1: float | None = None,
    **others: object,
) -> dict[str, object]:
    """A variant whose interval within the run is half as wide as that between runs."""
    latency = {
        "ratio": ratio,
        "ratio_low": ratio - doubt / 2,
        "ratio_high": ratio + doubt / 2,
        "ratio_between_runs": ratio,
        "ratio_between_runs_low": ratio - doubt,
        "ratio_between_runs_high": ratio + doubt,
    }
    return {
        "variant": variant,
        **latency,
        **{f"{of}_{key}": value for of in ("device", "energy") for key, value in latency.items()},
        "added_params": 100.0,
        "added_leaf_operations": 2e6,
        "peak_live_bytes": 30 * 2**20,
        "peak_live_ratio": 1.5,
        "published_by_recipe": "" if top1 is None else json.dumps({RECIPE: top1}),
        **others,
    }


def rows(*given: dict[str, object], plain_top1: float | None = None) -> pd.DataFrame:
    plain = row("plain", 1.0, 0.0, plain_top1)
    return pd.DataFrame([plain, row("control", 1.001), *given])


def spoken(figure) -> list[str]:
    """The words of every point, in the order in which they were drawn."""
    ids = (artist.get_gid() or "" for axes in figure.axes for artist in axes.get_children())
    return [each.removeprefix(SPOKEN) for each in ids if each.startswith(SPOKEN)]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


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


KNOWN = rows(
    row("se", 1.05, top1=77.0),
    row("sk", 1.10, top1=76.9),  # less accurate than se, and slower
    row("sge", 1.20, top1=77.5),
    row("cbam", 1.205, top1=77.4),  # slower than sge by less than is known
    row("eca", 1.01),
    plain_top1=76.0,
)


def test_the_front_goes_through_what_nothing_beats_in_both() -> None:
    (panel,) = panels(KNOWN)
    known = panel.rows
    assert list(pareto(known)["variant"]) == ["plain", "se", "sge"]


def test_a_module_is_dominated_only_where_that_is_sure() -> None:
    (panel,) = panels(KNOWN)
    known = panel.rows.set_index("variant", drop=False)
    found = {name: dominated(each, known) for name, each in known.iterrows()}
    assert found == {"plain": False, "se": False, "sk": True, "sge": False, "cbam": False}


def headings(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]


def test_accuracies_are_of_one_recipe_that_is_named_with_what_it_lacks() -> None:
    figure = accuracy_against_latency(KNOWN, "setting")
    assert headings(figure) == [f"Published: {RECIPE}"]
    assert figure.get_supxlabel().replace("\n", " ") == (
        "Horizontal intervals include the variation between runs. Dashed: Pareto front. "
        "Hollow: another is significantly faster and at least as accurate. No figure for ECA."
    )
    assert any(words.endswith("published top-1 77.50%") for words in spoken(figure))
    assert set(texts(figure.axes[0])) == {"plain", "SE", "SK", "SGE", "CBAM"}
    fits = PLOTS["accuracy_against_latency"].fits
    assert fits(KNOWN)
    assert not fits(KNOWN.assign(published_by_recipe=""))
    assert fits(KNOWN[KNOWN["variant"].isin(["plain", "se"])])
    assert not fits(KNOWN[KNOWN["variant"] == "se"])  # beside nothing it says nothing
    assert not fits(KNOWN[KNOWN["variant"] == "plain"])


def test_recipes_have_a_panel_each_until_every_module_that_any_has_is_shown() -> None:
    first, second = (json.dumps(known) for known in ({"A": 77.0, "B": 76.5}, {"B": 75.0}))
    table = rows(
        row("se", 1.05, published_by_recipe=first),
        row("sk", 1.10, top1=76.0, published_by_recipe=json.dumps({"A": 77.5})),
        row("gc", 1.20, published_by_recipe=second),
        row("sa", 1.15, published_by_recipe=json.dumps({"C": 77.9, "A again": 77.8})),
        row("eca", 1.01, published_by_recipe=json.dumps({"D": 77.4})),
    ).assign(published_by_recipe=lambda table: table["published_by_recipe"])
    shown = panels(table)
    assert [(panel.heading, list(panel.rows["variant"])) for panel in shown] == [
        ("Published: A", ["se", "sk"]),
        ("Published: B", ["se", "gc"]),
        (
            "Published alone, each by another recipe, so not comparable. SA: C; ECA: D",
            ["sa", "eca"],
        ),
    ]
    assert list(shown[2].rows["top1"]) == [77.9, 77.4]
    assert [panel.judged for panel in shown] == [True, True, False]
    figure = accuracy_against_latency(table, "")
    assert [set(texts(axes)) for axes in figure.axes] == [{"SE", "SK"}, {"SE", "GC"}, {"SA", "ECA"}]
    assert "No figure" not in figure.get_supxlabel()


def test_an_accuracy_that_was_measured_here_is_in_the_plot() -> None:
    measured = {"measured_top1": 80.0, "measured_top1_low": 79.0, "measured_top1_high": 81.0}
    where = {"measured_on": "photos, 6,000 images; sa.pth"}
    table = rows(row("sa", 1.2, **measured, **where), row("se", 1.1, top1=77.0), plain_top1=76.0)
    figure = accuracy_against_latency(table, "")
    assert headings(figure) == ["Measured here, on photos, 6,000 images", f"Published: {RECIPE}"]
    assert "SA +20.0% [+19.5, +20.5]; measured top-1 80.00% [79.00, 81.00]" in spoken(figure)
    plot = PLOTS["accuracy_against_latency"]
    assert "measured top-1 80.00%" in plot.describe(table)
    name = figure.axes[0].texts[0].get_window_extent(FigureCanvasAgg(figure).get_renderer())
    point = figure.axes[0].transData.transform((20, 80))
    assert not name.x0 <= point[0] <= name.x1  # beside the upright whisker, not on it
    assert plot.fits(table[table["variant"] == "sa"])  # it needs no other network


def test_a_name_is_clear_of_the_whiskers_of_all_points() -> None:
    close = rows(
        row("sge", 1.146, 0.04, top1=77.584),
        row("sk", 1.159, 0.04, top1=77.538),
        row("cbam", 1.229, 0.04, top1=77.626),
        plain_top1=76.384,
    )
    figure = accuracy_against_latency(close, "")
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    names = [text.get_window_extent(renderer) for text in axes.texts]
    whiskers = [
        Bbox(axes.transData.transform(segment)).padded(1)
        for lines in axes.collections
        for segment in lines.get_segments()
    ]
    assert (len(names), len(whiskers)) == (4, 4)
    assert not any(name.overlaps(whisker) for name in names for whisker in whiskers)


FAULT = "the plain host against itself is significantly different from 1"


def markers(figure: Figure) -> list[Line2D]:
    """The points of a figure that have words."""
    found = [artist for axes in figure.axes for artist in axes.get_children()]
    return [each for each in found if isinstance(each, Line2D) and each.get_gid()]


def unsure(figure: Figure) -> list[bool]:
    """Of every point whether it is pale and hollow."""
    return [
        (each.get_alpha(), each.get_markerfacecolor()) == (PALE, "none") for each in markers(figure)
    ]


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


def test_without_a_control_there_is_neither_front_nor_dominance() -> None:
    table = KNOWN.assign(control_fault=FAULT)
    figure = accuracy_against_latency(table, "")
    (axes,) = figure.axes
    assert "front" not in figure.get_supxlabel()
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]
    assert "Hollow" not in figure.get_supxlabel()
    assert "front" not in PLOTS["accuracy_against_latency"].describe(table)


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


def grid_of(*sizes: tuple[int, int | str], **others: object) -> pd.DataFrame:
    settings = {"host": "resnet50", "mode": "inference", "dtype": "float32", "runtime": "eager"}
    settings |= {"channels_last": False, "processor": "A", "torch": "2"}
    return pd.concat(
        [
            rows(row("sa", 1 + 1 / batch), row("se", 1.1)).assign(
                batch_size=batch, image_size=image, **(settings | others)
            )
            for batch, image in sizes
        ]
    )


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
