import re
from importlib.resources import files
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from attnbench.report.plots.drawing.canvas import noted
from attnbench.report.plots.render import (
    OF_THE_PAGE,
    _round_coordinates,
    as_png,
    as_svg,
    inline,
)
from attnbench.report.plots.style import GRID, INK, NOTES, RC, SETTING, say

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("x")</script> & more'


@pytest.fixture
def figure() -> Figure:
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(2, 1))
        axes = drawn.subplots()
        (point,) = axes.plot([1], [1], marker="o", color="#332288")
        say(point, HOSTILE)
        axes.set_xlabel("x & <y>")
        return drawn


@pytest.fixture
def drawn(figure: Figure) -> str:
    with mpl.rc_context(RC):
        return as_svg(figure, alternative=f"One point. {HOSTILE}")


def test_a_point_has_its_words_and_the_whole_its_alternative(drawn: str) -> None:
    root = ElementTree.fromstring(drawn)
    assert root.get("role") == "img"
    assert root.get("aria-label") == f"One point. {HOSTILE}"
    (point,) = [each for each in root.iter() if each.get("class") == "point"]
    assert point.get("id") == "point_1"
    assert point[0].tag == f"{SVG}title"
    assert point[0].text == HOSTILE
    assert "<script" not in drawn


def test_on_a_page_its_points_can_be_reached_and_it_has_its_alternative(drawn: str) -> None:
    root = ElementTree.fromstring(inline(drawn, "one"))
    assert (ElementTree.fromstring(drawn).get("role"), root.get("role")) == ("img", "group")
    assert root.get("aria-label") == f"One point. {HOSTILE}"


def test_text_stays_text(drawn: str) -> None:
    texts = [each.text for each in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    assert "x & <y>" in texts


def test_a_drawing_is_the_same_on_every_cpu(drawn: str) -> None:
    """Matplotlib names markers and bounds by digests of coordinates to the last digit."""
    ids = [each.get("id", "") for each in ElementTree.fromstring(drawn).iter()]
    assert {"part_1", "part_2"} < {*ids}
    assert not any(re.fullmatch("[a-zA-Z][0-9a-f]{10}", name) for name in ids)
    references = set(re.findall(r"#([\w-]*part_\d+)", drawn))
    assert references
    assert references <= {*ids}


def test_coordinates_have_three_decimals(drawn: str) -> None:
    """Of the six that Matplotlib writes the last differ between CPUs."""
    root = ElementTree.fromstring(drawn)
    written = [
        each.get(key, "")
        for each in root.iter()
        for key in ("d", "x", "y", "width", "height", "transform")
    ]
    decimals = [len(found) for text in written for found in re.findall(r"\.(\d+)", text)]
    assert max(decimals) == 3
    assert not re.search(r"-0(?![.\d])", " ".join(written))


def test_numbers_are_rounded_where_they_stand_and_in_coordinates_alone() -> None:
    root = ElementTree.fromstring(
        '<svg aria-label="0.00012345"><use x="301.971791" y="77.981657"/><text>2.76e-3</text>'
        '<path d="M 3 0 L -0.0000004 -12.0004999 z" transform="translate(9.9999 100) rotate(-90)"/>'
        "</svg>"
    )
    _round_coordinates(root)
    assert ElementTree.tostring(root, encoding="unicode") == (
        '<svg aria-label="0.00012345"><use x="301.972" y="77.982" /><text>2.76e-3</text>'
        '<path d="M 3 0 L 0 -12 z" transform="translate(10 100) rotate(-90)" /></svg>'
    )


def test_two_on_a_page_share_no_id_and_each_finds_its_own(drawn: str) -> None:
    one, other = (ElementTree.fromstring(inline(drawn, name)) for name in ("one", "other"))
    ids = [{each.get("id") for each in root.iter() if each.get("id")} for root in (one, other)]
    assert not ids[0] & ids[1]
    text = inline(drawn, "one")
    asked = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)
    assert asked
    assert {found for pair in asked for found in pair if found} <= ids[0]


def test_on_a_page_it_is_in_the_pages_colours(drawn: str) -> None:
    assert INK in drawn
    assert GRID in drawn
    text = inline(drawn, "one")
    for colour in (INK, GRID, "#ffffff", "#332288"):
        assert colour not in text
    assert {"currentColor", "var(--grid)", "var(--indigo)"} <= set(
        re.findall(r"currentColor|var\([^)]*\)", text)
    )


def test_every_colour_that_plots_ask_of_the_page_is_there() -> None:
    css = files("attnbench.report.formats").joinpath("template/page.css").read_text()
    for shown in OF_THE_PAGE.values():
        for name in re.findall(r"var\((--\w+)\)", shown):
            assert css.count(f"{name}: #") == 2, name  # light and dark


def test_pixels_are_a_png(figure: Figure) -> None:
    assert as_png(figure).startswith(b"\x89PNG")


def test_a_page_leaves_out_setting_and_notes_with_the_space_they_stood_in(figure: Figure) -> None:
    with mpl.rc_context(RC):
        figure.suptitle("The setting", y=0.98, va="top").set_gid(SETTING)
        noted(figure, "The notes")
        file = ElementTree.fromstring(as_svg(figure, alternative="One point."))
        page = ElementTree.fromstring(inline(as_svg(figure, alternative="One point."), "one"))
    assert {SETTING, NOTES} <= {each.get("id") for each in file.iter()}
    assert "The setting" not in "".join(page.itertext())
    assert "The notes" not in "".join(page.itertext())
    # Of a figure of 1 inch, 72 points: what stands at its upper and lower edge is cut off.
    above, below = (float(file.get(f"data-{edge}", "0")) for edge in ("above", "below"))
    assert above > 8
    assert below > 8
    _, top, _, height = map(float, page.get("viewBox", "").split())
    assert (top, height) == pytest.approx((above, 72 - above - below), abs=0.1)


def test_a_legend_that_reaches_down_beside_the_notes_stays_on_the_page(figure: Figure) -> None:
    with mpl.rc_context(RC):
        noted(figure, "The notes")
        (axes,) = figure.axes
        axes.lines[0].set_label("the module")
        corner = {"bbox_to_anchor": (1, 0), "bbox_transform": figure.transFigure}
        axes.legend(loc="lower right", **corner)
        file = as_svg(figure, alternative="One point.")
    assert ElementTree.fromstring(file).get("data-below") == "0.0"
    page = ElementTree.fromstring(inline(file, "one"))
    assert "The notes" not in "".join(page.itertext())
    assert page.get("viewBox", "").split()[3] == "72"  # 1 inch, all of it
