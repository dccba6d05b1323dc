import re
from itertools import pairwise

import pytest
from helpers.command_line import call

from attnbench.cli.app import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_wraps_paragraphs_by_the_terminal_and_gives_flags_no_value(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert not re.findall(r"<[^>]*>|list\[|\{[^}]*\}", text)
    assert not re.search(r"default:\W+\(", text)  # words in brackets of their own
    about = text.partition("Usage:")[2].partition("\n\n")[0] + "\n" + text.partition("╭")[0]
    lines = [line.rstrip() for line in about.splitlines()]
    for line, following in pairwise(lines):
        first = following.split()[:1]
        ends = line.endswith((".", ":")) or not line.strip() or not first or "Usage" in line
        # A line ends where its next word would not fit: 79 columns, the margins beside.
        assert ends or len(f"{line} {first[0]}") > 79, line


def test_help_names_the_flag_and_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--help") == 0
    text = capsys.readouterr().out
    assert re.search(r"--isolated +Modules alone", text)
    assert re.search(r"--threads +N +Threads", text)


def test_the_help_of_all_names_no_type_and_usage_shows_arguments_as_they_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("--help") == 0
    assert "<" not in capsys.readouterr().out
    for command, usage in {
        "compare": "compare [OPTIONS] OLD [NEW]",
        "report": "report [OPTIONS] DIR...",
        "explain": "explain [OPTIONS] [CODE]",
    }.items():
        assert call(command, "--help") == 0
        assert re.search(re.escape(usage) + r" *\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("run", "text or json."),
        ("check", "text, json, junit or github."),
        ("compare", "text, json or github."),
        ("doctor", "text or json."),
    ],
)
def test_every_format_is_listed_in_one_way(
    command: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"--format FORMAT {names}" in text
