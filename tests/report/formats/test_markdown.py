import pytest
from markdown_it import MarkdownIt

from attnbench import formatting
from attnbench.report.formats.latex import latex
from attnbench.report.formats.markdown import markdown
from attnbench.report.tables.table import Table
from attnbench.stats.interval import Interval
from attnbench.text import markdown_text

HOSTILE = Table("50% of_it", ("module", "a & b"), (("x|<b>y</b>", "$1_000 \\ {#} ~ ^"),))


def test_markdown_keeps_a_hostile_name_in_its_cell() -> None:
    row = markdown(HOSTILE).splitlines()[4]
    assert row == r"| x\|&lt;b&gt;y&lt;/b&gt; | \$1_000 \\ {#} \~ ^ |"


NAMES = (
    "a*b*c **d** _e_ __f__ `g` ``h`` ~~i~~ $j$",
    "file.py:C,sizes=(3, 5)",
    "a/long_path/of_mine.py:With_A_Name,groups=32",
    "<script>alert(1)</script> &lt; &amp; &#60; a & b",
    "[text](http://x) [a][b] ![c](d) [1, 2](e) [x]",
    r"a\|b \* c\\ |d| \n",
    "# heading",
    "- item",
    "+ item",
    "1. item",
    "2) item",
    "---",
    "===",
    "Ä μ 注意",
    "![x](http://x/y.png) ![x][y] http://x www.x.org",
    "::error::x",
    "##[error]x",
    r"\x1b[2J \u202e",
    "[1.088, 1.102] [95%] [too few rounds]",
)


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_a_name_as_itself(name: str) -> None:
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    text = markdown(Table(name, ("module", name), ((name, "1"),)))
    tokens = [
        token for token in shown.parse(f"{text}\n\n{markdown_text(name)}\n") if token.children
    ]
    caption, _, heading, cell, figure, note = tokens
    plain, bold = {"text", "text_special"}, {"strong_open", "strong_close"}
    for token, marks in ((caption, bold), (heading, set()), (cell, set()), (note, set())):
        assert {child.type for child in token.children} - plain == marks
        assert "".join(child.content for child in token.children) == name
    assert figure.content == "1"


def test_intervals_are_as_legible_in_the_file() -> None:
    assert markdown_text("1.095 [1.088, 1.102]") == "1.095 [1.088, 1.102]"
    assert markdown_text("+9.5% [+8.8, +10.2]") == "+9.5% [+8.8, +10.2]"
    assert markdown_text("sa_resnet50.pth.tar") == "sa_resnet50.pth.tar"


def test_a_line_break_stays_in_its_cell() -> None:
    broken = Table("caption", ("module", "why"), (("sa", "one\ntwo"),))
    assert "| sa | one two |" in markdown(broken)
    assert r"sa & one two \\" in latex(broken, "")


def test_a_doubted_figure_is_set_as_papers_do_and_explained() -> None:
    ratio = formatting.ratio(Interval(1.182, 1.171, 1.195))
    sheet = Table("Latency", ("module", "ratio [95%]"), (("SA", ratio),))
    text = latex(sheet, "resnet50")
    assert r"SA & 1.182 $\pm$ 0.013 \\" in text  # the farther end
    assert r"module & ratio \\" in text
    assert r"$\pm$ is the distance to the farther end of the 95\% interval." in text
    assert "| SA | 1.182 [1.171, 1.195] |" in markdown(sheet)
    assert "farther" not in latex(HOSTILE, "")
