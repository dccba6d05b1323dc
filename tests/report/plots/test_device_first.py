"""Where the GPU waited for Python, plots against other figures show the device's own time."""

import json

import pandas as pd
import pytest

from attnbench.report.plots.drawing.rows import foremost
from attnbench.report.plots.render import drawn
from attnbench.report.plots.run import PLOTS


def network(variant: str, ratio: float, device_ratio: float, issued: float) -> dict[str, object]:
    figures = {"ratio": ratio, "ratio_between_runs": ratio}
    figures |= {f"device_{key}": device_ratio for key in list(figures)}
    return {
        "variant": variant,
        **{f"{key}{end}": value for key, value in figures.items() for end in ("", "_low", "_high")},
        "issued_share": issued,
        "added_params": 100.0,
        "added_leaf_operations": 2e6,
        "published_by_recipe": json.dumps({"a recipe": 77.0}),
    }


def of_run(issued: float) -> pd.DataFrame:
    networks = (("plain", 1.0, 1.0), ("se", 1.6, 1.3), ("sa", 2.0, 1.7))
    return pd.DataFrame([network(*each, issued) for each in networks])


@pytest.mark.parametrize("name", ["paper_cost_against_latency", "accuracy_against_latency"])
@pytest.mark.parametrize(
    ("issued", "what", "se"),
    [(0.95, "device time", "+30.0%"), (0.5, "latency", "+60.0%")],
)
def test_what_lies_against_time_lies_against_that_of_the_gpu_where_it_waited(
    name: str, issued: float, what: str, se: str
) -> None:
    plot = PLOTS[name]
    table = of_run(issued)
    axes = plot.draw(table, "a run").axes
    labels = {text for each in axes for text in (each.get_xlabel(), each.get_ylabel())}
    assert any(label.startswith(f"{what} over plain host (%)") for label in labels)
    words = plot.describe(table)
    assert f"against {what} over the plain host" in words
    assert f"SE {se}" in words
    assert "of issuing" not in words


def test_every_plot_has_the_modules_in_the_order_of_the_table() -> None:
    networks = (("plain", 1.0, 1.0), ("se", 1.6, 1.8), ("sa", 2.0, 1.7))  # SA first by the device
    peaks = {"peak_live_ratio": 1.5, "peak_live_bytes": 3.0 * 2**20, "mode": "inference"}
    table = pd.DataFrame([network(*each, 0.95) | peaks for each in networks])
    for name in ("device_overhead", "latency_overhead", "memory_overhead"):
        (axes,) = PLOTS[name].draw(table, "a run").axes
        assert [text.get_text() for text in axes.get_yticklabels()] == ["SA", "SE"], name
    issued_fast = table.assign(issued_share=0.5)
    (axes,) = PLOTS["memory_overhead"].draw(issued_fast, "a run").axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["SE", "SA"]


def test_a_page_says_below_a_plot_what_the_line_above_it_said_beyond_the_setting() -> None:
    peaks = {"peak_live_ratio": 1.5, "peak_live_bytes": 3.0 * 2**20, "mode": "inference"}
    table = of_run(0.95).assign(**peaks, control_fault="too wide")
    setting = "a setting of many-worded parts: " + "one-two " * 20
    notes = {drawing.name: drawing.notes for drawing in drawn(PLOTS, table, setting)}
    beyond = "Too noisy to judge; the GPU waited for Python: latency is that of issuing. Thin: "
    assert notes["latency_overhead"].startswith(beyond)
    assert notes["memory_overhead"] == ""  # its figures are exact, whatever was timed
    sound = {each.name: each.notes for each in drawn(PLOTS, of_run(0.5).assign(**peaks), setting)}
    assert sound["latency_overhead"].startswith("Thin")


def test_without_the_devices_own_time_latency_is_shown_as_what_it_is() -> None:
    table = of_run(0.95).drop(columns=["device_ratio"])
    shown, what = foremost(table)
    assert what == "latency"
    assert shown is table
    assert "of issuing" in PLOTS["paper_cost_against_latency"].describe(table)
