"""Ratios from rounds: what they are of, whether the control holds, when a run may stop."""

from dataclasses import replace
from itertools import islice
from math import exp, inf, log
from random import Random

import numpy as np
import pytest

from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import Rounds, timed
from attnbench.records.schema import Block, Disturbance, Round
from attnbench.records.variants import CONTROL, COPY, COPY_AGAIN, PLAIN
from attnbench.stats.interval import FEWEST, Interval
from attnbench.stats.ratios import (
    control_fault,
    flags,
    log_ratios,
    may_stop,
    outliers,
    ratio,
    seconds_per_step,
    verdict,
)


def rounds_of(**seconds):
    """Rounds from each variant's seconds in a step, round by round; None where it did not run."""
    return [
        Round(
            number=number,
            blocks=tuple(
                Block(variant=name, steps=1, seconds=took)
                for name, took in zip(seconds, round_s, strict=True)
                if took is not None
            ),
        )
        for number, round_s in enumerate(zip(*seconds.values(), strict=True))
    ]


def steady(count, **step_s):
    return rounds_of(**{name: [seconds] * count for name, seconds in step_s.items()})


def test_a_ratio_is_of_single_steps():
    blocks = (
        Block(variant="sa", steps=4, seconds=12.0),  # 3 s a step
        Block(variant=PLAIN, steps=2, seconds=4.0),  # 2 s a step
    )
    rounds = [Round(number=number, blocks=blocks) for number in range(FEWEST)]
    assert seconds_per_step(rounds, "sa") == [3.0] * 6
    assert log_ratios(rounds, "sa") == [log(1.5)] * 6
    assert ratio(rounds, "sa").median == pytest.approx(1.5)


def test_a_ratio_is_taken_within_each_round():
    # Half as fast in the second round: the quotient of the medians 4.5 / 2 would be 2.25.
    rounds = rounds_of(plain=[1.0, 2.0, 4.0], sa=[4.5, 3.0, 6.0])
    assert ratio(rounds, "sa").median == pytest.approx(1.5)  # of 4.5, 1.5 and 1.5


def test_rounds_that_lack_the_variant_or_the_plain_host_are_left_out():
    rounds = rounds_of(plain=[1.0, 1.0, None], sa=[1.5, None, 7.0])
    assert log_ratios(rounds, "sa") == [log(1.5)]
    assert seconds_per_step(rounds, "sa") == [1.5, 7.0]
    assert ratio(rounds, "sa") == Interval(exp(log(1.5)), 0.0, inf)


def test_a_variant_that_never_ran_beside_the_plain_host_has_no_ratio():
    assert ratio(rounds_of(plain=[1.0, None], sa=[None, 1.0]), "sa") is None
    assert ratio([], "sa") is None


def test_a_ratio_can_be_taken_to_another_baseline():
    rounds = rounds_of(plain=[1.0] * 6, copy=[0.5] * 6, sa=[1.5] * 6)
    assert ratio(rounds, "sa", baseline=COPY).median == pytest.approx(3.0)  # 1.5 / 0.5
    assert ratio(rounds, "sa").median == pytest.approx(1.5)
    assert ratio(rounds, "sa", baseline="never ran") is None


def in_parts(variant, steps, **parts):
    return Block(variant=variant, steps=steps, seconds=sum(parts.values()), parts=parts)


def test_a_ratio_can_be_taken_of_a_part_of_a_step():
    blocks = (
        in_parts(PLAIN, 2, forward=2.0, backward=4.0),  # 1 s and 2 s a step
        in_parts("sa", 4, forward=6.0, backward=20.0),  # 1.5 s and 5 s a step
    )
    rounds = [Round(number=number, blocks=blocks) for number in range(FEWEST)]
    assert seconds_per_step(rounds, "sa", "forward") == [1.5] * 6
    assert ratio(rounds, "sa", part="forward").median == pytest.approx(1.5)
    assert ratio(rounds, "sa", part="backward").median == pytest.approx(2.5)
    assert ratio(rounds, "sa").median == pytest.approx(6.5 / 3)  # (1.5 + 5) / (1 + 2)
    assert ratio(rounds, PLAIN, part="backward", baseline="sa").median == pytest.approx(0.4)


