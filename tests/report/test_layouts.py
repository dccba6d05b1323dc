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
