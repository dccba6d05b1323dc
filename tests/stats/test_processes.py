from math import inf, log, sqrt

import numpy as np
import pytest

from attnbench.records.schema import Block, Round
from attnbench.stats import ratios
from attnbench.stats.interval import median_interval
from attnbench.stats.processes import effective, parts


def rounds_of(values, processes, variant="sa"):
    """Rounds in which the plain host takes a second and the variant as long as stated."""
    return [
        Round(
            number=number,
            process=process,
            blocks=(
                Block(variant="plain", steps=1, seconds=1.0),
                Block(variant=variant, steps=1, seconds=value),
            ),
        )
        for number, (value, process) in enumerate(zip(values, processes, strict=True))
    ]


@pytest.mark.parametrize("processes", [[0] * 12, [0] * 6 + [1] * 6, [0] * 30 + [1, 2]])
def test_of_one_or_two_processes_the_rounds_are_one_series(processes):
    samples = [float(number % 5) for number in range(len(processes))]
    known = parts(samples, processes)
    assert known.interval == median_interval(samples)
    assert (known.rounds, known.processes) == (known.interval.half_width, None)


def test_processes_of_one_size_count_in_full_and_a_short_one_hardly():
    assert effective([10, 10, 10]) == pytest.approx(3)
    assert effective([10, 10, 10, 1]) == pytest.approx(31**2 / 301)  # 3.19
    assert effective([]) == 0


def test_the_interval_of_processes_without_any_scatter_within_by_hand():
    # Medians 1, 2, 3 and 6: mean 3, variance (4 + 1 + 0 + 9) / 3 = 14 / 3. Student's t of three
    # degrees is 3.182446305: the mean is known to that times sqrt(14 / 3 / 4).
    known = parts(
        [1.0] * 6 + [2.0] * 6 + [3.0] * 6 + [6.0] * 6, [0] * 6 + [1] * 6 + [2] * 6 + [3] * 6
    )
    reach = 3.182446305 * sqrt(14 / 3 / 4)
    assert known.interval.median == pytest.approx(3.0)
    assert known.interval.low == pytest.approx(3 - reach)
    assert known.interval.high == pytest.approx(3 + reach)
    assert (known.rounds, known.processes) == (0.0, pytest.approx(reach))


def test_processes_that_agree_leave_the_interval_of_their_rounds():
    pattern = [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0] * 5
    known = parts(pattern * 4, np.repeat(range(4), 30).tolist())
    alone = median_interval(pattern * 4)
    assert known.interval.median == 0
    lost = sqrt(120 / 116)  # a median of each of four processes
    assert known.interval.low == pytest.approx(alone.low * lost)
    assert known.interval.high == pytest.approx(alone.high * lost)
    assert known.processes == 0


def test_a_process_of_few_rounds_moves_the_ratio_by_no_more_than_its_rounds():
    many = [0.0, 1.0] * 15
    known = parts(many * 3 + [50.0], [0] * 30 + [1] * 30 + [2] * 30 + [3])
    assert known.interval.median == pytest.approx((90 * 0.5 + 50.0) / 91)


def test_too_few_rounds_in_all_have_no_interval():
    known = parts([1.0, 2.0, 3.0], [0, 1, 2])
    assert (known.interval.low, known.interval.high) == (-inf, inf)
    assert (known.rounds, known.processes) == (inf, inf)


def test_the_parts_of_a_ratio_are_those_of_its_logarithms():
    processes = np.repeat(range(4), 6).tolist()
    values = [1.1, 1.1, 1.1, 1.1, 1.1, 1.1] * 2 + [1.2] * 12
    rounds = rounds_of(values, processes)
    known = ratios.parts(rounds, "sa")
    assert known == parts([log(value) for value in values], processes)
    ratio = ratios.ratio(rounds, "sa")
    assert log(ratio.median) == pytest.approx((log(1.1) + log(1.2)) / 2)
    assert log(ratio.high / ratio.median) == pytest.approx(known.processes)
    assert ratios.parts(rounds, "never ran") is None


def simulated(random, processes, rounds, deviation):
    """Log-ratios whose rounds scatter by 3% and whose processes scatter by that much as well."""
    levels = deviation * random.standard_normal(processes)
    samples = np.repeat(levels, rounds) + 0.03 * random.standard_normal(processes * rounds)
    return samples.tolist(), np.repeat(range(processes), rounds).tolist()


@pytest.mark.parametrize("deviation", [0.0, 0.005, 0.01, 0.03])
@pytest.mark.parametrize(("processes", "rounds"), [(4, 20), (6, 8)])
def test_the_truth_is_inside_the_interval_in_93_of_100_runs(processes, rounds, deviation):
    random, runs = np.random.default_rng(7), 300
    held = 0
    for _ in range(runs):
        known = parts(*simulated(random, processes, rounds, deviation), resamples=50).interval
        held += known.low <= 0 <= known.high
    assert held >= 0.93 * runs


def test_rounds_taken_as_one_series_do_not_hold_it_where_processes_differ():
    """What the interval of one process promises: the reason for this one."""
    random, runs, held = np.random.default_rng(7), 200, 0
    for _ in range(runs):
        samples, _ = simulated(random, 1, 120, 0.0)
        level = 0.01 * random.standard_normal()
        known = median_interval([level + sample for sample in samples], 50)
        held += known.low <= 0 <= known.high
    assert held < 0.7 * runs