def test_rounds_without_the_part_are_left_out():
    blocks = (
        (in_parts(PLAIN, 1, forward=1.0), in_parts("sa", 1, forward=1.5)),
        (Block(variant=PLAIN, steps=1, seconds=1.0), in_parts("sa", 1, forward=7.0)),
        (in_parts(PLAIN, 1, forward=1.0), Block(variant="sa", steps=1, seconds=7.0)),
    )
    rounds = [Round(number=number, blocks=variants) for number, variants in enumerate(blocks)]
    assert log_ratios(rounds, "sa", part="forward") == [log(1.5)]
    assert ratio(rounds, "sa", part="backward") is None
    assert seconds_per_step(rounds, "sa", "backward") == []


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(1.2, 1.1, 1.3), "slower"),
        (Interval(0.8, 0.7, 0.9), "faster"),
        (Interval(1.1, 0.9, 1.3), "no significant difference"),
        (Interval(1.1, 1.0, 1.2), "no significant difference"),
        (Interval(1.5, 0.0, inf), "no significant difference"),
    ],
)
def test_a_verdict_follows_from_the_interval(interval, words):
    assert verdict(interval) == words


WIDE = Random(6).sample([0.9, 1.1] * 20, 40)


def test_a_control_of_one_holds():
    assert control_fault(steady(FEWEST, plain=1.0, control=1.0), target=0.01) is None


def test_a_control_significantly_different_from_1_is_a_fault():
    fault = control_fault(steady(FEWEST, plain=1.0, control=1.001), target=0.01)
    assert fault == "the plain host against itself is significantly different from 1"


def test_a_control_that_is_too_wide_is_a_fault_with_its_width():
    rounds = rounds_of(plain=[1.0] * 40, control=WIDE)
    fault = control_fault(rounds, target=0.09)
    half_width = ratio(rounds, CONTROL).half_width
    assert half_width == pytest.approx(0.1)  # (1.1 - 0.9) / 2
    assert fault == "the plain host against itself is known no better than ±10.0%"
    assert control_fault(rounds, target=0.11) is None


@pytest.mark.parametrize("count", [0, FEWEST - 1])
def test_a_control_of_too_few_rounds_is_a_fault(count):
    assert control_fault(steady(count, plain=1.0, control=1.0), 0.01) == "fewer than 6 rounds"


def test_a_control_that_never_ran_is_a_fault():
    assert control_fault(steady(FEWEST, plain=1.0), 0.01) == "fewer than 6 rounds"


def test_a_control_may_be_that_of_another_baseline():
    rounds = rounds_of(**{COPY: [1.0] * 6, COPY_AGAIN: [1.001] * 6, "sa": [2.0] * 6})
    fault = control_fault(rounds, 0.01, baseline=COPY, control=COPY_AGAIN)
    assert fault == "the copy against itself is significantly different from 1"
    even = rounds_of(**{COPY: [1.0] * 6, COPY_AGAIN: [1.0] * 6})
    assert control_fault(even, 0.01, baseline=COPY, control=COPY_AGAIN) is None
    assert control_fault(even, 0.01) == "fewer than 6 rounds"  # of the plain host


def test_whether_a_run_may_stop_asks_for_every_variant():
    rounds = rounds_of(plain=[1.0] * 40, control=[1.0] * 40, sa=WIDE)
    assert may_stop(rounds, [PLAIN, CONTROL], target=0.01)
    assert not may_stop(rounds, [PLAIN, CONTROL, "sa"], target=0.09)
    assert may_stop(rounds, [PLAIN, CONTROL, "sa"], target=0.11)
    assert not may_stop(rounds, [PLAIN, "never ran"], target=0.11)


@pytest.mark.parametrize("baseline", [PLAIN, COPY])
def test_a_run_may_stop_at_its_thirtieth_round_or_at_a_tenth_after_it(baseline):
    rounds = steady(61, **{baseline: 1.0, "sa": 1.5})
    variants = [baseline, "sa"]
    ends = [n for n in range(62) if may_stop(rounds[:n], variants, 0.01, baseline=baseline)]
    assert ends == [30, 40, 50, 60]


def test_a_run_may_not_stop_while_one_interval_is_too_wide():
    rounds = rounds_of(plain=[1.0] * 40, control=[1.0] * 40, sa=WIDE)
    assert may_stop(rounds, [PLAIN, CONTROL], 0.01)
    assert not may_stop(rounds, [PLAIN, CONTROL, "sa"], 0.09)  # its half-width is 0.1
    assert may_stop(rounds, [PLAIN, CONTROL, "sa"], 0.11)


def normals(random):
    return [random.gauss(0, 1) for _ in range(400)]


