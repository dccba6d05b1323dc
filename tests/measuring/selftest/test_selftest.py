from dataclasses import replace
from math import log, sqrt
from statistics import stdev

import pytest
import torch

from attnbench.errors import UserError
from attnbench.measuring.selftest import selftest
from attnbench.measuring.selftest.selftest import (
    FOUND,
    HEADINGS,
    HELD,
    REAL_HELD,
    VARIANTS,
    Findings,
    changes,
    intervals,
)
from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import Rounds, Step, timed
from attnbench.records.schema import Block, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import between_runs, ratios

TRUE = {PLAIN: 1.0, CONTROL: 1.0, "+2%": 1.02, "+5%": 1.05}


def run_of(*control_s, **others):
    """Rounds of the control's seconds, one after the other, and of steady other variants."""
    costs = TRUE | others
    return [
        Round(
            number=number,
            blocks=tuple(
                Block(variant=name, steps=1, seconds=costs[name] if name != CONTROL else took)
                for name in costs
            ),
        )
        for number, took in enumerate(control_s)
    ]


def good(count):
    return [intervals(run_of(*[1.0] * 6))] * count


def biased(count):
    return [intervals(run_of(*[1.01] * 6))] * count


def faster(count):
    return [intervals(run_of(*[0.99] * 6))] * count


def blind(count):
    return [intervals(run_of(*[1.0] * 6, **{"+2%": 1.0}))] * count


def wide(high):
    # Of six samples the interval reaches from the least to the greatest.
    return intervals(run_of(1.0, 1.0, 1.0, 1.0, 1.0, high))


def test_a_planted_slowdown_is_named_by_its_share():
    assert VARIANTS == ("plain", "control", "+2%", "+5%")


def test_runs_that_are_all_right_are_a_row_and_no_fault():
    findings = Findings()
    findings.take("calm", good(20), HELD, FOUND)
    assert findings.rows == [("calm", "20", "20", "20", "20", "0.00%", "calibrated")]
    assert findings.faults == []
    assert len(findings.rows[0]) == len(HEADINGS)


@pytest.mark.parametrize("miss", [biased, faster])
@pytest.mark.parametrize(
    ("held", "missing", "faults"),
    [
        (HELD, 1, []),  # 0.93 * 20 = 18.6: 19 must
        (HELD, 2, ["calm: intervals that hold 1: 18 of 20, at least 19 must"]),
        (REAL_HELD, 2, []),  # 0.90 * 20 = 18
        (REAL_HELD, 3, ["calm: intervals that hold 1: 17 of 20, at least 18 must"]),
        (0.96, 1, ["calm: intervals that hold 1: 19 of 20, at least 20 must"]),  # 19.2
        (1.0, 1, ["calm: intervals that hold 1: 19 of 20, at least 20 must"]),
    ],
)
def test_intervals_that_miss_the_truth_are_counted(miss, held, missing, faults):
    findings = Findings()
    findings.take("calm", good(20 - missing) + miss(missing), held, FOUND)
    assert findings.rows[0][:3] == ("calm", "20", str(20 - missing))
    assert findings.faults == faults


def test_runs_that_are_too_short_for_an_interval_hold_nothing():
    findings = Findings()
    findings.take("slow machine", [intervals(run_of(1.0, 1.0, 1.0))] * 20, REAL_HELD, None)
    assert findings.faults == ["slow machine: intervals that hold 1: 0 of 20, at least 18 must"]
    assert findings.rows[0][-2:] == ("too few rounds", "overconfident")
    findings.require_sight([intervals(run_of(1.0, 1.0, 1.0))])
    assert "half-width of its ratios: too few rounds. Stop" in findings.faults[-1]


@pytest.mark.parametrize("failing", [VARIANTS, VARIANTS[3:]], ids=["all", "one"])
def test_a_step_that_fails_is_raised(failing):
    def fail():
        raise RuntimeError("out of memory")

    machine = Machine()
    steps = {name: machine.step(1.0) for name in VARIANTS}
    steps |= {name: Step({"fail": fail}) for name in failing}
    with pytest.raises(RuntimeError, match="out of memory"):
        list(selftest._until_known(Rounds(steps, dict.fromkeys(steps, 1), machine, 0), 0.01))


