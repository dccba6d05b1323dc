"""Runs of the self-test on this machine, and what it tells of all."""

from dataclasses import replace
from math import log
from statistics import stdev

import pytest
import torch
from helpers.planted_runs import run_of

from attnbench.errors import UserError
from attnbench.measuring.selftest import selftest
from attnbench.measuring.selftest.selftest import VARIANTS, Findings, intervals
from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import Step
from attnbench.records.variants import CONTROL
from attnbench.stats import ratios


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


def test_a_device_that_is_not_there_is_refused_before_anything_runs(monkeypatch, one_machine):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = Findings()
    with pytest.raises(UserError, match="no CUDA device"):
        next(selftest.run(2, 2, "cuda", found))
    assert found.rows == []
    assert one_machine == []
