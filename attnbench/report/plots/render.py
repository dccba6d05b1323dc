"""The plots of a report, each drawn once for its files and for every page that shows it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from attnbench.report.plots.drawing.canvas import Plot
from attnbench.report.plots.drawing.names import no_formula
from attnbench.report.plots.inside import INSIDE_PLOTS
from attnbench.report.plots.roofline import ISOLATED_PLOTS
from attnbench.report.plots.run import PLOTS
from attnbench.report.plots.style import GRID, INK, NOTES, PAPER, RC, SETTING, SPOKEN
from attnbench.report.tables.inside import shares
from attnbench.report.tables.run import LoadedRun
from attnbench.text import visible


@dataclass(frozen=True)
class Drawing:
    """A plot as SVG and PNG, with its name, its caption and what it shows in words."""

    name: str
    caption: str
    words: str
    notes: str
    """What stands below it, in one line: files hold it, a page sets it as text that wraps."""
    svg: str
    png: bytes


def of_run(loaded: LoadedRun) -> list[Drawing]:
    """Draw every plot for which the run has data."""
    case = loaded.run.case
    plots = ISOLATED_PLOTS if case.isolated else PLOTS
    table = loaded.frame.assign(
        mode=case.mode,
        control_fault=loaded.control_fault,
        device_control_fault=loaded.device_control_fault,
        energy_control_fault=loaded.energy_control_fault,
    )
    several = f"; mean of {len(loaded.runs)} runs" if len(loaded.runs) > 1 else ""
    setting = f"{case.described}{several}"
    inside = drawn(INSIDE_PLOTS, shares.kinds(loaded.run), case.described)
    return [*drawn(plots, table, setting), *inside]


def on_page(drawings: Sequence[Drawing], prefix: str) -> list[Drawing]:
    """Return the drawings as parts of a page; ``prefix`` makes their ids unique on it."""
    return [
        replace(drawing, svg=Markup(inline(drawing.svg, f"{prefix}-{drawing.name}")))
        for drawing in drawings
    ]


def files(drawings: Sequence[Drawing]) -> dict[str, str | bytes]:
    """Return the drawings as files by their names."""
    svg: dict[str, str | bytes] = {f"{drawing.name}.svg": drawing.svg for drawing in drawings}
    return svg | {f"{drawing.name}.png": drawing.png for drawing in drawings}


def drawn(plots: Mapping[str, Plot], table: pd.DataFrame, setting: str) -> list[Drawing]:
    """Draw those plots for which the table has data."""
    drawings = []
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the SVG holds text, not glyphs
        for name, plot in plots.items():
            if not plot.fits(table):
                continue
            figure = plot.draw(table, setting)
            words = visible(plot.describe(table))
            svg = as_svg(figure, alternative=words)
            figure.set_layout_engine("none")  # the layout is done
            notes = f"{_beyond(figure, setting)} {figure.get_supxlabel()}"
            notes = " ".join(notes.split())
            drawings.append(Drawing(name, plot.caption, words, notes, svg, as_png(figure)))
    return drawings


def _beyond(figure: Figure, setting: str) -> str:
    """Return what the line above a plot says beyond its setting, as a sentence.

    A page leaves that line out, and states the setting once; but not that a control failed.
    """
    above = " ".join(figure.get_suptitle().split())
    rest = above.removeprefix(" ".join(no_formula(setting).split())).lstrip("; ")
    return f"{rest[:1].upper()}{rest[1:]}." if rest and rest != above else ""


OF_FILES = {SETTING: "data-above", NOTES: "data-below"}
"""What a page leaves out of a plot -> attribute of a file's root: the height that it takes."""

NAMESPACES = {"": "http://www.w3.org/2000/svg", "xlink": "http://www.w3.org/1999/xlink"}
for namespace in NAMESPACES.items():
    ElementTree.register_namespace(*namespace)


DIGEST = re.compile("[a-zA-Z][0-9a-f]{10}")
REFERENCE = re.compile(f"#{DIGEST.pattern}(?![0-9a-f])")
"""Of Matplotlib's backend for SVG: a letter and the beginning of a SHA-256."""

COORDINATES = {"d", "x", "y", "width", "height", "transform"}
NUMBER = re.compile(r"-?\d+(\.\d+)?")
DECIMALS = 3
"""Of a coordinate, in points of 1/72 inch. Matplotlib writes six, of which the last differ between
CPUs, as logarithms and matrix products do in their last bit."""