def test_a_share_that_is_a_whole_number_of_runs_asks_for_no_more():
    findings = Findings()
    findings.take("calm", good(14) + biased(11), 0.56, None)  # 0.56 * 25 = 14.000000000000002
    assert findings.faults == []


@pytest.mark.parametrize(
    ("missing", "faults"),
    [
        (1, []),  # 0.95 * 20 = 19
        (2, ["calm: runs that find +2%: 18 of 20, at least 19 must"]),
    ],
)
def test_slowdowns_that_are_not_found_are_counted(missing, faults):
    findings = Findings()
    findings.take("calm", good(20 - missing) + blind(missing), HELD, FOUND)
    assert findings.rows[0][:5] == ("calm", "20", "20", str(20 - missing), "20")
    assert findings.faults == faults


def test_a_slowdown_that_is_measured_as_a_gain_is_not_found():
    findings = Findings()
    findings.take("calm", [intervals(run_of(*[1.0] * 6, **{"+5%": 0.95}))] * 20, HELD, FOUND)
    assert findings.rows == [("calm", "20", "20", "20", "0", "0.00%", "missed")]
    assert findings.faults == ["calm: runs that find +5%: 0 of 20, at least 19 must"]


def test_where_no_slowdown_must_be_found_it_is_counted_all_the_same():
    findings = Findings()
    findings.take("this machine", blind(20), REAL_HELD, None)
    assert findings.rows == [("this machine", "20", "20", "0", "20", "0.00%", "calibrated")]
    assert findings.faults == []


def test_every_fault_names_its_machine():
    findings = Findings()
    findings.take("calm", good(20), HELD, FOUND)
    findings.take("windy", biased(20), HELD, FOUND)
    findings.take("blind", blind(20), HELD, FOUND)
    assert [row[0] for row in findings.rows] == ["calm", "windy", "blind"]
    assert [fault.split(":")[0] for fault in findings.faults] == ["windy", "blind"]
    assert [row[-1] for row in findings.rows] == ["calibrated", "overconfident", "missed"]


def test_the_width_is_the_median_of_the_runs():
    findings = Findings()
    findings.take("calm", [wide(1.01), wide(1.02), wide(1.08)], HELD, None)
    assert findings.rows[0][-2] == "1.00%"  # (1.02 - 1) / 2
    assert findings.rows[0][2] == "3"  # an interval that ends at 1 holds it


def calm_run(seed):
    return selftest.simulated_run(Machine(seed=seed, noise=selftest.NOISE))


@pytest.fixture(scope="module")
def calm_runs():
    return [calm_run(seed) for seed in range(12)]


def test_on_a_calm_machine_the_truth_is_held_and_the_slowdowns_are_found(calm_runs):
    findings = Findings()
    findings.take("calm", [intervals(run) for run in calm_runs], 11 / 12, 1.0)
    assert findings.faults == []
    assert findings.rows[0][3:5] == ("12", "12")


def test_a_ruler_that_finds_its_control_slower_is_found_out(calm_runs):
    findings = Findings()
    findings.take("bent", [intervals(bent(run, 1.02)) for run in calm_runs], 11 / 12, 1.0)
    fault, unseen = findings.faults
    assert fault.startswith("bent: intervals that hold 1: ")
    assert fault.endswith(" of 12, at least 11 must")
    # To the bent copy +2% takes as long, to the other 1.02 times: half-way there, some miss it.
    assert unseen.startswith("bent: runs that find +2%: ")
    assert unseen.endswith(" of 12, at least 12 must")


def bent(run, by):
    return [
        replace(
            each,
            blocks=tuple(
                replace(block, seconds=block.seconds * by) if block.variant == CONTROL else block
                for block in each.blocks
            ),
        )
        for each in run
    ]


def test_a_simulated_run_ends_when_its_ratios_are_known_well_enough(calm_runs):
    target = ratios.TARGET["cpu"]
    for run in calm_runs:
        assert ratios.may_stop(run, VARIANTS, target)
        assert not any(
            ratios.may_stop(run[:rounds], VARIANTS, target) for rounds in range(len(run))
        )


