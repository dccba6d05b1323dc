"""What the simulated machines do to a step."""

from math import log
from statistics import stdev

import pytest

from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import timed


def test_a_placed_step_is_as_slow_as_its_place_until_it_moves():
    step = (machine := Machine(placement=0.1)).step(1.0)
    before, same = (timed(step, 1, machine) for _ in range(2))
    step.move()
    assert before == pytest.approx(same)
    assert abs(timed(step, 1, machine) - before) > 1e-6
    assert Machine().step(1.0).move is not None


def test_a_run_is_in_one_mood_from_beginning_to_end_and_does_not_move_out_of_it():
    step = (machine := Machine(mood=0.1)).step(1.0)
    before = timed(step, 1, machine)
    step.move()
    assert timed(step, 1, machine) == pytest.approx(before) != 1.0
    assert timed(machine.step(1.0), 1, machine) == pytest.approx(before)  # another process
    assert timed(machine.step(1.0, "other"), 1, machine) != pytest.approx(before)


def test_a_step_is_as_slow_as_its_process_and_does_not_move_out_of_it():
    step = (machine := Machine(process=0.1)).step(1.0)
    before = timed(step, 1, machine)
    step.move()
    assert timed(step, 1, machine) == pytest.approx(before) != 1.0
    assert timed(machine.step(1.0), 1, machine) != pytest.approx(before)


def took(machine, steps, cost_s=1.0):
    """The seconds of each step, one after the other."""
    step = machine.step(cost_s)
    passed = []
    for _ in range(steps):
        start = machine.mark()
        step()
        passed.append(machine.seconds(start, machine.mark()))
    return passed


def test_a_drifting_machine_gets_slower_by_that_share_in_a_second():
    assert took(Machine(drift=0.5), 3) == [1.0, 1.5, 2.25]  # 1 + 0.5 * 0, * 1, * 2.5


def test_a_machine_that_jumps_is_slower_from_that_second_on():
    assert took(Machine(jump_at_s=2.0, jump=3.0), 4) == [1.0, 1.0, 3.0, 3.0]


def test_drift_and_jump_multiply():
    machine = Machine(drift=0.5, jump_at_s=1.0, jump=2.0)
    assert took(machine, 2) == [1.0, 3.0]  # 1 * (1 + 0.5 * 1) * 2


def test_a_spike_takes_ten_times_as_long_and_comes_as_often_as_it_should():
    passed = took(Machine(spikes=0.05), 2000, cost_s=0.25)
    assert set(passed) == {0.25, 2.5}
    assert 60 <= passed.count(2.5) <= 140  # 100, and 4.1 deviations of 9.7


@pytest.mark.parametrize(
    ("heavy_tails", "share_beyond"),
    [(False, 0.0015), (True, 0.05)],  # beyond 3.182: the 97.5% point of Student's t of 3
)
def test_the_noise_of_a_machine_has_the_tails_that_it_should(heavy_tails, share_beyond):
    machine = Machine(noise=0.01, heavy_tails=heavy_tails)
    steps = 4000
    beyond = sum(abs(log(each)) > 0.03182 for each in took(machine, steps))
    assert abs(beyond / steps - share_beyond) < 4 * (share_beyond / steps) ** 0.5


def test_the_noise_of_a_machine_has_the_deviation_that_it_should():
    deviation = stdev(map(log, took(Machine(noise=0.01), 4000)))
    assert deviation == pytest.approx(0.01, rel=0.05)  # 4.5 deviations of 1 / (2 * 4000)**0.5
