from attnbench import units
from attnbench.report.layouts import markdown
from attnbench.report.sheets import Sheet
from attnbench.report.tex import latex
from attnbench.statistics import Interval

HOSTILE = Sheet("50% of_it", ("module", "a & b"), (("x|<b>y</b>", "$1_000 \\ {#} ~ ^"),))


def test_markdown_keeps_a_hostile_name_in_its_cell() -> None:
    row = markdown(HOSTILE).splitlines()[4]
    assert row == r"| x\|&lt;b&gt;y&lt;/b&gt; | $1_000 \ {#} ~ ^ |"


def test_a_line_break_stays_in_its_cell() -> None:
    broken = Sheet("caption", ("module", "why"), (("sa", "one\ntwo"),))
    assert "| sa | one two |" in markdown(broken)
    assert r"sa & one two \\" in latex(broken, "")


def test_a_doubted_figure_is_set_as_papers_do_and_explained() -> None:
    ratio = units.ratio(Interval(1.182, 1.171, 1.195))
    sheet = Sheet("Latency", ("module", "ratio [95%]"), (("SA", ratio),))
    text = latex(sheet, "resnet50")
    assert r"SA & 1.182 $\pm$ 0.013 \\" in text  # the farther end
    assert r"module & ratio \\" in text
    assert r"$\pm$ is the distance to the farther end of the 95\% interval." in text
    assert "| SA | 1.182 [1.171, 1.195] |" in markdown(sheet)
    assert "farther" not in latex(HOSTILE, "")
