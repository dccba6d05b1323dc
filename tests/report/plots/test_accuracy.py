import json

from helpers.figures import (
    FAULT,
    KNOWN,
    RECIPE,
    headings,
    row,
    rows,
    spoken,
    texts,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from attnbench.report.plots.accuracy import accuracy_against_latency, dominated, panels, pareto
from attnbench.report.plots.run import (
    PLOTS,
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
    assert "Vertical intervals: the number of images." in " ".join(figure.get_supxlabel().split())
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


def test_without_a_control_there_is_neither_front_nor_dominance() -> None:
    table = KNOWN.assign(control_fault=FAULT)
    figure = accuracy_against_latency(table, "")
    (axes,) = figure.axes
    assert "front" not in figure.get_supxlabel()
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]
    assert "Hollow" not in figure.get_supxlabel()
    assert "front" not in PLOTS["accuracy_against_latency"].describe(table)