OF_THE_PAGE = {
    INK: "currentColor",
    GRID: "var(--grid)",
    PAPER: "none",
    "#332288": "var(--indigo)",
    "#882255": "var(--wine)",
    "#117733": "var(--green)",
    "#661100": "var(--brown)",
}
"""Colour in a file -> what the page defines, where a dark page could not show it."""


def as_svg(figure: Figure, alternative: str) -> str:
    """Return the figure as SVG: its points have tooltips, and the whole its text alternative."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})  # the same records, the same file
    root = ElementTree.fromstring(file.getvalue())
    for name, attribute in OF_FILES.items():
        root.set(attribute, f"{_height(figure, name):.1f}")
    points = [node for node in root.iter() if node.get("id", "").startswith(SPOKEN)]
    for number, point in enumerate(points, start=1):
        _insert_title(point, point.get("id", "").removeprefix(SPOKEN))
        point.attrib |= {"id": f"point_{number}", "class": "point"}
    _number_digests(root)
    _round_coordinates(root)
    _insert_title(root, alternative)
    root.attrib |= {"role": "img", "aria-label": alternative}
    return ElementTree.tostring(root, encoding="unicode")


def _number_digests(root: ElementTree.Element) -> None:
    """Name by their order what Matplotlib names by digests of coordinates: markers, bounds.

    The last digits of coordinates, and so the whole digests, differ between CPUs.
    """
    ids = filter(DIGEST.fullmatch, (node.get("id", "") for node in root.iter()))
    names = {f"#{digest}": f"#part_{number}" for number, digest in enumerate(ids, start=1)}
    for node in root.iter():
        if f"#{node.get('id')}" in names:
            node.set("id", names[f"#{node.get('id')}"].removeprefix("#"))
        for key, value in node.items():
            node.set(key, REFERENCE.sub(lambda found: names.get(found[0], found[0]), value))


def _round_coordinates(root: ElementTree.Element) -> None:
    for node in root.iter():
        for key in COORDINATES & node.attrib.keys():
            node.set(key, NUMBER.sub(lambda found: _rounded(found[0]), node.get(key, "")))


def _rounded(number: str) -> str:
    return f"{float(number):z.{DECIMALS}f}".rstrip("0").rstrip(".")


def _height(figure: Figure, name: str) -> float:
    """Return the height that setting or notes take at the figure's edge, in units of the SVG."""
    text = next((text for text in figure.texts if text.get_gid() == name), None)
    if text is None or not text.get_text():
        return 0.0
    extent, whole = text.get_window_extent(), figure.bbox.height
    legends = filter(None, (axes.get_legend() for axes in figure.axes))
    if name == NOTES and any(key.get_window_extent().y0 < extent.y1 for key in legends):
        return 0.0  # a legend reaches down beside the notes
    pixels = whole - extent.y0 if name == SETTING else extent.y1
    return float(pixels * figure.bbox_inches.height / whole * 72)


def as_png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return file.getvalue()


def inline(svg: str, prefix: str) -> str:
    """Return the SVG as part of a page: in the page's colours, and with ``prefix`` in its ids."""
    root = ElementTree.fromstring(svg)
    title = root.find("title", NAMESPACES)
    if title is not None:  # the caption has it; here it would be a tooltip everywhere
        root.remove(title)
    _without_text_of_files(root)
    root.set("role", "group")  # within an image, screen readers would not reach the points
    for element in root.iter():
        for key, value in element.items():
            element.set(key, _on_a_page(key, value, prefix))
    return ElementTree.tostring(root, encoding="unicode")


def _without_text_of_files(root: ElementTree.Element) -> None:
    """Take setting and notes away, which the page has as text, and the space they stood in."""
    heights = {name: float(root.attrib.pop(key, "0")) for name, key in OF_FILES.items()}
    for parent in root.iter():
        for child in [child for child in parent if child.get("id") in heights]:
            parent.remove(child)
    left, top, width, height = map(float, root.get("viewBox", "0 0 1 1").split())
    rest = height - sum(heights.values())
    root.attrib |= {"viewBox": f"{left:g} {top + heights[SETTING]:g} {width:g} {rest:g}"}
    root.attrib |= {"height": f"{rest:g}pt"}


def _on_a_page(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return f"{prefix}-{value}"
    if key.endswith("href") and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    if key == "aria-label":
        return value
    value = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", value)
    for colour, variable in OF_THE_PAGE.items():
        value = value.replace(colour, variable)
    return value


def _insert_title(element: ElementTree.Element, text: str) -> None:
    title = ElementTree.Element(f"{{{NAMESPACES['']}}}title")
    title.text = text
    element.insert(0, title)
