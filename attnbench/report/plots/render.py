"""The plots of a report: each is drawn once, for its files and for every page that shows it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from attnbench.report.plots.drawing import Plot
from attnbench.report.plots.grid import GRID_PLOTS
from attnbench.report.plots.roofline import ISOLATED_PLOTS
from attnbench.report.plots.run import PLOTS
from attnbench.report.plots.style import GRID, INK, PAPER, RC, SPOKEN
from attnbench.report.tables.run import LoadedRun


@dataclass(frozen=True)
class Drawing:
    """A plot that was drawn: under what name, what it says in words, and both kinds of file."""

    name: str
    caption: str
    words: str
    svg: str
    png: bytes


def of_run(loaded: LoadedRun) -> list[Drawing]:
    """Draw every plot for which the run has data."""
    case = loaded.run.case
    plots = ISOLATED_PLOTS if case.isolated else PLOTS
    table = loaded.frame.assign(mode=case.mode, control_fault=loaded.control_fault)
    return _drawn(plots, table, case.described)


def of_grid(table: pd.DataFrame, setting: str) -> list[Drawing]:
    """Draw every plot that several runs have in common, given their tidy table."""
    return _drawn(GRID_PLOTS, table, setting)


def on_page(drawings: Sequence[Drawing], prefix: str) -> list[Picture]:
    """The drawings as parts of a page; ``prefix`` tells them from others on it."""
    return [
        Picture(each.caption, Markup(inline(each.svg, f"{prefix}-{each.name}")), each.words)
        for each in drawings
    ]


def files(drawings: Sequence[Drawing]) -> dict[str, str | bytes]:
    """The drawings as files by their names."""
    found: dict[str, str | bytes] = {}
    for each in drawings:
        found |= {f"{each.name}.svg": each.svg, f"{each.name}.png": each.png}
    return found


def _drawn(plots: Mapping[str, Plot], table: pd.DataFrame, setting: str) -> list[Drawing]:
    drawings = []
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the SVG has its text all the same
        for name, plot in plots.items():
            if not plot.fits(table):
                continue
            figure = plot.draw(table, setting)
            words = plot.describe(table)
            drawn = as_svg(figure, alternative=words)
            figure.set_layout_engine("none")  # it is laid out; the pixels need it no second time
            drawings.append(Drawing(name, plot.caption, words, drawn, as_png(figure)))
    return drawings


@dataclass(frozen=True)
class Picture:
    """A plot as SVG, with what it is and what it says in words."""

    caption: str
    svg: Markup
    words: str


NAMESPACES = {"": "http://www.w3.org/2000/svg", "xlink": "http://www.w3.org/1999/xlink"}
REFERENCE = re.compile(r"url\(#([^)]+)\)")

OF_THE_PAGE = {
    INK: "currentColor",
    GRID: "var(--grid)",
    PAPER: "none",
    "#332288": "var(--indigo)",
    "#882255": "var(--wine)",
    "#117733": "var(--green)",
    "#661100": "var(--brown)",
}
"""Colours of a file that a dark page cannot show, and what stands for them on a page."""


def as_svg(figure: Figure, alternative: str) -> str:
    """The figure; its points carry their words, and the whole its text alternative."""
    with io.StringIO() as file:
        # A date would make the same records give another file.
        figure.savefig(file, format="svg", metadata={"Date": None})
        text = file.getvalue()
    root = ElementTree.fromstring(text)
    root.set("role", "img")
    root.set("aria-label", alternative)
    _first(root, "title").text = alternative
    points = [each for each in root.iter() if each.get("id", "").startswith(SPOKEN)]
    for number, point in enumerate(points, start=1):
        _first(point, "title").text = point.get("id", "").removeprefix(SPOKEN)
        point.set("id", f"point_{number}")
        point.set("class", "point")
    return _text(root)


def as_png(figure: Figure) -> bytes:
    """The same as pixels."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return file.getvalue()


def inline(svg: str, prefix: str) -> str:
    """The SVG as part of a page: in the page's colours, with ids of its own.

    ``prefix`` tells its ids from those of other plots on the page; the page has ``--grid``.
    """
    root = ElementTree.fromstring(svg)
    title = root.find("title", NAMESPACES)
    if title is not None:  # the page says it beside the plot; as a hint it would be everywhere
        root.remove(title)
    root.set(
        "role", "group"
    )  # an image would hide from screen readers that its points can be reached
    for element in root.iter():
        for key, value in element.items():
            element.set(key, _on_a_page(key, value, prefix))
    return _text(root)


def _on_a_page(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return f"{prefix}-{value}"
    if key.endswith("href") and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    if key == "aria-label":
        return value
    value = REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    for colour, shown in OF_THE_PAGE.items():
        value = value.replace(colour, shown)
    return value


def _first(element: ElementTree.Element, tag: str) -> ElementTree.Element:
    child = ElementTree.Element(f"{{{NAMESPACES['']}}}{tag}")
    element.insert(0, child)
    return child


def _text(root: ElementTree.Element) -> str:
    for prefix, uri in NAMESPACES.items():
        ElementTree.register_namespace(prefix, uri)
    return ElementTree.tostring(root, encoding="unicode")
