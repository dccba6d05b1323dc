"""The wheel, where nothing else of the project can be imported."""

import os
import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from helpers.pinned import on_the_pinned_torch

ROOT = Path(__file__).parent.parent


BOTH = """
import runpy, sys

for words in {words!r}:
    sys.argv = [{script!r}, *words]
    try:
        runpy.run_path({script!r}, run_name="__main__")
    except SystemExit as stop:
        assert not stop.code, words
"""
"""Runs commands one after the other: torch is imported once."""


@pytest.fixture(scope="module")
def environment(once_a_session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; the dependencies come from this one.

    A path file lends it this environment's packages. Path files are not followed from a lent
    folder, so an editable installation of the project there is out of reach.
    """
    return once_a_session("wheel", lambda: installed(tmp_path_factory.mktemp("wheel")))


def installed(folder: Path) -> Path:
    source = folder / "source"
    for part in ("attnbench", "modules"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source)
    python(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), source)
    environment = folder / "environment"
    python(sys.executable, "-m", "venv", "--without-pip", environment)
    lent = sysconfig.get_path("purelib", vars={"base": str(environment)})
    Path(lent, "lent.pth").write_text("\n".join(site.getsitepackages()))
    alone = python(interpreter(environment), "-c", "import attnbench", check=False)
    assert "No module named 'attnbench'" in alone.stderr
    (wheel,) = folder.glob("*.whl")
    target = ["--python", interpreter(environment), "install", "--no-deps", "--no-index", wheel]
    python(sys.executable, "-m", "pip", "--quiet", *target)
    return environment


def interpreter(environment: Path) -> Path:
    return environment / "bin" / "python"


def python(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        env=outside,
        cwd=os.sep,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def test_the_wheel_runs_the_main_job_small_and_holds_its_data(
    environment: Path, tmp_path: Path
) -> None:
    small = ["--modules", "se", "--host", "resnet18", "--image-size", "32", "--device", "cpu"]
    small += ["--budget", "0.05"]
    out = tmp_path / "run"
    words = [[*small, "--out", str(out)], ["check", "--only", "sa-abstract-*"]]
    code = BOTH.format(words=words, script=str(environment / "bin" / "attnbench"))
    shown = python(interpreter(environment), "-c", code).stdout
    # In two blocks a stage; reductions by 16 and biases of 64, 128, 256 and 512 channels.
    added = 2 * sum(2 * c * (c // 16) + c + c // 16 for c in (64, 128, 256, 512))
    assert f"+{added:,}" in shown
    assert (out / "comparison.md").exists()
    assert (out / "latency_overhead.png").exists()
    assert "2,759,680" in shown  # of the published figures, which are a file in it


def test_the_command_is_installed(environment: Path) -> None:
    assert python(environment / "bin" / "attnbench", "--version").stdout.startswith("attnbench ")


def test_a_top_level_import_of_modules_does_not_exist(environment: Path) -> None:
    failed = python(interpreter(environment), "-c", "import modules", check=False)
    assert "No module named 'modules'" in failed.stderr


@on_the_pinned_torch
def test_types_hold_on_the_installed_wheel(environment: Path) -> None:
    # Of the packages that it lends: make test has read their types when it installed them.
    known = ["--cache-dir", Path(sys.prefix, "mypy_cache")]
    settings = ["--config-file", ROOT / "pyproject.toml", *known]
    executable = ["--python-executable", interpreter(environment)]
    python(sys.executable, "-m", "mypy", *settings, *executable, "-p", "attnbench")
