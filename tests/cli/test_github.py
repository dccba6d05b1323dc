import pytest

from attnbench.cli.output import annotation, markdown_table, said


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("plain", "plain"),
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
    assert said(["::error::1", "::error::2"], "headline", "| ± |\n") == (
        "::error::1\n::error::2\nheadline"
    )
    assert summary.read_text(encoding="utf-8") == "of an earlier step, – \n| ± |\n"


@pytest.mark.parametrize("value", [None, ""])
def test_the_table_is_printed_where_there_is_no_summary(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    else:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", value)
    assert said(["::error::1"], "headline", "| a |") == "::error::1\nheadline\n\n| a |"
    assert said([], "headline", "| a |") == "headline\n\n| a |"
