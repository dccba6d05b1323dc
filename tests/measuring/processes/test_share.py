"""What one process does of a run, from the rounds that there are."""

from dataclasses import replace
from itertools import cycle, islice

import pytest

from attnbench.measuring.processes.share import Share, next_process
from attnbench.records.run import Run
from attnbench.records.schema import Block, DeviceTime, Failure, Plan, Round

STEADY, NOISY = (1.0,), (0.8, 1.25)
"""Seconds of a step, in turn: a ratio that is known at once, and one that is known to ±25%."""


@pytest.fixture
def run(case):
    plan = Plan(variants=("plain", "control", "sa", "se"), budget_s=240.0, target=0.01, processes=3)
    return Run(case, plan, {})


def add(run, count, *, process=0, sits_out=None, **seconds):
    """Rounds in which each variant takes these seconds in turn, else one."""
    ran = [name for name in run.plan.variants if name not in (sits_out or ())]
    turns = {name: cycle(seconds.get(name, STEADY)) for name in ran}
    for _ in range(count):
        blocks = tuple(Block(variant=name, steps=1, seconds=next(turns[name])) for name in ran)
        number = len(run.rounds)
        run.rounds.append(Round(number=number, blocks=blocks, process=process, sits_out=sits_out))


def lasts(run, share, **seconds):
    """Add rounds to a process until it is over; return how many, and how it ended."""
    first = len(run.rounds)
    turns = {name: cycle(seconds.get(name, STEADY)) for name in run.plan.variants}
    for count in range(500):
        if over := share.over(run):
            return count, over
        add_one(run, share, {name: next(turn) for name, turn in turns.items()})
    raise AssertionError(f"no end after {first} rounds")


def add_one(run, share, seconds):
    resting = tuple(name for name in run.plan.variants if name in share.resting) or None
    ran = [name for name in run.plan.variants if name not in share.resting]
    blocks = tuple(Block(variant=name, steps=1, seconds=seconds[name]) for name in ran)
    number = len(run.rounds)
    run.rounds.append(Round(number=number, blocks=blocks, process=share.process, sits_out=resting))


def test_a_run_whose_ratios_are_known_at_once_takes_the_least_rounds_of_each_process(run):
    for process in range(2):
        share = Share(run)
        assert share.process == process == next_process(run)
        assert lasts(run, share) == (6, "process")
    # 30 rounds are the fewest of a run: the last process has what is left of them.
    assert lasts(run, Share(run))[1] == "process"


def test_a_run_ends_at_its_target_in_the_planned_processes_at_the_earliest(run):
    add(run, 20)
    add(run, 20, process=1)
    assert Share(run).over(run) is None
    share = Share(run)
    assert lasts(run, share) == (6, "target")


def test_the_processes_share_the_budget(run):
    noisy = {"sa": NOISY}
    # A third of 240 s: six rounds of 4.025 s, then without se, which has its rounds, 18 of 3.025 s
    # are 78.6 s, and one more exceeds it. Half of what is then left, 79.3 s, is no more rounds.
    assert lasts(run, Share(run), **noisy) == (25, "process")
    assert lasts(run, Share(run), **noisy) == (25, "process")
    last = Share(run)
    for seconds in islice(cycle(NOISY), 100):  # the budget of the whole run ends it
        add_one(run, last, dict.fromkeys(run.plan.variants, 1.0) | {"sa": seconds})
        assert last.over(run) is None


def test_a_module_that_has_its_rounds_sits_out_and_the_plain_host_and_control_never_do(run):
    share = Share(run)
    add(run, 6, sa=NOISY)
    assert share.over(run) is None
    assert share.resting == {"se"}
    steady = Share(run)
    add(run, 6, process=1)
    steady.over(run)
    assert not steady.resting & {"plain", "control"}


def test_a_further_process_is_for_the_modules_that_have_not_reached_the_target(run):
    for process in range(3):
        add(run, 12, process=process, sa=NOISY)
    share = Share(run)
    assert (share.process, share.resting) == (3, {"se"})
    assert lasts(run, share, sa=NOISY) == (12, "process")  # as many rounds as the others had


def test_what_failed_neither_rests_nor_is_waited_for(run):
    run.failures["se"] = {"latency": Failure(step="latency", type="E", message="")}
    run.failures["sa"] = run.failures["se"]
    for process in range(3):
        add(run, 12, process=process, sits_out=("sa", "se"))
    assert Share(run).resting == frozenset()
    assert Share(run).over(run) is None  # 36 rounds: looked at every ten, or at a process's end
    assert lasts(run, Share(run)) == (4, "target")


def test_a_process_of_few_rounds_does_not_count_as_one_of_the_planned(run):
    add(run, 12)
    add(run, 2, process=1)
    add(run, 12, process=2)
    share = Share(run)
    assert share.process == 3
    assert lasts(run, share)[1] == "target"


