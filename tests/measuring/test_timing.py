import gc
import weakref
from collections import Counter
from itertools import islice

import pytest
import torch

from attnbench.measuring import timing
from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.timing import (
    BLOCK_S,
    Rounds,
    Step,
    timed,
    warm_up,
)
from attnbench.records.schema import Disturbance
from attnbench.system.disturbance import Counters
from attnbench.system.process_settings import MOVE_EVERY

COST_S = {"plain": 0.25, "control": 0.25, "sa": 0.5}  # powers of two add up exactly
ONE_STEP = dict.fromkeys(COST_S, 1)


def rounds(machine, seed=0, first=0, block_steps=ONE_STEP, **steps):
    every = {name: machine.step(cost, name) for name, cost in COST_S.items()} | steps
    return Rounds(every, block_steps, machine, seed, first)


def orders(series, count):
    return [[block.variant for block in each.blocks] for each in islice(series, count)]


def step_of(call):
    return Step({"step": call})


def failing(machine, good_steps):
    def step():
        if machine.log.count("sa") == good_steps:
            raise RuntimeError("out of memory")
        machine.log.append("sa")
        machine.now += 0.5

    return step_of(step)


def test_every_variant_runs_once_a_round():
    assert all(sorted(order) == sorted(COST_S) for order in orders(rounds(Machine()), 50))


def test_the_blocks_stand_in_the_order_in_which_they_ran():
    machine = Machine()
    told = orders(rounds(machine), 20)
    ran = [entry for entry in machine.log if entry in COST_S]
    assert [name for order in told for name in order] == ran


def test_all_orders_are_about_equally_frequent():
    seen = Counter(map(tuple, orders(rounds(Machine()), 600)))
    assert len(seen) == 6  # 3!
    assert all(60 <= count <= 140 for count in seen.values())  # 100, and 4.4 deviations of 9.1


