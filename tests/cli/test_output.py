import io
import json
import math
from typing import Any

import pytest
from rich.console import Console

from attnbench.cli import output
from attnbench.cli.output import (
    annotation,
    complain,
    console,
    github_text,
    images_bar,
    json_text,
    markdown_table,
    progress_bar,
    table,
)


def test_a_bar_over_images_begins_again_for_each_thing_that_is_done_with_them():
    shown = io.StringIO()
    with images_bar(9, Console(file=shown, width=80, force_terminal=True)) as progress:
        progress("reading", 0)
        progress("reading", 9)
        progress("evaluating", 0)
        progress("evaluating", 3)
    text = shown.getvalue()
    assert text.index("reading") < text.rindex("100%") < text.index("evaluating")
    assert " 33%" in text


def shown(width: int, *table: Any) -> list[str]:
    """The lines of a table in a terminal of that width, without its caption."""
    text = io.StringIO()
    Console(file=text, width=width).print(output.table("caption", *table))
    lines = text.getvalue().splitlines()
    assert lines[0].rstrip() == "caption"
    assert all(len(line) <= width for line in lines)
    return [line.rstrip() for line in lines[1:]]


HEADINGS = ("module", "latency ratio [95%]", "verdict")
ROWS = [("SA", "1.169 [1.129, 1.211]", "slower"), ("SE", "1.001 [0.99, 1.02]", "no difference")]


def test_a_table_that_fits_is_as_wide_as_its_cells():
    assert shown(80, HEADINGS, ROWS, ("verdict",)) == [
        " module   latency ratio [95%]  verdict",
        " SA      1.169 [1.129, 1.211]  slower",
        " SE        1.001 [0.99, 1.02]  no difference",
    ]


def test_lines_of_a_table_break_between_words_and_never_within_an_interval():
    assert shown(44, HEADINGS, ROWS, ("verdict",)) == [
        " module   latency ratio [95%]  verdict",
        " SA      1.169 [1.129, 1.211]  slower",
        " SE        1.001 [0.99, 1.02]  no",
        "                               difference",
    ]


def test_a_column_of_words_breaks_between_them_though_one_begins_with_a_figure():
    rows = [("load", "18.6 on 2 cores (mean of the last minute)", "stop other work")]
    headings = ("what", "found", "what to do")
    assert shown(40, headings, rows, headings) == [
        " what  found            what to do",
        " load  18.6 on 2 cores  stop other work",
        "       (mean of the",
        "       last minute)",
    ]


def test_headings_break_before_the_words_of_a_column_do():
    headings = ("what", "interval holds 1", "median half-width")
    assert shown(45, headings, [("drift: a third slower", "19", "0.90%")]) == [
        "                        interval      median",
        " what                    holds 1  half-width",
        " drift: a third slower        19       0.90%",
    ]


def test_columns_that_do_not_fit_follow_behind_the_first_one_again():
    assert shown(34, HEADINGS, ROWS, ("verdict",)) == [
        " module   latency ratio [95%]",
        " SA      1.169 [1.129, 1.211]",
        " SE        1.001 [0.99, 1.02]",
        " module  verdict",
        " SA      slower",
        " SE      no difference",
    ]


def test_a_word_that_is_wider_than_the_terminal_is_folded():
    lines = shown(12, ("a", "b"), [("x" * 10, "1")])
    assert lines == [" a        b", " xxxxxxx  1", " xxx"]


def test_what_is_left_of_a_bar_in_seconds_does_not_depend_on_the_last_step():
    bar = output.progress_bar(Console(file=io.StringIO()), in_seconds=True)
    task = bar.add_task("", total=100)
    left = next(column for column in bar.columns if isinstance(column, output.SecondsLeft))
    seen = []
    for done in (0, 30, 30.5, 100, 108):  # the last round ends after the budget
        bar.update(task, completed=done)
        seen.append(left.render(bar.tasks[0]).plain)
    assert seen == ["0:01:40", "0:01:10", "0:01:10", "0:00:00", "0:00:00"]


def test_a_name_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("The code of mine.py:Key: sha256", markup=False)
    assert capsys.readouterr().out == "The code of mine.py:Key: sha256\n"


HOSTILE = "\x1b[2J[red]a[/red]\u202eb\x9bc[link=http://x]d"
SHOWN = r"\x1b[2J[red]a[/red]\u202eb\x9bc[link=http://x]d"


