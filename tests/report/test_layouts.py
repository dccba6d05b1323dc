from attnbench import units
from attnbench.report.layouts import latex, markdown
from attnbench.report.sheets import Sheet
from attnbench.statistics import Interval

HOSTILE = Sheet("50% of_it", ("module", "a & b"), (("x|<b>y</b>", "$1_000 \\ {#} ~ ^"),))


def test_markdown_keeps_a_hostile_name_in_its_cell() -> None:
    row = markdown(HOSTILE).splitlines()[4]
    assert row == r"| x\|&lt;b&gt;y&lt;/b&gt; | $1_000 \ {#} ~ ^ |"


def test_latex_escapes_every_special_character() -> None:
    text = latex(HOSTILE, "100%")
    assert r"\caption{50\% of\_it. 100\%.}" in text
    assert r"x\textbar{}\textless{}b\textgreater{}y\textless{}/b\textgreater{}" in text
    assert r"\$1\_000 \textbackslash{} \{\#\} \textasciitilde{} \textasciicircum{} \\" in text


def test_latex_has_a_column_for_every_heading() -> None:
    assert r"\begin{tabular}{lr}" in latex(HOSTILE, "")


def test_a_line_break_stays_in_its_cell() -> None:
    broken = Sheet("caption", ("module", "why"), (("sa", "one\ntwo"),))
    assert "| sa | one two |" in markdown(broken)
    assert r"sa & one two \\" in latex(broken, "")


def test_a_dash_and_a_doubt_are_set_in_latex_as_its_own() -> None:
    sheet = Sheet("caption", ("module", "figure"), (("–", "1 ± 2"),))
    assert r"-- & 1 $\pm$ 2 \\" in latex(sheet, "")


def test_a_doubted_figure_is_set_as_papers_do_and_explained() -> None:
    ratio = units.ratio(Interval(1.182, 1.171, 1.195))
    sheet = Sheet("Latency", ("module", "ratio [95%]"), (("SA", ratio),))
    text = latex(sheet, "resnet50")
    assert r"SA & 1.182 $\pm$ 0.013 \\" in text  # the farther end
    assert r"module & ratio \\" in text
    assert r"$\pm$ is the distance to the farther end of the 95\% interval." in text
    assert "| SA | 1.182 [1.171, 1.195] |" in markdown(sheet)
    assert "farther" not in latex(HOSTILE, "")


def test_a_row_that_begins_like_an_argument_is_none() -> None:
    sheet = Sheet("", ("module", "figure"), (("[1cm]", "1"), ("*", "2")))
    text = latex(sheet, "")
    assert "    {}[1cm] & 1" in text
    assert "    {}* & 2" in text


def test_a_wide_table_is_set_smaller() -> None:
    assert r"\small" in latex(Sheet("", tuple("abcdef"), ()), "")
    assert r"\small" not in latex(Sheet("", tuple("abcde"), ()), "")
