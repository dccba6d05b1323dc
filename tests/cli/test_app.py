import os
import subprocess
import sys

import pytest
from helpers.command_line import ROOT, call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modules", "foo"], "unknown attention module 'foo'; known: se, cbam"),
        (["--modules", "plain"], "no module can have the name 'plain'"),
        (["--module", "control"], "no module can have the name 'control'"),
        (["--module", "copy again", "--isolated"], "no module can have the name 'copy again'"),
        (["list", "--module", "launch"], "no module can have the name 'launch'"),
        (["--modules", ","], "--modules names none"),
        (["--image-size", "16"], "image_size 16 is too small"),
        (["--dtype", "int8"], "'int8' is not one of"),
        (["--mode", "inference,sleeping"], "'sleeping' is not one of"),
        (["--batch-size", "1,,2"], "--batch-size: '1,,2' is no number"),
        (["--cuda-graph", "--device", "cpu"], "--cuda-graph needs a CUDA device"),
        (["--isolated", "--compile"], "--isolated times the eager forward"),
        (["compare", "/nonexistent", "/nonexistent"], "cannot read"),
        (["compare", "a"], "NEW"),
        (["compare", "a", "b", "--fail-above", "x"], "'x' is no share"),
        (["compare", "a", "b", "--format", "junit"], "is not one of 'text', 'json', 'github'"),
        (["selftest", "--simulated", "3"], "--simulated"),
        (["--batch-size", "x"], "--batch-size"),
        (["--bogus"], "No such option"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["report", "/nonexistent"], "cannot read"),
        (["report"], "DIR"),
        (["check", "--only", "foo"], "no computable claim matches 'foo'"),
        (["check", "--budget", "/nonexistent"], "cannot read"),
        (["check", "--only", "a", "--budget", "b"], "does not go with --budget"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("attnbench: ")
    assert error.count("\n") == 1


def test_list_and_help_answer_without_torch() -> None:
    code = (
        "import sys\n"
        "from attnbench.cli.app import main\n"
        "for arguments in (['list'], ['--help'], ['run', '--help']):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit as stop:\n"
        "        assert not stop.code\n"
        "assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert "Shuffle Attention" in shown
    assert "2102.00240" in shown
    assert "--channels-last" in shown


def test_run_bench_is_the_same_command_line() -> None:
    shown = subprocess.run(
        [sys.executable, ROOT / "run_bench.py", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd=os.sep,
    ).stdout
    assert shown.startswith("attnbench ")