def test_a_run_that_stops_at_its_target_has_a_control_that_is_narrow_enough():
    contradictions = []
    for seed in range(45, 50):
        random = Random(seed)
        seconds = {name: [exp(0.03 * error) for error in normals(random)] for name in NOISY}
        rounds = rounds_of(**seconds)
        stops = (count for count in range(30, 401, 10) if may_stop(rounds[:count], NOISY, 0.01))
        fault = control_fault(rounds[: next(stops)], 0.01)
        if fault and "no better than" in fault:
            contradictions.append((seed, fault))
    assert contradictions == []


NOISY = (PLAIN, CONTROL)

TRUTH = 1.1
COST_S = {PLAIN: 0.1, CONTROL: 0.1, "sa": 0.1 * TRUTH}


def interleaved(machine, count):
    steps = {name: machine.step(cost, name) for name, cost in COST_S.items()}
    return list(islice(Rounds(steps, dict.fromkeys(steps, 1), machine, seed=0), count))


def one_after_the_other(machine, count):
    steps = {name: machine.step(cost, name) for name, cost in COST_S.items()}
    return rounds_of(
        **{name: [timed(step, 1, machine) for _ in range(count)] for name, step in steps.items()}
    )


TROUBLE = {
    "drift": {"drift": 0.01},  # 33 s of work: a third slower at the end
    "a step halfway": {"jump_at_s": 15.0, "jump": 1.3},
    "drift, spikes and heavy tails": {"drift": 0.01, "spikes": 0.05, "heavy_tails": True},
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_interleaved_rounds_are_right_where_one_after_the_other_is_wrong(trouble):
    rounds = interleaved(Machine(seed=1, noise=0.005, **trouble), 100)
    interval = ratio(rounds, "sa")
    assert interval.low < TRUTH < interval.high
    assert interval.half_width < 0.005
    assert control_fault(rounds, target=0.005) is None

    wrong = ratio(one_after_the_other(Machine(seed=1, noise=0.005, **trouble), 100), "sa")
    assert wrong.median > 1.15  # 0.05 off


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_the_control_shows_that_one_after_the_other_is_wrong(trouble):
    rounds = one_after_the_other(Machine(seed=1, noise=0.005, **trouble), 100)
    assert control_fault(rounds, target=0.005).startswith("the plain host against itself is ")


def independent(random, count):
    return random.normal(0, 0.03, (2, count))


def heavy_tails(random, count):
    return 0.03 * random.standard_t(2, (2, count))


def drift(random, count):
    """Twice as slow at the end, and within each round the second variant runs later."""
    order = random.permuted(np.tile([0, 1], (count, 1)), axis=1).T
    return np.log1p((np.arange(count) + order / 2) / count) + independent(random, count)


def autocorrelated(share):
    """Noise of which that share is left in the next round."""

    def noise(random, count):
        series = 0.03 * random.standard_normal((2, count + 20))
        for number in range(1, count + 20):
            series[:, number] += share * series[:, number - 1]
        return series[:, 20:]

    return noise


@pytest.mark.parametrize("count", [FEWEST, 30, 200])
@pytest.mark.parametrize("noise", [independent, heavy_tails, drift])
def test_the_truth_is_inside_the_interval_in_93_of_100_runs(noise, count):
    runs = 400
    assert hits(noise, count, runs) >= 0.93 * runs


@pytest.mark.parametrize("count", [30, 200])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_truth_is_inside_the_interval_of_correlated_rounds_too(share, count):
    runs = 400
    assert hits(autocorrelated(share), count, runs) >= 0.93 * runs


def hits(noise, count, runs):
    random, inside = np.random.default_rng(5), 0
    for _ in range(runs):
        plain, slower = np.exp(noise(random, count))
        interval = ratio(rounds_of(plain=plain, sa=TRUTH * slower), "sa", resamples=300)
        inside += interval.low <= TRUTH <= interval.high
    return inside


# Of 1 to 8 the quartiles lie at the places 1.75 and 5.25 counted from 0: they are 2.75 and 6.25.
# Three times their distance of 3.5 is 10.5: the fences are at -7.75 and 16.75.
@pytest.mark.parametrize(
    ("samples", "count"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], 0),
        ([1, 2, 3, 4, 5, 6, 7, 16.75], 0),
        ([1, 2, 3, 4, 5, 6, 7, 16.875], 1),
        ([-7.75, 2, 3, 4, 5, 6, 7, 8], 0),
        ([-7.875, 2, 3, 4, 5, 6, 7, 8], 1),
        ([-7.875, 2, 3, 4, 5, 6, 7, 16.875], 2),
        ([16.875, 7, 1, 3, 2, 6, 5, 4], 1),
        ([3, 4] * 9 + [3, 400], 1),  # one far value in twenty
        ([0.25] * 20, 0),
        ([0.25] * 19 + [0.375], 1),
        ([], 0),
    ],
)
def test_outliers_lie_beyond_the_outer_fences(samples, count):
    assert outliers(samples) == count