def test_a_simulated_run_is_the_same_for_the_same_seed_and_another_for_another(calm_runs):
    assert calm_run(0) == calm_runs[0]
    assert calm_runs[0] != calm_runs[1]


def test_a_run_that_never_knows_well_enough_ends_all_the_same(monkeypatch):
    monkeypatch.setattr(selftest, "MOST_ROUNDS", 35)
    assert len(selftest.simulated_run(Machine(noise=2.0))) == 35


def test_a_run_ends_after_the_round_that_exceeds_its_budget():
    machine = Machine()
    steps = {name: machine.step(0.25, name) for name in VARIANTS}
    series = Rounds(steps, dict.fromkeys(VARIANTS, 1), machine, seed=0)
    rounds = list(selftest._until_known(series, target=0.01, budget_s=5.0))
    assert len(rounds) == 6  # of 1 s each


@pytest.fixture
def real_machine(monkeypatch):
    """A machine without noise in the place of this one; looking at its clock takes 1/1024 s."""
    machine = Machine()

    def look():
        machine.now += 2**-10
        return machine.now

    monkeypatch.setattr(selftest, "perf_counter", look)
    monkeypatch.setattr(selftest.timing, "clock_for", lambda _: machine)
    monkeypatch.setattr(
        selftest.process_settings,
        "settle",
        lambda case: machine.log.append(f"settle for {case.host}"),
    )
    monkeypatch.setattr(
        selftest.workload, "step", lambda _, variant: machine.step(0.5, f"{variant} host")
    )
    monkeypatch.setattr(selftest, "REAL_BUDGET_S", 20.0)
    return machine


def test_a_real_run_times_the_plain_host_four_times_over_and_a_module(case, real_machine):
    run = list(selftest.real_run(case, seed=7))
    variants = {*VARIANTS, selftest.MODULE}
    assert all({block.variant for block in each.blocks} == variants for each in run)
    assert {name for name in real_machine.log if "host" in name} == {"plain host", "sa host"}
    # 5 * 0.5 s, 2% and 5% of it, and less than 0.04 s for the looks: 8 rounds exceed 20 s.
    assert len(run) == 8


def test_a_real_run_settles_its_process_first_and_once(case, real_machine):
    list(selftest.real_run(case, seed=7))
    assert real_machine.log.index("settle for resnet50") == 0
    assert real_machine.log.count("settle for resnet50") == 1


@pytest.mark.usefixtures("real_machine")
def test_a_real_run_plants_the_slowdowns_that_it_says(case):
    run = list(selftest.real_run(case, seed=7))
    assert ratios.ratio(run, CONTROL).median == 1
    # Two looks around the step, one at most beyond the wait, and the share of them.
    for name, share in (("+2%", 0.02), ("+5%", 0.05)):
        planted = ratios.ratio(run, name).median
        assert 1 + share < planted < 1 + share + 4 * 2**-10 / 0.5


def test_a_real_run_may_take_no_more_rounds_than_any(case, real_machine, monkeypatch):
    monkeypatch.setattr(selftest, "MOST_ROUNDS", 3)
    assert len(list(selftest.real_run(case, seed=7))) == 3
    assert real_machine.now < 20.0


