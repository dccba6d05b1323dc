"""What can be asked of energy, and what is refused before anything is measured."""

from dataclasses import replace

import pytest

from attnbench.devices.energy import rapl
from attnbench.errors import UserError
from attnbench.measuring import planning
from attnbench.measuring.options import check as options
from attnbench.records.case import RunOptions
from attnbench.records.run import gather
from attnbench.records.store import read

SMALL = RunOptions(
    modules=("se",), host="resnet18", image_size=(32,), device="cpu", threads=1, budget_s=1.0
)


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A machine with one package that root alone need not read."""
    root = tmp_path / "powercap"
    package = root / "intel-rapl:0"
    package.mkdir(parents=True)
    for name, text in (
        ("name", "package-0"),
        ("energy_uj", "1"),
        ("max_energy_range_uj", "262143328850"),
    ):
        (package / name).write_text(f"{text}\n")
    monkeypatch.setattr(rapl, "ROOT", root)


@pytest.mark.usefixtures("counted")
def test_the_rounds_of_energy_are_part_of_the_plan_and_stay_so(tmp_path):
    asked, out = replace(SMALL, energy=6), tmp_path / "run"
    assert not options.check(asked, out)
    planning.prepare(asked, out)
    (line,) = read(out)
    assert line.results.energy_rounds == 6
    assert not gather([line], "it").energy_known
    planning.prepare(replace(SMALL, energy=None), out)  # resumed as it was
    with pytest.raises(UserError, match="another configuration: energy is 6 there and 7 here"):
        planning.prepare(replace(SMALL, energy=7), out)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"energy": 5}, "energy must be at least 6 rounds, .* and at most 1000, not 5"),
        ({"energy": 1001}, "not 1001"),
        ({"energy": -1}, "not -1"),
        ({"energy": 6, "isolated": True}, "--energy takes whole networks; leave --isolated"),
        ({"energy": 6, "timeout_s": 10.0}, "windows of 5 s, which --timeout 10 may end; allow 20"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        options.check(replace(SMALL, **settings), tmp_path / "run")


def test_a_machine_without_a_counter_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(rapl, "ROOT", tmp_path / "none")
    asked, out = replace(SMALL, energy=6), tmp_path / "run"
    for step in (options.check, planning.prepare):
        with pytest.raises(UserError, match="no counter of the CPU's energy"):
            step(asked, out)
    assert not out.exists()
    options.check(replace(SMALL, energy=0), out)
