"""A sweep whose configurations are measured by ``helpers.sweep_stub``, one for each seed."""

import os
import sys
from pathlib import Path

import pytest

from attnbench.sweeps.course import Course
from attnbench.sweeps.device import process
from attnbench.sweeps.folder import SweepFolder
from attnbench.sweeps.plan import file
from attnbench.sweeps.plan.file import Source, Sweep

HELPERS = Path(__file__).parents[1]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-m", "helpers.sweep_stub"])
    monkeypatch.setenv("PYTHONPATH", str(HELPERS))


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipe that holds gated stubs before their fourth round, until it is opened for writing."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    monkeypatch.setenv("STUB_GATE", str(path))
    return path


@pytest.fixture
def sweep_of(tmp_path: Path):
    """Return a function that gives the sweep of those seeds, with other keys of its grid."""

    def of(*seeds: int, **grid: object) -> Sweep:
        stated = {"modules": ["se", "sa"], "host": "resnet18", "image-size": 32, "seed": [*seeds]}
        whole = {"grid": [stated | {key.replace("_", "-"): grid[key] for key in grid}]}
        return file.of_data(whole, Source("sweep.toml", None, tmp_path))

    return of


@pytest.fixture
def course_of(tmp_path: Path, sweep_of):
    """Return a function that begins the course of such a sweep, 10 seconds a configuration.

    Each call is a new driver of the same folder; ``steps`` are what has happened.
    """
    folders: list[SweepFolder] = []

    def of(*seeds: int, **grid: object) -> tuple[Course, list]:
        for folder in folders:
            folder.close()  # as when its driver ends
        folders[:] = [SweepFolder(tmp_path / "out")]
        steps: list = []
        course = Course(
            sweep_of(*seeds, **grid), folders[0], lambda _: 10.0, lambda _, step: steps.append(step)
        )
        course.begin()
        return course, steps

    return of
