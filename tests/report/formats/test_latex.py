import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from attnbench import formatting
from attnbench.cli import app
from attnbench.report.formats.latex import MOST_LINES, document, escaped, latex
from attnbench.report.tables.table import Table
from attnbench.stats.interval import Interval

HOSTILE = Table("50% of_it", ("module", "a & b"), (("x|<b>y</b>", "$1_000 \\ {#} ~ ^"),))

UNICODE_FONTS = Path("/usr/share/texmf/fonts/opentype/public/lm")
ENGINES = [
    name
    for name in ("pdflatex", *(("xelatex", "lualatex") if UNICODE_FONTS.exists() else ()))
    if shutil.which(name)
]
PUBLISHED = Path(__file__).parents[3] / "reports"


def test_latex_escapes_every_special_character() -> None:
    text = latex(HOSTILE, "100%")
    assert r"\caption{50\% of\_it. 100\%.}" in text
    assert r"x\textbar{}\textless{}b\textgreater{}y\textless{}/b\textgreater{}" in text
    assert r"\$1\_000 \textbackslash{} \{\#\} \textasciitilde{} \textasciicircum{} \\" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Äçő ± µ – …", r"Äçő $\pm$ µ – …"),
        ("A\N{COMBINING DIAERESIS}", "Ä"),
        ("≥ 12.3", r"$\geq$ 12.3"),
        ("λΣ", r"\attnbenchchar{λ}{03BB}\attnbenchchar{Σ}{03A3}"),
        ("注", r"\attnbenchchar{注}{6CE8}"),
        ("Ệ", r"\attnbenchchar{Ệ}{1EC6}"),
        ("\a\u202e\ud800", r"\textbackslash{}x07\textbackslash{}u202e\textbackslash{}ud800"),
        ("a--b,,c'' `d`", r"a-{}-b,{},c'{}' \textasciigrave{}d\textasciigrave{}"),
        ("a\n\tb", "a b"),
    ],
)
def test_a_character_is_left_to_the_engine_or_guarded(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_characters_beyond_latin_bring_their_macro() -> None:
    latin, greek = (document([Table(name, ("a", "b"), ())], "", []) for name in ("é", "λ"))
    assert r"\providecommand{\attnbenchchar}" not in latin
    assert greek.index(r"\providecommand{\attnbenchchar}") < greek.index(r"\begin{table}")


def test_a_comment_stays_on_its_line() -> None:
    text = document([], "", ["one\n\\input{x}\r\u2028two"])
    assert text.splitlines()[0] == r"% one \input{x} \u2028two"


def test_latex_has_a_column_for_every_heading() -> None:
    assert r"\begin{tabular}{lr}" in latex(HOSTILE, "")


def test_a_row_that_begins_like_an_argument_is_none() -> None:
    table = Table("", ("module", "figure"), (("[1cm]", "1"), ("*", "2")))
    text = latex(table, "")
    assert "    {}[1cm] & 1" in text
    assert "    {}* & 2" in text


def test_a_heading_that_is_longer_than_its_figures_is_stacked() -> None:
    text = latex(Table("", ("module", "added parameters"), (("SA", "+708"),)), "")
    assert r"module & \begin{tabular}[b]{@{}r@{}}added\\parameters\end{tabular} \\" in text
    assert r"module & added parameters \\" in latex(
        Table("", ("module", "added parameters"), (("SA", "+1,000,000,000,000"),)), ""
    )


def test_a_table_of_many_columns_is_split_evenly_with_its_first_column_again() -> None:
    doubted = formatting.ratio(Interval(1.182, 1.171, 1.195))
    names = tuple("ABCDEFGHI")
    text = latex(Table("Ratios", ("of", *names), (("batch 1", *[doubted] * 9),)), "cpu")
    headings = [line.strip() for line in text.splitlines() if line.strip().startswith("of &")]
    assert headings == [r"of & A & B & C & D & E \\", r"of & F & G & H & I \\"]
    assert text.count("batch 1 &") == 2
    assert r"\caption{Ratios (1 of 2). cpu. $\pm$ is" in text
    assert r"\caption{Ratios (2 of 2). cpu. $\pm$ is" in text


def test_a_table_of_many_rows_continues_in_another() -> None:
    rows = tuple((str(number), "1") for number in range(MOST_LINES + 1))
    text = latex(Table("Many", ("run", "figure"), rows), "")
    first, second = text.split(r"\end{table}")[:2]
    assert first.count("& 1") == MOST_LINES
    assert f"{MOST_LINES} & 1" in second
    broken = latex(Table("", ("run", "figure"), (("abc " * 9, "1"),) * MOST_LINES), "")
    assert broken.count(r"\begin{table}") == 2  # 36 characters are two lines of 18


def test_a_long_name_may_be_broken_at_its_joints_and_a_long_word_anywhere() -> None:
    table = Table("", ("module", "n"), (("a/path/of_mine.py:WithALongName,groups=32", "1"),))
    text = latex(table, "")
    assert r"a/\allowbreak{}path/\allowbreak{}of\_\allowbreak{}mine.\allowbreak{}py:" in text
    assert r"\begin{tabular}{>{\raggedright\arraybackslash}p{11em}r}" in text
    word = latex(Table("", ("module", "n"), (("abcdefghi" * 3, "1"),)), "")
    assert r"abcdefghi\allowbreak{}abcdefghi\allowbreak{}abcdefghi &" in word


HOSTILE_NAMES = {
    "sa": "a/long/path/of_mine.py:WithALongClassName,groups=32",
    "se": "Ä ö é ñ ç ő š å µ Σ 注意 \\ & % $ # _ { } ~ ^ < > | ` ' \" -- ,, ?`",
    "gc": "line\nbreak% \\end{table}",
    "sk": "x" * 30 + "W" * 30,
    "cbam": "<script>alert(1)</script>",
    "sge": "file.py:C,sizes=(3, 5)",
    "eca": "[*] timm:bottleneck,feat_size=7",
}


def renamed(value: object) -> object:
    """A record with those names in the place of the modules'."""
    if isinstance(value, dict):
        return {renamed(key): renamed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each) for each in value]
    if isinstance(value, str):
        module, joint, stage = value.partition(" layer")
        return HOSTILE_NAMES.get(module, module) + joint + stage
    return value


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A run and modules alone, with seven names of the worst kind."""
    for name in ("2026-11-25-cpu-resnet50", "2026-11-26-cpu-resnet50-isolated"):
        lines = (PUBLISHED / name / "records.jsonl").read_text().splitlines()
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_text(
            "".join(json.dumps(renamed(json.loads(line))) + "\n" for line in lines)
        )
    return tmp_path


@pytest.mark.skipif(not ENGINES, reason="no LaTeX here")
def test_the_tables_compile_and_fit_the_page(hostile: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        app.main(["report", str(hostile)])
    assert not stopped.value.code
    tables = [*hostile.glob("*/comparison.tex"), hostile / "grid.tex"]
    assert len(tables) == 3
    inputs = "".join(rf"\input{{{path}}}\clearpage" for path in tables)
    for engine in ENGINES:
        for encoding in ("", r"\usepackage[T1]{fontenc}") if engine == "pdflatex" else ("",):
            (hostile / "paper.tex").write_text(
                rf"\documentclass[a4paper]{{article}}{encoding}"
                r"\usepackage{booktabs,adjustbox,array}"
                rf"\begin{{document}}{inputs}\end{{document}}"
            )
            command = [engine, "-interaction=nonstopmode", "paper.tex"]
            done = subprocess.run(command, cwd=hostile, capture_output=True, check=False)
            log = (hostile / "paper.log").read_text(errors="replace")
            assert done.returncode == 0, log[-3000:]
            for fault in ("Overfull", "Missing character", "Float too large"):
                assert fault not in log, re.findall(rf".*{fault}.*", log)
