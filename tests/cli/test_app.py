import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import ROOT, call

import attnbench


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
        (["--dtype", "int4"], "'int4' is not one of"),
        (["--mode", "inference,sleeping"], "'sleeping' is not one of"),
        (["--batch-size", "1,,2"], "--batch-size: '1,,2' is no number"),
        (["--cuda-graph", "--device", "cpu"], "--cuda-graph needs a CUDA device"),
        (["--isolated", "--compile"], "--isolated times the eager forward"),
        (["compare", "/nonexistent", "/nonexistent"], "neither a folder nor a baseline"),
        (["compare", "a"], "NEW"),
        (["compare", "a", "b", "--save", "x"], "--save NAME takes one folder"),
        (["compare", "a", "b", "--fail-above", "x"], "'x' is no share"),
        (["compare", "a", "b", "--between-runs", "x"], "'x' is no share"),
        (["pick", "a", "--max-overhead", "x"], "'x' is no share"),
        (["compare", "a", "b", "--format", "junit"], "is not one of 'text', 'json', 'github'"),
        (["selftest", "--simulated", "3"], "--simulated"),
        (["--batch-size", "x"], "--batch-size"),
        (["--budget", "10m"], "'--budget': a number is needed, such as 60 or 0.5, without a unit"),
        (
            ["--device", "gpu"],
            "unknown device 'gpu' (did you mean xpu?); known: cpu, cuda, xpu, mps",
        ),
        (["pick", "a", "--max-added-params", "1k"], "a whole number is needed, such as 1000"),
        (["pick", "a", "--max-added-params", "-1"], "it must be greater than or equal to 0"),
        (["pick", "/nonexistent"], "cannot read"),
        (["--bogus"], "No such option"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["report", "/nonexistent"], "cannot read"),
        (["report"], "DIR"),
        (["check", "--only", "foo"], "no computable claim matches 'foo'"),
        (["check", "--limits", "/nonexistent"], "cannot read"),
        (["check", "--limits", "/dev/zero"], "cannot read /dev/zero: it is a device and no file"),
        (["sweep", "/dev/zero"], "cannot read /dev/zero: it is a device and no file"),
        (["compare", "x" * 300, "a"], f"cannot use {'x' * 300}: File name too long"),
        (["run", "--out", "x/" * 3_000], "…"),
        (["check", "--budget", "/nonexistent"], "cannot read"),
        (["check", "--only", "a", "--limits", "b"], "does not go with --limits"),
        (["check", "--limits", "a", "--budget", "b"], "--budget is the former name of --limits"),
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
    assert len(error) < 1_000


def test_the_packages_names_are_the_public_ones() -> None:
    public = {name for name in dir(attnbench) if not name.startswith("_")}
    assert public == {*attnbench.__all__} - {"__version__"}


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


def test_before_an_installation_one_line_says_what_to_do() -> None:
    bare = [sys.executable, "-S", ROOT / "run_bench.py"]  # without installed packages
    done = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("attnbench: typer is not installed; in a checkout, 'make bench'")
    assert done.stderr.count("\n") == 1


def test_an_older_python_is_told_so_in_one_line() -> None:
    code = (
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 18)\n"
        f"runpy.run_path({str(ROOT / 'run_bench.py')!r}, run_name='__main__')\n"
    )
    bare = [sys.executable, "-S", "-c", code]
    done = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("attnbench: this is Python 3.9, and 3.11 or later is needed")
    assert done.stderr.count("\n") == 1


def test_without_torch_one_line_says_what_to_do() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'], sys.argv = None, ['attnbench']\n"
        "from attnbench.__main__ import main\n"
        "main()\n"
    )
    bare = [sys.executable, "-c", code]
    done = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("attnbench: torch is not installed; in a checkout, 'make bench'")
    assert done.stderr.count("\n") == 1


def test_a_checkout_runs_its_own_package_and_modules_whatever_is_installed(tmp_path: Path) -> None:
    """In the child processes too; what is installed here is another checkout or a wheel."""
    checkout = tmp_path / "checkout"
    for part in ("attnbench", "modules"):
        shutil.copytree(ROOT / part, checkout / part)
        with (checkout / part / "__init__.py").open("a") as file:
            file.write("import sys\nprint(f'from {__file__}', file=sys.stderr)\n")
    shutil.copy(ROOT / "run_bench.py", checkout)
    command = [sys.executable, checkout / "run_bench.py", "same", "eca", "eca"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    for part in ("attnbench", "modules"):
        assert done.stderr.count(f"from {checkout / part / '__init__.py'}\n") == 2
