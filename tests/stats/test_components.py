from math import sqrt

import numpy as np
import pytest

from attnbench.stats import between_runs
from attnbench.stats.components import Components, Cost, across, cheapest, components, within

EFFICIENCY = np.pi / 2
"""The variance of a median of many normal samples, over that of their mean."""


def simulated(random, runs, processes, rounds, deviations):
    """Runs whose rounds, processes and runs scatter by these standard deviations."""
    of_round, of_process, of_run = deviations
    found = []
    for _ in range(runs):
        level = of_run * random.standard_normal()
        samples = []
        for process in range(processes):
            placed = level + of_process * random.standard_normal()
            values = placed + of_round * random.standard_normal(rounds)
            samples += [(float(value), process) for value in values]
        found.append(samples)
    return found


def test_known_components_are_found():
    # 30 runs: 29 degrees of freedom for runs, so that a standard deviation is known to 13%.
    deviations = (0.03, 0.01, 0.015)
    known = components(simulated(np.random.default_rng(1), 30, 6, 30, deviations))
    assert sqrt(known.rounds / EFFICIENCY) == pytest.approx(0.03, rel=0.10)
    assert sqrt(known.processes) == pytest.approx(0.01, rel=0.25)
    assert sqrt(known.runs) == pytest.approx(0.015, rel=0.30)


def test_what_does_not_scatter_is_near_nothing():
    known = components(simulated(np.random.default_rng(2), 12, 6, 30, (0.03, 0.0, 0.0)))
    assert sqrt(known.processes) < 0.004
    assert sqrt(known.runs) < 0.002


def test_what_cannot_be_told_is_none():
    random = np.random.default_rng(3)
    one_process = components(simulated(random, 3, 1, 20, (0.03, 0.01, 0.01)))
    assert one_process.processes is None
    assert one_process.runs is not None
    assert components(simulated(random, 1, 4, 20, (0.03, 0.01, 0.01))).runs is None
    assert components([[(0.1, 0)] * 5]) is None  # rounds too few for an interval
    assert components([]) is None


def test_the_half_width_of_a_mix_by_hand():
    known = Components(rounds=0.0036, processes=0.0001, runs=0.0004)
    # Of 36 rounds a process's median has the variance 0.0001 + 0.0001, and the mean of four the
    # standard deviation 0.00707; Student's t of three degrees is 3.1824. The rounds alone: 1.96 *
    # sqrt(0.0036 / 144) = 0.0098.
    assert within(known, 4, 36) == pytest.approx(3.1824 * 0.0070711, rel=1e-4)
    assert within(Components(0.0036, 0.0, None), 24, 36) == pytest.approx(
        2.0687 * 0.0020412, rel=1e-3
    )
    assert within(known, 1, 36) == pytest.approx(1.96 * 0.01, rel=1e-3)


def test_the_half_width_of_several_runs_by_hand(monkeypatch):
    monkeypatch.setattr(between_runs, "WEIGHT", 6)
    known = Components(rounds=0.0, processes=0.0, runs=0.0004)
    # Three runs: eight degrees of freedom, six of which assume 1% and two show 2%.
    scatter = sqrt((6 * 0.01**2 + 2 * 0.02**2) / 8)
    expected = 2.3060 * scatter / sqrt(3)
    assert across(known, 3, 4, 10, assumed=0.01) == pytest.approx(expected, rel=1e-3)


def test_the_cheapest_mix_spends_on_what_scatters():
    goal, cost = 0.01, Cost(round_s=1.0, process_s=10.0, run_s=30.0)
    calm = cheapest([Components(0.0016, 0.0, 0.0)], goal, cost, one_run=True)
    placed = cheapest([Components(0.0016, 0.0002, 0.0)], goal, cost, one_run=True)
    assert placed.processes > calm.processes
    assert calm.half_width <= goal >= placed.half_width
    assert calm.seconds == 30 + calm.processes * (10 + calm.rounds)
    # No mix that takes less reaches it.
    for processes in range(3, 25):
        rounds = (calm.seconds - 30 - 1) / processes - 10
        assert rounds < 6 or within(Components(0.0016, 0.0, 0.0), processes, int(rounds)) > goal


def test_one_run_cannot_reach_what_its_processes_do_not_allow():
    cost = Cost(1.0, 10.0, 30.0)
    assert cheapest([Components(0.0, 0.01, None)], 0.01, cost, one_run=True) is None


def test_several_runs_reach_what_scatters_between_runs():
    known, cost = Components(0.0016, 0.0, 0.0001), Cost(1.0, 10.0, 30.0)
    mix = cheapest([known], 0.01, cost, assumed=0.01)
    assert mix.runs > 2
    assert across(known, mix.runs, mix.processes, mix.rounds, 0.01) == mix.half_width <= 0.01
    assert across(known, mix.runs - 1, mix.processes, mix.rounds, 0.01) > 0.01