def test_fewer_than_six_samples_have_no_outliers():
    assert outliers([1, 1, 1, 1, 100]) == 0
    assert outliers([1, 1, 1, 1, 1, 100]) == 1


def disturbed(*disturbances):
    return [
        Round(
            number=number,
            blocks=(Block(variant=PLAIN, steps=1, seconds=1.0),),
            disturbance=disturbance,
        )
        for number, disturbance in enumerate(disturbances)
    ]


@pytest.mark.parametrize(
    ("elapsed_s", "kept_from", "expected"),
    [
        (16.0, {"asleep_s": 1.6}, {}),
        (16.0, {"asleep_s": 1.625}, {"asleep": 1}),
        (0.5, {"asleep_s": 0.1}, {}),  # of a short round a second's tenth
        (0.5, {"asleep_s": 0.125}, {"asleep": 1}),
        (16.0, {"waited_s": 1.6}, {}),
        (16.0, {"waited_s": 1.625}, {"waiting for a core": 1}),
        (0.5, {"waited_s": 0.05}, {}),
        (0.5, {"waited_s": 0.0625}, {"waiting for a core": 1}),
        (16.0, {"stolen_s": 1.6}, {}),
        (16.0, {"stolen_s": 1.625}, {"CPU time stolen": 1}),
        (0.5, {"stolen_s": 0.05}, {}),
        (0.5, {"stolen_s": 0.0625}, {"CPU time stolen": 1}),
        (16.0, {"asleep_s": 0.0, "waited_s": 0.0, "stolen_s": 0.0}, {}),
        (16.0, {}, {}),  # nothing is known
        (
            16.0,
            {"asleep_s": 2.0, "waited_s": 3.0, "stolen_s": 4.0},
            {"asleep": 1, "waiting for a core": 1, "CPU time stolen": 1},
        ),
    ],
)
def test_a_round_is_flagged_for_losing_more_than_a_tenth(elapsed_s, kept_from, expected):
    assert flags(disturbed(Disturbance(elapsed_s=elapsed_s, **kept_from))) == expected


def test_flags_count_rounds_and_skip_those_without_a_disturbance():
    waited, stolen = Disturbance(elapsed_s=1.0, waited_s=0.5), Disturbance(elapsed_s=1, stolen_s=1)
    flagged = flags(disturbed(waited, None, stolen, waited))
    assert flagged == {"waiting for a core": 2, "CPU time stolen": 1}


@pytest.mark.parametrize("seconds", [10.0, 0.1])
def test_a_round_ten_times_as_long_or_as_short_as_the_others_is_flagged(seconds):
    lengths = [0.9, 1.0, 1.1] * 6 + [1.0, seconds]
    assert flags(rounds_of(plain=lengths)) == {"far from the others in length": 1}


def test_a_round_is_as_long_as_all_of_its_blocks():
    rounds = rounds_of(plain=[1.0, 2.0] * 10, sa=[3.0, 2.0] * 9 + [3.0, 38.0])
    assert flags(rounds) == {"far from the others in length": 1}  # 40 where the others take 4


def test_rounds_beside_another_measurement_are_flagged():
    first, second, *others = rounds_of(plain=[0.9, 1.0, 1.1] * 6)
    shared = [replace(timed, shared=True) for timed in (first, second)]
    assert flags([*shared, *others]) == {"another measurement or training ran": 2}


def test_undisturbed_rounds_have_no_flags():
    assert flags([]) == {}
    assert flags(rounds_of(plain=[0.9, 1.0, 1.1] * 6)) == {}
    assert flags([Round(number=0, blocks=())]) == {}


def test_rounds_without_a_failed_variant_are_compared_among_themselves():
    whole = steady(5, plain=1.0, control=1.0, sa=1.5)
    left = [replace(timed, number=5 + timed.number) for timed in steady(35, plain=1.0, control=1.0)]
    assert flags(whole + left) == {}
