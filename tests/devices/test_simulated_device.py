"""The engine on a simulated device that executes behind the host, against the truth.

Per network: kernels, microseconds to issue one, microseconds to execute one; about those of
ResNet-50 with SE and SA on a large GPU.
"""

from itertools import islice
from math import log
from statistics import median, stdev

import pytest
from helpers.simulated_device import LATENCY_S, MARK_S, QUEUE, SimulatedDevice

from attnbench.devices.device_time import (
    Ahead,
    NotAheadError,
    calibrate,
    measure,
)
from attnbench.measuring.timing import BLOCK_S, Rounds, Step, warm_up
from attnbench.stats import ratios
from attnbench.stats.quantities.device_time import device_rounds, waited

LOADS = {
    "host-bound": {"plain": (175, 24, 9.1), "se": (271, 22, 6.6), "sa": (367, 22, 5.9)},
    "crossover": {"plain": (175, 24, 26), "se": (271, 22, 18), "sa": (367, 22, 17)},
    "device-bound": {"plain": (175, 24, 90), "se": (271, 22, 63), "sa": (367, 22, 60)},
}
JITTER = 0.02


def warm(load, jitter):
    device = SimulatedDevice(jitter)
    steps = {name: device.step(*work, name) for name, work in load.items()}
    blocks = {name: warm_up(step, device) for name, step in steps.items()}
    ahead = {
        name: calibrate(step, device, load[name][0], blocks[name]) for name, step in steps.items()
    }
    return Rounds(steps, blocks, device, 0, ahead=ahead)


def measured(load, count, jitter=0.0):
    return list(islice(warm(load, jitter), count))


def issue_s(work):
    kernels, host_us, _ = work
    return kernels * host_us * 1e-6


def execute_s(work):
    kernels, _, device_us = work
    return kernels * device_us * 1e-6


@pytest.fixture(scope="module")
def runs():
    return {name: measured(load, 40, JITTER) for name, load in LOADS.items()}


@pytest.mark.parametrize("regime", LOADS)
def test_device_time_is_the_truth_within_a_thousandth(runs, regime):
    rounds = device_rounds(runs[regime])
    for name, work in LOADS[regime].items():
        seconds = ratios.seconds_per_step(rounds, name)
        assert len(seconds) == 40
        assert median(seconds) == pytest.approx(execute_s(work), rel=1e-3)
        assert max(seconds) == pytest.approx(execute_s(work), rel=1e-3)


@pytest.mark.parametrize("regime", LOADS)
def test_host_bound_time_is_that_of_the_slower_of_both(runs, regime):
    for name, work in LOADS[regime].items():
        seconds = ratios.seconds_per_step(runs[regime], name)
        # The jitter delays the host by JITTER times the mean of |normal|, 0.8 of it, on average.
        truth = max(issue_s(work) * (1 + 0.8 * JITTER), execute_s(work))
        assert median(seconds) == pytest.approx(truth, rel=0.01)
        assert stdev(map(log, seconds)) < 0.005


def test_the_ratio_of_the_device_is_not_that_of_issuing(runs):
    rounds = runs["host-bound"]
    work = LOADS["host-bound"]
    of_issuing = ratios.ratio(rounds, "sa").median
    of_device = ratios.ratio(device_rounds(rounds), "sa").median
    assert of_issuing == pytest.approx(issue_s(work["sa"]) / issue_s(work["plain"]), rel=0.01)
    assert of_device == pytest.approx(execute_s(work["sa"]) / execute_s(work["plain"]), rel=1e-3)
    assert of_issuing / of_device > 1.4  # 1.92 and 1.36


@pytest.mark.parametrize(("regime", "waits"), [("host-bound", True), ("device-bound", False)])
def test_where_the_device_waited_for_the_host_is_known(runs, regime, waits):
    assert {waited(runs[regime], name) for name in LOADS[regime]} == {waits}


@pytest.mark.parametrize("regime", LOADS)
def test_a_block_takes_the_same_whatever_ran_before_it(regime):
    by_neighbours: dict[str, set[float]] = {}
    for each in measured(LOADS[regime], 30):
        for block in each.blocks:
            times = (block.seconds, block.issued_s, block.device.seconds)
            by_neighbours.setdefault(block.variant, set()).add(tuple(round(t, 9) for t in times))
    assert {name: len(times) for name, times in by_neighbours.items()} == {
        "plain": 1,
        "se": 1,
        "sa": 1,
    }


def test_a_light_network_after_a_heavy_one_takes_what_it_takes_alone():
    light, heavy = (175, 24, 9.1), (175, 24, 9000)
    alone = measured({"light": light}, 1)[0].blocks[0]
    blocks = [
        block
        for each in measured({"light": light, "heavy": heavy}, 10)
        for block in each.blocks
        if block.variant == "light"
    ]
    assert {round(block.seconds, 9) for block in blocks} == {round(alone.seconds, 9)}


