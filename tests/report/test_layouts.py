from attnbench.report.layouts import latex, markdown
from attnbench.report.sheets import Sheet

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