def test_the_orders_are_the_same_for_the_same_seed_and_others_for_another():
    first, again, other = (orders(rounds(Machine(), seed), 20) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_a_resumed_series_continues_with_the_orders_of_an_uninterrupted_one():
    whole = list(islice(rounds(Machine()), 12))
    resumed = list(islice(rounds(Machine(), first=5), 7))
    assert resumed == whole[5:]
    assert [each.number for each in resumed] == [5, 6, 7, 8, 9, 10, 11]


def test_a_series_resumed_without_a_failed_variant_keeps_its_orders_too():
    machine = Machine()
    whole = orders(rounds(machine, sa=failing(machine, 2)), 12)
    left = {name: machine.step(0.25, name) for name in ("plain", "control")}
    assert orders(Rounds(left, ONE_STEP, machine, seed=0, first=5), 7) == whole[5:]


def test_a_block_is_its_steps_and_the_seconds_they_took_together():
    steps = {"plain": 4, "control": 2, "sa": 1}
    blocks = next(iter(rounds(Machine(), block_steps=steps))).blocks
    assert {block.variant: (block.steps, block.seconds) for block in blocks} == {
        "plain": (4, 1.0),  # 4 * 0.25
        "control": (2, 0.5),  # 2 * 0.25
        "sa": (1, 0.5),
    }


def test_a_variant_that_raises_leaves_and_the_others_go_on_in_that_round():
    machine = Machine()
    series = rounds(machine, sa=failing(machine, 2))
    seen = [set(order) for order in orders(series, 5)]
    assert seen == [set(COST_S)] * 2 + [{"plain", "control"}] * 3
    assert list(series.failures) == ["sa"]
    assert str(series.failures["sa"]) == "out of memory"


class EvilError(Exception):
    """An error that answers nothing."""

    def _fail(self, *_):
        raise RuntimeError("no")

    __cause__ = __context__ = property(_fail, _fail)
    with_traceback = _fail
    __str__ = _fail


def test_an_error_that_cannot_be_handled_ends_its_variant_alone():
    def fail():
        raise EvilError

    series = rounds(Machine(), sa=step_of(fail))
    assert [set(order) for order in orders(series, 2)] == [{"plain", "control"}] * 2
    assert [type(error) for error in series.failures.values()] == [EvilError]


def test_a_variant_that_raises_within_its_block_has_no_block_and_costs_the_others_nothing():
    machine = Machine()
    steps = dict.fromkeys(COST_S, 4)
    blocks = next(iter(rounds(machine, block_steps=steps, sa=failing(machine, 2)))).blocks
    assert sorted((block.variant, block.seconds) for block in blocks) == [
        ("control", 1.0),  # 4 * 0.25
        ("plain", 1.0),
    ]


def test_a_series_ends_when_every_variant_has_failed():
    machine = Machine()
    series = Rounds({"sa": failing(machine, 3)}, {"sa": 1}, machine, seed=0)
    assert [each.number for each in series] == [0, 1, 2]


def test_an_interruption_by_the_user_is_no_failure_of_a_variant():
    def interrupted():
        raise KeyboardInterrupt

    series = rounds(Machine(), sa=step_of(interrupted))
    with pytest.raises(KeyboardInterrupt):
        next(iter(series))
    assert series.failures == {}


def test_what_a_failed_step_held_is_released():
    kept = []

    def step():
        activation = torch.zeros(1)
        kept.append(weakref.ref(activation))
        raise RuntimeError("out of memory")

    next(iter(rounds(Machine(), sa=step_of(step))))
    assert kept[0]() is None


def test_what_the_cause_of_a_failure_held_is_released_too():
    kept = []

    def cause():
        activation = torch.zeros(1)
        kept.append(weakref.ref(activation))
        raise MemoryError

    def step():
        try:
            cause()
        except MemoryError as error:
            raise RuntimeError("out of memory") from error

    next(iter(rounds(Machine(), sa=step_of(step))))
    assert kept[0]() is None


def test_each_block_is_waited_for_before_the_next_begins():
    machine = Machine()
    (order,) = orders(rounds(machine), 1)
    assert machine.log == [entry for name in order for entry in ("mark", name, "mark", "wait")]


def test_a_block_has_one_pair_of_marks_around_all_its_steps():
    machine = Machine()
    series = Rounds({"sa": machine.step(0.25, "sa")}, {"sa": 3}, machine, seed=0)
    next(iter(series))
    assert machine.log == ["mark", "sa", "sa", "sa", "mark", "wait"]


PARTS_S = {"forward": 0.25, "backward": 0.5, "optimizer": 0.125}


def in_parts(machine):
    """A training step whose parts cost what they cost."""
    parts = {}
    for name, cost in PARTS_S.items():
        parts |= machine.step(cost, name).parts
    return Step(parts)


def test_the_parts_of_a_step_are_timed_each_and_add_up_over_a_block():
    machine = Machine()
    series = Rounds({"sa": in_parts(machine)}, {"sa": 2}, machine, seed=0)
    (block,) = next(iter(series)).blocks
    assert block.seconds == 1.75  # 2 * (0.25 + 0.5 + 0.125)
    assert block.parts == {"forward": 0.5, "backward": 1.0, "optimizer": 0.25}


def test_marks_between_parts_wait_for_nothing():
    machine = Machine()
    next(iter(Rounds({"sa": in_parts(machine)}, {"sa": 2}, machine, seed=0)))
    ran = ["mark", *(["forward", "mark", "backward", "mark", "optimizer", "mark"] * 2)]
    assert machine.log[: len(ran)] == ran
    assert set(machine.log[len(ran) :]) == {"wait"}


def test_a_whole_step_runs_its_parts_in_order_and_answers_with_the_last():
    log = []
    parts = {name: lambda name=name: log.append(name) or name for name in PARTS_S}
    assert Step(parts)() == "optimizer"
    assert log == list(PARTS_S)


def test_steps_move_every_few_rounds_and_not_before_the_first():
    machine = Machine()
    step = machine.step(0.25, "sa")
    moving = Step(step.parts, move=lambda: machine.log.append("move"))
    series = Rounds({"sa": moving, "plain": machine.step(0.25)}, {"sa": 1, "plain": 1}, machine, 0)
    list(islice(series, 2 * MOVE_EVERY + 1))
    told = [entry for entry in machine.log if entry in {"sa", "move"}]
    five = ["sa"] * MOVE_EVERY
    assert told == [*five, "move", *five, "move", "sa"]


def test_what_moving_takes_is_in_no_block():
    machine = Machine()

    def move():
        machine.now += 8

    series = Rounds({"sa": Step(machine.step(0.25).parts, move)}, {"sa": 1}, machine, seed=0)
    seconds = [each.blocks[0].seconds for each in islice(series, 2 * MOVE_EVERY)]
    assert seconds == [0.25] * 10


def test_a_round_knows_what_disturbed_it():
    machine = Machine()
    asleep = iter([0.0, 0.0, 0.0, 64.0])  # before and after each of two rounds

    def look():
        return Counters(awake_s=machine.now, all_s=machine.now + next(asleep), waited_s=machine.now)

    steps = {"sa": machine.step(0.5)}
    first, second = islice(Rounds(steps, {"sa": 1}, machine, seed=0, watch=look), 2)
    assert first.disturbance == Disturbance(elapsed_s=0.5, asleep_s=0.0, waited_s=0.5)
    assert second.disturbance == Disturbance(elapsed_s=64.5, asleep_s=64.0, waited_s=0.5)


def test_python_collects_no_garbage_within_a_round_and_may_between_rounds():
    within = []
    look = step_of(lambda: within.append(gc.isenabled()))
    series = iter(rounds(Machine(), sa=look))
    with pytest.raises(ValueError, match="greater than or equal to"):  # that step took none
        next(series)
    assert within == [False]
    assert gc.isenabled()


def test_garbage_collection_is_enabled_again_after_an_interruption():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(iter(rounds(Machine(), sa=step_of(interrupted))))
    assert gc.isenabled()


def test_timed_is_the_seconds_of_all_steps():
    machine = Machine()
    assert timed(machine.step(0.25), 6, machine) == 1.5  # 6 * 0.25


@pytest.mark.parametrize(
    ("cost_s", "steps"),
    [(0.5, 1), (0.03125, 1), (0.015625, 2), (0.001, 32), (0.0001, 256)],  # the next power of two
)
def test_a_block_lasts_at_least_20_ms_and_less_than_twice_that_if_it_can(cost_s, steps):
    machine = Machine()
    assert warm_up(machine.step(cost_s), machine) == steps
    assert steps * cost_s >= BLOCK_S
    assert steps == 1 or steps * cost_s < 2 * BLOCK_S


def test_a_block_lasts_at_least_20_ms_at_the_speed_that_the_warm_up_reaches():
    machine = Machine()
    step = machine.steps_of(lambda calls: 0.032 if calls < 2 else 0.004)
    assert warm_up(step, machine) * 0.004 >= BLOCK_S


def test_a_fast_variant_warms_up_for_three_blocks():
    machine = Machine()
    warm_up(machine.step(0.25), machine)
    assert machine.log.count("step") == 1 + 3  # the first step sets libraries up


def test_a_slow_variant_warms_up_for_a_second():
    machine = Machine()
    warm_up(machine.step(1.0), machine)
    assert machine.log.count("step") == 1 + 2  # 1 s passed, and a second block to compare with


def test_warm_up_goes_on_while_blocks_get_faster():
    machine = Machine()
    warm_up(machine.steps_of(lambda calls: 0.1 * 0.9 ** min(calls, 15)), machine)
    assert machine.log.count("step") == 15 + 2  # steps 0 to 15 fall, step 16 no longer


def test_warm_up_takes_a_gain_of_less_than_two_percent_for_none():
    machine = Machine()
    warm_up(machine.steps_of(lambda calls: 0.25 * 0.99**calls), machine)
    assert machine.log.count("step") == 1 + 3


def test_warm_up_stops_at_its_limit_though_blocks_still_get_faster():
    machine = Machine()
    warm_up(machine.steps_of(lambda calls: 2.0 * 0.5 ** (calls / 8)), machine)
    last = 2.0 * 0.5 ** ((machine.log.count("step") - 1) / 8)
    spent = machine.now - 2.0  # without the first step
    assert spent - last < timing.WARM_UP_LIMIT_S <= spent


def test_a_variant_is_inspected_after_each_block_and_outside_of_what_is_timed():
    machine = Machine()

    def inspect(name):
        machine.log.append(f"inspect {name}")
        machine.now += 8

    every = {name: machine.step(cost, name) for name, cost in COST_S.items()}
    blocks = next(iter(Rounds(every, ONE_STEP, machine, seed=0, inspect=inspect))).blocks
    assert {block.variant: block.seconds for block in blocks} == COST_S
    inspected = [entry for entry in machine.log if entry.startswith("inspect")]
    assert inspected == [f"inspect {block.variant}" for block in blocks]


def test_what_an_inspection_raises_ends_the_series_without_that_round():
    def inspect(_):
        raise ValueError("changed")

    series = Rounds({"sa": Machine().step(0.5)}, {"sa": 1}, Machine(), seed=0, inspect=inspect)
    with pytest.raises(ValueError, match=r"^changed$"):
        next(iter(series))
    assert series.failures == {}
    assert gc.isenabled()


def test_garbage_collection_that_a_step_turns_on_is_off_for_the_next():
    seen = []
    machine = Machine()

    def step():
        seen.append(gc.isenabled())
        gc.enable()
        machine.now += 0.5

    steps = {name: step_of(step) for name in ("a", "b")}
    next(iter(Rounds(steps, {"a": 1, "b": 1}, machine, seed=0)))
    assert seen == [False, False]


def test_each_step_of_a_block_is_timed_where_it_is_asked_for():
    clock, costs = SlowClock(), iter([1.0, 3.0, 2.0])
    step = Step({"step": lambda: clock.pass_by(next(costs))}, each=True)
    (block,) = next(iter(Rounds({"se": step}, {"se": 3}, clock, 0))).blocks
    assert block.each_s == (1.0, 3.0, 2.0)
    assert block.seconds == 6.0
    assert block.parts is None


def test_each_step_of_several_parts_is_the_sum_of_its_parts():
    clock = SlowClock()
    parts = {"forward": 1.0, "backward": 2.0}
    step = Step(
        {name: lambda cost=cost: clock.pass_by(cost) for name, cost in parts.items()}, each=True
    )
    (block,) = next(iter(Rounds({"se": step}, {"se": 2}, clock, 0))).blocks
    assert block.each_s == (3.0, 3.0)
    assert block.parts == {"forward": 2.0, "backward": 4.0}


@pytest.mark.parametrize(("each", "steps"), [(False, 3), (True, 1)])
def test_short_steps_and_a_single_one_have_no_times_of_their_own(each, steps):
    clock = SlowClock()
    step = Step({"step": lambda: clock.pass_by(1.0)}, each=each)
    (block,) = next(iter(Rounds({"se": step}, {"se": steps}, clock, 0))).blocks
    assert block.each_s is None
    assert clock.marks == 2


class SlowClock:
    """A clock that moves as it is told."""

    queue = None

    def __init__(self):
        self.now, self.marks = 0.0, 0

    def synchronize(self):
        pass

    def pass_by(self, seconds):
        self.now += seconds

    def mark(self):
        self.marks += 1
        return self.now

    def seconds(self, start, end):
        return end - start