def test_in_one_process_what_has_reached_the_target_sits_out(run):
    run.plan = replace(run.plan, processes=1)
    share = Share(run)
    add(run, 29, sa=NOISY)
    assert share.over(run) is None
    assert share.resting == frozenset()  # 30 rounds are the fewest
    add(run, 1, sa=NOISY)
    assert share.over(run) is None
    assert share.resting == {"se"}
    add(run, 9, sits_out=("se",))
    assert share.over(run) is None  # looked at every ten
    # Of 30 rounds in turn and 300 alike the median is 1, and so are both ends of its interval.
    add(run, 291, sits_out=("se",))
    assert share.over(run) == "target"
    assert share.resting == {"sa", "se"}
    assert Share(run).resting == {"sa", "se"}  # in a process that goes on with the run too


def test_one_process_goes_on_for_its_control_alone(run):
    run.plan = replace(run.plan, processes=1)
    share = Share(run)
    # Against both copies, of which one is noisy, half of the samples of a module are 1.
    add(run, 30, control=(0.99, 1.0, 1.01))
    assert share.over(run) is None
    assert share.resting == {"sa", "se"}


def test_one_process_ends_once_all_is_known(run):
    run.plan = replace(run.plan, processes=1)
    assert lasts(run, Share(run)) == (30, "target")


def of_device(run, **seconds):
    """Give the rounds that there are the device's own times: these seconds in turn, else one."""
    turns = {name: cycle(seconds.get(name, STEADY)) for name in run.plan.variants}

    def timed(block):
        own = DeviceTime(steps=1, seconds=next(turns[block.variant]), spin_s=0.1)
        return replace(block, device=own)

    run.rounds[:] = [
        replace(each, blocks=tuple(map(timed, each.blocks))) if not each.blocks[0].device else each
        for each in run.rounds
    ]


def test_the_devices_own_times_have_to_reach_the_target_too(run):
    for process in range(3):
        add(run, 12, process=process)
    of_device(run, sa=NOISY)
    # Users' times are known: without the device's own the run would end with this process.
    assert Share(run).resting == {"se"}
    assert lasts(run, Share(run)) == (12, "process")
    run.rounds[36:] = []
    run.failures["sa"] = {"device time": Failure(step="device time", type="E", message="")}
    assert Share(run).resting == {"sa", "se"}
    run.failures = {"plain": run.failures["sa"]}  # nothing to compare the others' with
    assert Share(run).resting == {"sa", "se"}


def test_a_module_sits_out_once_it_has_its_rounds_of_both_times(run):
    share = Share(run)
    add(run, 6)
    of_device(run, sa=NOISY)
    assert share.over(run) is None
    assert share.resting == {"se"}


def test_one_process_ends_at_the_target_of_both_times(case):
    plan = Plan(variants=("plain", "control", "sa"), budget_s=100.0, target=0.01)
    run = Run(case, plan, {})
    add(run, 30)
    assert Share(run).over(run) == "target"
    of_device(run, sa=NOISY)
    assert Share(run).over(run) is None


@pytest.mark.parametrize(
    ("ratio", "half_width", "reached"),
    [
        (1.05, 0.009, True),
        (1.05, 0.011, False),
        (1.02, 0.009, False),  # a slowdown of 2% is hardly told from none by ±0.9%
        (1.02, 0.0045, True),
        (1.0, 0.009, False),
        (0.95, 0.009, True),
    ],
)
def test_a_ratio_close_to_1_is_known_at_half_the_target(run, ratio, half_width, reached):
    # Of 30 rounds in turn, the interval reaches from the lower to the upper value.
    values = (ratio - half_width, ratio + half_width)
    for process in range(3):
        add(run, 30, process=process, sa=values)
    assert (Share(run).resting == {"sa", "se"}) is reached
    assert "se" in Share(run).resting


def test_the_values_of_a_noisy_module_are_what_the_tests_say():
    assert list(islice(cycle(NOISY), 3)) == [0.8, 1.25, 0.8]


def test_the_last_quarter_of_a_process_is_for_a_control_that_still_needs_rounds(run):
    noisy = {"control": NOISY, "sa": NOISY[::-1]}
    share = Share(run)
    # A third of 240 s is 80 s, three quarters of that 60 s. No module has its rounds, as all are
    # compared with the noisy control: 15 rounds of 4.05 s. Then plain and control alone, 2.25 and
    # 1.8 s in turn, for the 19.25 s that are left: ten rounds.
    assert lasts(run, share, **noisy) == (25, "process")
    assert share.resting == {"sa", "se"}
    run.rounds.clear()
    without = Share(run)
    lasts(run, without, sa=NOISY)
    assert without.resting == {"se"}


def test_modules_alone_do_not_sit_out_for_the_control(run):
    isolated = replace(run, case=replace(run.case, isolated=True))
    share = Share(isolated)
    lasts(isolated, share, control=NOISY, sa=NOISY[::-1])
    assert "sa" not in share.resting