def test_a_terminal_obeys_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = console()
    terminal.print(HOSTILE)
    terminal.print(table(HOSTILE, (HOSTILE,), [(HOSTILE,), ("two\n\tlines",)]))
    complain(HOSTILE)
    out, err = capsys.readouterr()
    assert [line.strip() for line in out.splitlines()] == [*[SHOWN] * 4, "two lines"]
    assert err == f"attnbench: {SHOWN}\n"


def test_a_bar_obeys_no_name() -> None:
    shown = io.StringIO()
    with progress_bar(Console(file=shown, width=120, force_terminal=True)) as bar:
        bar.update(bar.add_task("starting", total=1), description=f"{HOSTILE} [/]", refresh=True)
    assert f"{SHOWN} [/]" in shown.getvalue()


@pytest.mark.parametrize("order", ["::error::x", "##[error]x", "::set-output name=a::b"])
def test_a_log_obeys_no_name(capsys: pytest.CaptureFixture[str], order: str) -> None:
    terminal = console()
    terminal.print(order)
    terminal.print("x" * 160 + order)  # folded before it
    terminal.print(f"a\n {order}")
    terminal.print(table(order, (order,), [(order,)]))
    complain(order)
    print(json_text({"name": order}))
    print(github_text([annotation(order, order)], "headline", markdown_table((order,), [(order,)])))
    printed = capsys.readouterr()
    lines = [*printed.out.splitlines(), *printed.err.splitlines()]
    obeyed = [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    assert len(obeyed) == 1
    assert obeyed[0].startswith("::error title=attnbench ")
    assert json.loads(json_text({"name": order})) == {"name": order}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J\u202e", r"\x1b[2J\u202e"),
        ("50% more", "50%25 more"),
        ("one\ntwo", "one%0Atwo"),
        ("one\r\ntwo", "one%0D%0Atwo"),
        ("already %0A", "already %250A"),  # else GitHub would break the line
        ("a: b, c::d", "a: b, c::d"),
    ],
)
def test_a_message_is_one_line_whatever_is_in_it(message, shown):
    assert annotation("sa", message) == f"::error title=attnbench sa::{shown}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sa", "sa"),
        ("sa: 50%", "sa%3A 50%25"),
        ("a,file=b", "a%2Cfile=b"),  # else it would be a property of its own
        ("a::b", "a%3A%3Ab"),  # else the message would begin here
        ("a\r\nb", "a%0D%0Ab"),
        ("%3A", "%253A"),
    ],
)
def test_a_name_does_not_end_its_property(name, shown):
    assert annotation(name, "m") == f"::error title=attnbench {shown}::m"


def test_an_annotation_stands_at_the_line_of_a_file() -> None:
    assert annotation("sa", "m", "my, limits.txt", 3) == (
        "::error file=my%2C limits.txt,line=3,title=attnbench sa::m"
    )


def test_a_table_has_its_headings_a_ruler_and_its_rows():
    assert markdown_table(("a", "b"), [("1", "2"), ("3", "")]).splitlines() == [
        "| a | b |",
        "| :-- | :-- |",
        "| 1 | 2 |",
        "| 3 |  |",
    ]


def test_a_pipe_stays_in_its_cell():
    table = markdown_table(("a|b", "c"), [("x|y|z", "|")])
    assert table.splitlines() == [r"| a\|b | c |", "| :-- | :-- |", r"| x\|y\|z | \| |"]


def test_the_summary_is_added_to_what_is_there_and_not_printed(tmp_path, monkeypatch):
    summary = tmp_path / "summary"
    summary.write_text("of an earlier step, – \n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert github_text([annotation("sa", "1"), annotation("se", "2")], "headline", "| ± |\n") == (
        "::error title=attnbench sa::1\n::error title=attnbench se::2\nheadline"
    )
    assert summary.read_text(encoding="utf-8") == "of an earlier step, – \n| ± |\n"


@pytest.mark.parametrize("value", [None, ""])
def test_the_table_is_printed_where_there_is_no_summary(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    else:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", value)
    error = "::error title=attnbench sa::1"
    assert (
        github_text([annotation("sa", "1")], "headline", "| a |") == f"{error}\nheadline\n\n| a |"
    )
    assert github_text([], "headline", "| a |") == "headline\n\n| a |"


def test_json_is_strict_wherever_an_infinite_number_is():
    data = {"ends": [(0.5, math.inf), {"low": -math.inf}], "name": "x", "count": None}
    assert json.loads(json_text(data), parse_constant=pytest.fail) == {
        "ends": [[0.5, None], {"low": None}],
        "name": "x",
        "count": None,
    }
    with pytest.raises(ValueError, match="nan"):
        json_text({"what is not a number": math.nan})