def test_issuing_is_timed_on_the_hosts_clock_to_an_idle_device():
    work = LOADS["device-bound"]["plain"]
    (block,) = measured({"plain": work}, 1)[0].blocks
    assert block.issued_s == pytest.approx(block.steps * issue_s(work), rel=1e-9)
    assert block.seconds > 3 * block.issued_s


@pytest.mark.parametrize("regime", LOADS)
def test_a_blocks_device_time_has_so_few_steps_that_its_launches_fit(regime):
    rounds = warm(LOADS[regime], 0.0)
    for name, ahead in rounds.ahead.items():
        kernels = LOADS[regime][name][0]
        assert ahead.steps == min(899 // kernels, rounds.block_steps[name])
        assert ahead.spin_s > ahead.steps * issue_s(LOADS[regime][name])


def test_it_has_no_more_steps_than_a_block():
    device = SimulatedDevice()
    step = device.step(1, 5, 30_000)  # a graph: one launch, 30 ms
    blocks = warm_up(step, device)
    assert blocks * 0.03 >= BLOCK_S
    assert calibrate(step, device, 1, blocks).steps == blocks == 1


def test_steps_are_halved_until_they_fit_where_launches_are_not_known():
    device = SimulatedDevice()
    step = device.step(300, 10, 5)
    ahead = calibrate(step, device, None, 64)
    assert 300 * ahead.steps < QUEUE < 300 * 2 * ahead.steps
    assert measure(step, ahead, device).seconds == pytest.approx(ahead.steps * 300 * 5e-6, rel=1e-3)


def test_steps_are_halved_where_the_queue_holds_fewer_than_expected():
    device = SimulatedDevice(capacity=256)
    step = device.step(100, 10, 5)
    assert calibrate(step, device, 100, 64).steps == 2  # 8, 4, 2: 200 launches


def test_a_step_that_waits_for_the_device_has_no_device_time():
    device = SimulatedDevice()
    step = device.step(10, 10, 5)

    def waits():
        step()
        device.synchronize()

    with pytest.raises(NotAheadError, match="the step waits for the device"):
        calibrate(waits, device, 10, 8)


def test_a_step_that_does_not_fit_into_the_queue_has_none():
    device = SimulatedDevice(capacity=64)
    with pytest.raises(NotAheadError, match="launches more than its queue holds"):
        calibrate(device.step(100, 10, 5), device, 100, 8)


def test_a_block_whose_spin_was_over_too_early_is_taken_again_with_a_longer_one():
    device = SimulatedDevice()
    step = device.step(100, 10, 5)  # 1 ms to issue
    ahead = Ahead(1, 0.7e-3)
    taken = measure(step, ahead, device)
    assert device.log.count("spin") == 2
    assert taken.spin_s == ahead.spin_s == pytest.approx(1.05e-3)  # 1.5 * 0.7
    assert taken.seconds == pytest.approx(0.5e-3)


def test_a_block_that_is_never_valid_is_left_out_and_the_spin_stays_within_limits():
    device = SimulatedDevice()
    step = device.step(100, 10, 5)
    ahead = Ahead(1, 1e-5, most_s=2e-5)
    assert measure(step, ahead, device) is None
    assert ahead.spin_s == 2e-5
    rounds = Rounds({"sa": step}, {"sa": 20}, device, 0, ahead={"sa": ahead})
    (block,) = next(iter(rounds)).blocks
    assert block.device is None
    assert block.seconds == pytest.approx(20 * 1e-3 + MARK_S + LATENCY_S + 5e-6, abs=1e-5)


def test_the_parts_of_a_step_are_those_of_the_host_bound_block():
    device = SimulatedDevice()
    parts = device.step(50, 10, 5, "forward").parts | device.step(100, 10, 5, "backward").parts
    step = Step(parts)
    rounds = Rounds({"sa": step}, {"sa": 4}, device, 0, ahead={"sa": Ahead(2, 1.0)})
    (block,) = next(iter(rounds)).blocks
    assert block.parts["backward"] == pytest.approx(2 * block.parts["forward"], rel=0.02)
    assert block.device.seconds == pytest.approx(2 * 150 * 5e-6, rel=0.02)


@pytest.mark.parametrize("regime", LOADS)
def test_single_steps_have_both_times_too(regime):
    device, work = SimulatedDevice(), LOADS[regime]["se"]
    step = Step(device.step(*work).parts, each=True)
    steps = warm_up(step, device)
    ahead = calibrate(step, device, work[0], steps, each=True)
    assert (work[0] + 1) * ahead.steps < 900  # a mark is issued, too
    rounds = Rounds({"se": step}, {"se": steps}, device, 0, ahead={"se": ahead})
    (block,) = next(iter(rounds)).blocks
    assert block.device.each_s == pytest.approx([execute_s(work)] * ahead.steps, rel=1e-3)
    slower = max(issue_s(work) + MARK_S, execute_s(work))
    assert block.each_s[1:] == pytest.approx([slower] * (steps - 1), rel=0.02)