@pytest.mark.usefixtures("real_machine")
def test_the_order_of_a_real_run_comes_from_its_seed(case):
    first, again, other = (
        [[block.variant for block in each.blocks] for each in selftest.real_run(case, seed)]
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_a_slower_step_takes_that_share_longer(monkeypatch):
    looks = iter([10.0, 12.0, 12.25, 12.499, 12.5, 99.0])  # 12 + 0.25 * (12 - 10) = 12.5
    monkeypatch.setattr(selftest, "perf_counter", looks.__next__)
    moves = []
    step = Step({"forward": lambda: "answer"}, lambda: moves.append("moved"))
    slower = selftest._slower_cpu(step, 0.25)
    assert slower() == "answer"
    assert next(looks) == 99.0
    slower.move()
    assert moves == ["moved"]


def test_a_slower_step_on_a_gpu_spins_for_that_share():
    machine, spins = Machine(), []

    class Queue:
        def spin(self, seconds):
            spins.append(seconds)
            machine.now += seconds

    slower = selftest._slower_device(machine.step(0.5), 0.25, machine, Queue())
    assert spins == []
    before = machine.now
    slower()
    assert spins == [0.125]  # a quarter of 0.5 s
    assert machine.now - before == 0.625  # 0.5 + 0.125


def test_the_real_case_is_the_plain_host_of_the_main_job():
    case = selftest.real_case("cpu")
    assert (case.host, case.batch_size, case.image_size) == ("resnet50", 1, 224)
    assert (case.device, case.mode, case.dtype) == ("cpu", "inference", "float32")
    assert case.threads == torch.get_num_threads()


@pytest.mark.parametrize("device", [None, "auto"])
@pytest.mark.parametrize(("available", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_a_device_that_is_left_open_is_a_gpu_where_there_is_one(
    monkeypatch, device, available, chosen
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert selftest.real_case(device).device == chosen


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^no CUDA device is available to torch; use"):
        selftest.real_case("cuda")


@pytest.fixture
def one_machine(monkeypatch):
    """One simulated machine, no comparisons on it, and a real one whose runs are all the same."""
    calls = []

    def call(function, *args):
        calls.append((function, *args))
        return run_of(*[1.0] * 6, sa=1.2)

    monkeypatch.setattr(selftest, "MACHINES", {"calm": {}})
    monkeypatch.setattr(selftest, "SIDES", ())
    monkeypatch.setattr(selftest.worker, "stream", call)
    return calls


def test_a_selftest_tells_of_every_machine_and_every_real_run(one_machine):
    found = Findings()
    lines = list(selftest.run(2, 2, "cpu", found))
    told = "control 1.000 [1.000, 1.000], +2% 1.020 [1.020, 1.020], +5% 1.050 [1.050, 1.050]"
    assert lines == [
        "simulated, calm: 2 runs",
        f"real run 1 of 2, 6 rounds: {told}",
        f"real run 2 of 2, 6 rounds: {told}",
        "sa in 2 real runs: 1.200 to 1.200, which scatter by 0.0% (standard deviation); compare "
        "takes them to scatter by 1.3% until they show it",
    ]
    case = selftest.real_case("cpu")
    assert one_machine == [(selftest.real_run, case, seed) for seed in (1, 2)]
    assert [row[:2] for row in found.rows] == [
        ("calm", "2"),
        (f"this machine: {case.described}", "2"),
        ("compare, sa in each of these with the next", "1"),
    ]
    assert found.faults == []


def test_a_selftest_may_leave_this_machine_out(one_machine):
    found = Findings()
    assert list(selftest.run(2, 0, "cpu", found)) == ["simulated, calm: 2 runs"]
    assert [row[0] for row in found.rows] == ["calm"]
    assert one_machine == []


def test_a_real_machine_need_not_find_2_percent_but_hold_the_truth(monkeypatch, one_machine):
    found = Findings()
    monkeypatch.setattr(
        selftest.worker,
        "stream",
        lambda *_: one_machine.append("run") or run_of(*[1.01] * 6, **{"+2%": 1.0}),
    )
    list(selftest.run(2, 2, "cpu", found))
    (fault,) = found.faults
    assert fault.startswith("this machine: resnet50, inference, ")
    assert fault.endswith(": intervals that hold 1: 0 of 2, at least 2 must")


@pytest.mark.parametrize(("seen", "of", "enough"), [(0, 1, False), (17, 20, False), (18, 20, True)])
def test_a_machine_that_does_not_see_5_percent_says_so(seen, of, enough):
    blurred = run_of(*[1.0] * 6)
    # The plain host, a round at a time: every ratio is between 1 / 1.51 and 1.51.
    wide = [
        replace(each, blocks=(replace(each.blocks[0], seconds=took), *each.blocks[1:]))
        for each, took in zip(blurred, (1.51, 1 / 1.51) * 3, strict=True)
    ]
    runs = [intervals(blurred)] * seen + [intervals(wide)] * (of - seen)
    findings = Findings()
    findings.take("this machine", runs, 0.0, None, real=True)
    assert findings.rows[0][-1] == ("calibrated" if enough else "blind")
    if enough:
        assert findings.faults == []
    else:
        (fault,) = findings.faults
        count = "run" if of == 1 else "runs"
        assert fault.startswith(f"this machine cannot see 5% now: {seen} of {of} {count} found +5%")


def test_a_module_is_compared_between_each_real_run_and_the_next(monkeypatch, one_machine):
    ratios_of_sa = iter([1.2, 1.4, 1.2, 1.21, 9.9])
    monkeypatch.setattr(
        selftest.worker,
        "stream",
        lambda *_: one_machine.append("run") or run_of(*[1.0] * 6, sa=next(ratios_of_sa)),
    )
    found = Findings()
    *_, told = selftest.run(2, 5, "cpu", found)
    compare = found.rows[-1]
    # From 1.2 to 1.4 is more than runs are taken to scatter, to 1.21 is not; the fifth is alone.
    assert compare[:5] == ("compare, sa in each of these with the next", "2", "1", "–", "–")
    assert found.faults == [f"{compare[0]}: intervals that hold 1: 1 of 2, at least 2 must"]
    scatter = stdev(map(log, (1.2, 1.4, 1.2, 1.21, 9.9)))
    assert told.startswith(f"sa in 5 real runs: 1.200 to 9.900, which scatter by {scatter:.1%} (")


@pytest.fixture(scope="module")
def moody_runs():
    mood = between_runs.ASSUMED / sqrt(2)
    machines = (Machine(seed=seed, noise=selftest.NOISE, mood=mood) for seed in range(80))
    return [selftest.simulated_run(machine) for machine in machines]


def test_comparisons_of_runs_that_scatter_hold_the_truth(moody_runs):
    findings = Findings()
    pairs = zip(moody_runs[::2], moody_runs[1::2], strict=True)
    findings.take("pairs", [changes([old], [new]) for old, new in pairs], HELD, None)
    assert findings.faults == []


def test_comparisons_that_allow_for_no_scatter_are_found_out(moody_runs, monkeypatch):
    monkeypatch.setattr(between_runs, "ASSUMED", 0.0)
    findings = Findings()
    pairs = zip(moody_runs[::2], moody_runs[1::2], strict=True)
    findings.take("pairs", [changes([old], [new]) for old, new in pairs], HELD, None)
    assert len(findings.faults) == 1


def test_a_change_is_that_from_the_control_to_each_variant():
    exact = run_of(*[1.0] * 6)
    found = changes([exact], [exact])
    assert {name: each.median for name, each in found.items()} == pytest.approx(
        {CONTROL: 1.0, "+2%": 1.02, "+5%": 1.05}
    )


def test_simulated_runs_are_compared_one_and_three_a_side():
    found = Findings()
    lines = list(selftest._simulated_comparisons(2, found))
    assert [line.split(", ")[-1] for line in lines] == [
        "1 a side: 2 comparisons",
        "3 a side: 2 comparisons",
    ]
    one, three = (float(row[-2].removesuffix("%")) for row in found.rows)
    assert three < 0.8 * one


@pytest.mark.usefixtures("one_machine")
def test_a_real_run_that_fails_is_a_finding_and_the_others_go_on(monkeypatch):
    def stream(_function, _case, seed):
        if seed == 1:
            raise RuntimeError("its process was killed")
        return run_of(*[1.0] * 6)

    monkeypatch.setattr(selftest.worker, "stream", stream)
    found = Findings()
    lines = list(selftest.run(2, 2, "cpu", found))
    assert found.faults == ["real run 1: RuntimeError: its process was killed"]
    assert [line[:15] for line in lines] == ["simulated, calm", "real run 2 of 2"]


def test_on_a_gpu_the_ruler_is_tried_on_graphs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert selftest.real_case("cuda").cuda_graph
    assert not selftest.real_case("cpu").cuda_graph


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


def test_a_device_that_is_not_there_is_refused_before_anything_runs(monkeypatch, one_machine):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = Findings()
    with pytest.raises(UserError, match="no CUDA device"):
        next(selftest.run(2, 2, "cuda", found))
    assert found.rows == []
    assert one_machine == []


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
