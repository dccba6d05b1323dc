from dataclasses import replace

import pytest

from attnbench.errors import UserError
from attnbench.records.run import Run
from attnbench.records.schema import EnergyRound, Failure, Plan, Record, Window
from attnbench.stats import ratios
from attnbench.stats.quantities import joules

VARIANTS = ("plain", "control", "se")


def energy_round(number, *totals, seconds=5.0, power=None):
    windows = tuple(
        Window(
            variant=name,
            steps=10,
            seconds=seconds,
            joules={"package-0": 0.75 * total, "dram-0": 0.25 * total},
            power_j=power,
        )
        for name, total in zip(VARIANTS, totals, strict=False)
    )
    return EnergyRound(number=number, windows=windows)


@pytest.fixture
def run(case):
    plan = Plan(variants=VARIANTS, budget_s=1.0, target=0.01, energy_rounds=6)
    known = Run(case, plan, {})
    for number in range(6):
        known.add(of(known, energy_round(number, 1000.0, 1000.0, 1100.0)))
    return known


def of(run, results=None, **known):
    return Record(case=run.case, environment=run.environment, results=results, **known)


def test_the_ratio_of_energy_is_that_of_all_domains_together(run):
    assert ratios.ratio(joules.energy_rounds(run), "se").median == pytest.approx(1.1)
    assert joules.domains(run) == ("dram-0", "package-0")
    # 1100 J in 5 s.
    assert joules.power_w(run, "se") == pytest.approx(220.0)
    assert run.energy_known


def test_joules_an_image_are_those_of_a_step_over_its_images(run):
    assert ratios.seconds_per_step(joules.energy_rounds(run), "plain") == [pytest.approx(100.0)] * 6


def test_no_figures_rest_on_a_baseline_that_failed(run):
    failed = Failure(step="energy", type="StillError", message="it stood still")
    run.add(of(run, variant="plain", error=failed))
    assert joules.energy_rounds(run) == []
    assert list(joules.windows(run)) == []
    assert joules.power_w(run, "se") is None


@pytest.mark.parametrize(
    ("power", "apart"),
    [(None, False), (1000.0, False), (1099.0, False), (1101.0, True), (899.0, True)],
)
def test_a_window_is_flagged_where_counter_and_power_differ_by_more_than_a_tenth(power, apart):
    (window, *_) = energy_round(0, 1000.0, power=power).windows
    assert joules.apart(window) is apart


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (energy_round(1, 1.0, 1.0, 1.0), "round 1 of energy, where round 0 of 6 planned"),
        (energy_round(0, 1.0, 1.0), "those that can run are 'control', 'plain', 'se'"),
    ],
)
def test_rounds_that_cannot_be_are_refused(run, known, message):
    run.energy = []
    with pytest.raises(UserError, match=message):
        run.add(of(run, known))


def test_more_rounds_than_planned_and_other_domains_are_refused(run):
    with pytest.raises(UserError, match="round 6 of 6 planned"):
        run.add(of(run, energy_round(6, 1.0, 1.0, 1.0)))
    run.energy.pop()
    windows = energy_round(5, 1.0, 1.0, 1.0).windows
    others = tuple(replace(each, joules={"gpu": 1.0}) for each in windows)
    with pytest.raises(UserError, match="other domains"):
        run.add(of(run, EnergyRound(number=5, windows=others)))
