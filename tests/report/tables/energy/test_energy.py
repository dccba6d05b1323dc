"""Tables, remarks, plot and page of a run whose energy was measured."""

from dataclasses import replace
from math import isnan

import pytest

from attnbench.records.run import Run
from attnbench.records.schema import EnergyRound, Failure, Window
from attnbench.report.formats.html import page
from attnbench.report.plots import render
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, tables

# A step of two images takes 3 J of the plain host and 3.9 J with SA; 60 steps take 6 s.
JOULES = {"plain": 3.0, "control": 3.0, "sa": 3.9}


def with_energy(run: Run, joules=JOULES, apart: int = 0, shared: bool = False) -> Run:
    """Give a run six rounds; in the first ``apart`` of them a sensor shows a fifth less power."""

    def window(number: int, name: str) -> Window:
        taken = 60 * joules[name]
        sensed = taken * (0.8 if number < apart else 1.0)
        return Window(variant=name, steps=60, seconds=6.0, joules={"gpu": taken}, power_j=sensed)

    rounds = [
        EnergyRound(number=n, windows=tuple(window(n, name) for name in joules), shared=shared)
        for n in range(6)
    ]
    return replace(run, energy=rounds, plan=replace(run.plan, energy_rounds=6))


@pytest.fixture(params=[1, 2], ids=["one run", "two runs"])
def measured(request: pytest.FixtureRequest, run: Run) -> LoadedRun:
    loaded = LoadedRun(with_energy(run))
    if request.param == 1:
        return loaded
    (together,) = pooled({"one": loaded, "two": LoadedRun(loaded.run)}).values()
    return together


def test_every_figure_of_energy_is_that_of_its_windows(measured: LoadedRun) -> None:
    frame = measured.frame.set_index("variant")
    plain, sa = frame.loc["plain"], frame.loc["sa"]
    assert plain["energy_j"] == pytest.approx(1.5)  # of two images
    assert plain["energy_ratio"] == plain["energy_ratio_between_runs"] == 1
    assert sa["energy_ratio"] == pytest.approx(1.3)
    assert sa["energy_verdict"] == "slower"
    assert sa["energy_ratio_between_runs_low"] < 1.3 < sa["energy_ratio_between_runs_high"]
    assert sa["power_w"] == pytest.approx(60 * 3.9 / 6)
    assert sa["energy_windows"] == 6 * len(measured.runs)
    assert sa["energy_apart"] == 0
    assert isnan(frame.loc["sk", "energy_j"])
    assert frame.loc["sk", "energy_code"] == "untimed"  # where others have theirs
    assert sa["ratio"] == pytest.approx(1.2)  # latency is as it was


def test_the_table_and_the_remarks_say_what_was_counted(measured: LoadedRun) -> None:
    (table,) = [each for each in tables(measured) if each.caption.startswith("Energy")]
    assert table.headings[:3] == ("module", "energy (mJ/image) [95%]", "energy ratio [95%]")
    (row,) = [row for row in table.rows if row[0] == "SA"]
    assert row[1].startswith("1950.0 [")
    assert row[table.headings.index("power (W)")] == "39.0"
    lines = remarks(measured)
    windows = 18 * len(measured.runs)
    assert any(f"{windows} windows of at least 5 s: the GPU's whole board" in one for one in lines)
    assert "Control of energy: 1.000 [1.000, 1.000]; it holds." in lines
    assert not any("WARNING" in line for line in lines)


def test_windows_whose_counter_and_power_differ_are_counted_and_warned_of(run: Run) -> None:
    loaded = LoadedRun(with_energy(run, apart=2, shared=True))
    frame = loaded.frame.set_index("variant")
    assert list(frame.loc[list(JOULES), "energy_apart"]) == [2, 2, 2]
    lines = remarks(loaded)
    assert any("in 6 windows of energy the counter and the integral" in line for line in lines)
    assert any(
        "another measurement or training ran in 6 rounds of energy" in line for line in lines
    )


def test_the_plot_and_the_page_have_energy_beside_latency(run: Run) -> None:
    loaded = LoadedRun(with_energy(run))
    drawings = render.of_run(loaded)
    names = [each.name for each in drawings]
    assert names.index("energy_overhead") == names.index("latency_overhead") + 1
    (plot,) = [each for each in drawings if each.name == "energy_overhead"]
    assert plot.words.startswith("Energy over the plain host")
    assert "SA +30.0%" in plot.words
    assert "energy over plain host (%)" in plot.svg
    shown = page({"run": loaded}, {"run": drawings})
    assert "energy (mJ/image)" in shown
    assert "Control of energy" in shown


def test_a_control_that_fails_gives_no_verdict(run: Run) -> None:
    loaded = LoadedRun(with_energy(run, JOULES | {"control": 3.3}))
    assert loaded.control_fault is None  # that of latency
    assert "significantly different from 1" in (loaded.energy_control_fault or "")
    verdict = loaded.frame.set_index("variant").loc["sa", "energy_verdict"]
    assert not isinstance(verdict, str) or not verdict
    (table,) = [each for each in tables(loaded) if each.caption.startswith("Energy")]
    assert table.caption.endswith("; too noisy to judge")


def test_a_baseline_that_failed_leaves_no_figures(run: Run) -> None:
    failed = Failure(step="energy", type="StillError", message="the counter stood still")
    known = with_energy(run)
    loaded = LoadedRun(replace(known, failures={**known.failures, "plain": {"energy": failed}}))
    assert loaded.frame["energy_j"].isna().all()
    assert not any(each.caption.startswith("Energy") for each in tables(loaded))
    assert any("failed at energy: StillError: the counter stood" in one for one in remarks(loaded))


def test_a_run_without_energy_says_nothing_of_it(run: Run) -> None:
    loaded = LoadedRun(run)
    assert not any("nergy" in line for line in remarks(loaded))
    assert not any(each.caption.startswith("Energy") for each in tables(loaded))
    assert "energy_overhead" not in [each.name for each in render.of_run(loaded)]
