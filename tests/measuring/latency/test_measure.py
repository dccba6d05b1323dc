from collections import Counter
from dataclasses import replace

import pytest
import torch
from helpers.runs import (
    LONG,
    PARTS,
    ROUND_S,
    TICK_S,
    VARIANTS,
    WARM_UP_CALLS,
    kinds,
    names,
    ran,
    rounds_in,
    undisturbed,
)
from torch.utils._pytree import tree_map

from attnbench.measuring import timing
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.plugins.resolve import parse
from attnbench.records.schema import Block, End, Failure, Record, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.runtimes.table import Runtime
from attnbench.stats import ratios
from attnbench.system.disturbance import Counters

pytestmark = pytest.mark.usefixtures("small_host", "counted")


@pytest.mark.parametrize(
    ("mode", "ticks", "parts"),
    [("inference", 1, None), ("training", 3, dict.fromkeys(PARTS, TICK_S))],
)
def test_every_variant_and_the_control_are_timed_in_every_round(
    new_run, perform, mode, ticks, parts
):
    rounds = rounds_in(perform(new_run(mode=mode, budget_s=2 * ROUND_S * ticks)))
    assert [each.number for each in rounds] == [0, 1]
    for each in rounds:
        assert Counter(block.variant for block in each.blocks) == Counter(VARIANTS)
        for block in each.blocks:
            assert (block.steps, block.seconds, block.parts) == (1, ticks * TICK_S, parts)


@pytest.mark.parametrize("nested", [(1.0, (2.0, float("nan"))), {"a": float("inf"), "b": 1.0}])
def test_every_tensor_of_an_output_must_be_finite(nested):
    output = tree_map(torch.tensor, nested)
    with pytest.raises(FloatingPointError, match="not finite"):
        warm_up.check_finite(output)
    warm_up.check_finite(tree_map(torch.zeros_like, output))


def test_a_run_sets_the_cases_threads(new_run, perform, machine):
    torch.set_num_threads(2)
    perform(new_run(threads=1), clock=machine)
    assert torch.get_num_threads() == 1


def test_the_order_of_the_rounds_is_the_cases_seed(new_run, perform, machine):
    def orders(seed):
        run = new_run(budget_s=10 * ROUND_S, seed=seed)
        perform(run, clock=machine)
        return [[block.variant for block in each.blocks] for each in run.rounds]

    assert orders(1) == orders(1) != orders(2)


def test_rounds_stop_at_the_budget(new_run, perform, machine):
    run = new_run(budget_s=3.5 * ROUND_S)
    perform(run, clock=machine)
    assert run.end == End(reason="budget", rounds=4)
    assert run.timed_s == 4 * ROUND_S


def test_there_is_a_round_however_small_the_budget(new_run, perform, machine):
    run = new_run(budget_s=1e-9)
    perform(run, clock=machine)
    assert run.end == End(reason="budget", rounds=1)


def test_rounds_stop_at_the_target_and_not_before_the_thirtieth(new_run, perform, machine):
    machine.cost_s["se"] = 1.5 * TICK_S
    run = new_run(budget_s=LONG)
    perform(run, clock=machine)  # without noise every interval is a point
    assert run.end == End(reason="target", rounds=30)


def test_rounds_go_on_until_the_intervals_are_narrow(new_run, perform, machine):
    machine.noise = 0.05
    run = new_run(budget_s=LONG, target=0.02)
    perform(run, clock=machine)
    assert run.end.reason == "target"
    assert run.end.rounds > 30
    assert run.end.rounds % ratios.CHECK_EVERY == 0


def test_rounds_stop_at_the_budget_where_the_target_is_out_of_reach(new_run, perform, machine):
    machine.noise = 0.05
    run = new_run(budget_s=40 * ROUND_S, target=0.001)
    perform(run, clock=machine)
    assert run.end.reason == "budget"
    assert run.timed_s - run.rounds[-1].seconds < 40 * ROUND_S <= run.timed_s


@pytest.mark.parametrize("call", [0, 1, WARM_UP_CALLS], ids=["built", "first", "last block"])
def test_a_variant_that_fails_in_its_warm_up_is_a_record_and_the_others_go_on(
    new_run, perform, machine, fails_at, call
):
    fails_at("se", call)
    run = new_run()
    records = perform(run, clock=machine)
    error = Failure(step="latency", type="RuntimeError", message="se is out of memory")
    assert run.failures == {"se": {"latency": error}}
    assert kinds(records)[6] == ("latency", "se")
    assert ran(run) == [{PLAIN, CONTROL, "eca"}]
    assert run.end.reason == "budget"


def test_a_variant_that_fails_within_a_round_is_a_record_and_the_others_go_on(
    new_run, perform, machine, fails_at
):
    fails_at("se", WARM_UP_CALLS + 3)
    run = new_run()  # for four rounds of four ticks
    records = perform(run, clock=machine)
    assert kinds(records)[6:10] == [("round", None)] * 2 + [("latency", "se"), ("round", None)]
    rest = {PLAIN, CONTROL, "eca"}
    assert [names(each) for each in run.rounds[:3]] == [{*rest, "se"}, {*rest, "se"}, rest]
    # 2 * 4 ticks, then rounds of 3: 14 ticks after the fourth, 17 of 16 after the fifth.
    assert run.end == End(reason="budget", rounds=5)


def test_several_variants_can_fail_in_one_round(new_run, perform, machine, fails_at):
    fails_at("se", WARM_UP_CALLS + 2)
    fails_at("eca", WARM_UP_CALLS + 2)
    run = new_run()  # 16 ticks: a round of 4, and 6 of 2
    perform(run, clock=machine)
    assert set(run.failures) == {"se", "eca"}
    assert ran(run) == [set(VARIANTS), {PLAIN, CONTROL}]
    assert run.end == End(reason="budget", rounds=7)


def test_a_failed_variant_is_not_waited_for_to_reach_the_target(
    new_run, perform, machine, fails_at
):
    fails_at("se", WARM_UP_CALLS + 3)
    run = new_run(budget_s=LONG)
    perform(run, clock=machine)
    assert run.end == End(reason="target", rounds=30)


@pytest.mark.parametrize("call", [0, WARM_UP_CALLS])
def test_a_plain_host_that_fails_in_its_warm_up_ends_the_run(
    new_run, perform, machine, fails_at, call
):
    fails_at(PLAIN, call)
    run = new_run()
    records = perform(run, clock=machine)
    assert kinds(records)[-2:] == [("latency", PLAIN), ("end", None)]
    assert run.end == End(reason="failed", rounds=0)


def test_a_plain_host_that_fails_within_a_round_ends_the_run_after_it(
    new_run, perform, machine, fails_at
):
    fails_at(PLAIN, WARM_UP_CALLS + 3)
    run = new_run(budget_s=LONG)
    perform(run, clock=machine)
    assert run.end == End(reason="failed", rounds=3)
    assert names(run.rounds[2]) == {CONTROL, "se", "eca"}


def test_an_error_without_a_message_is_named_by_its_form(new_run, perform, machine, fails_at):
    fails_at("se", 1, MemoryError())
    run = new_run()
    perform(run, clock=machine)
    error = Failure(step="latency", type="MemoryError", message="MemoryError()")
    assert run.failures["se"]["latency"] == error


def test_an_interruption_by_the_user_is_no_failure(new_run, perform, machine, fails_at):
    fails_at("se", 1, KeyboardInterrupt())
    run = new_run()
    with pytest.raises(KeyboardInterrupt):
        perform(run, clock=machine)
    assert run.failures == {}


@pytest.mark.filterwarnings("ignore:std")  # torch has noticed, too
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_output_that_is_not_finite_is_refused(new_run, perform, mode):
    # At 32 pixels the last stage has one position, and SGE divides by a deviation of one value.
    run = new_run(variants=(PLAIN, CONTROL, "sge"), budget_s=TICK_S, mode=mode)
    perform(run)
    error = run.failures["sge"]["latency"]
    assert (error.type, error.message[:24]) == ("FloatingPointError", "the output is not finite")
    assert ran(run) == [{PLAIN, CONTROL}]


def test_the_same_variant_at_64_pixels_is_timed(new_run, perform):
    run = new_run(variants=(PLAIN, CONTROL, "sge"), image_size=64, budget_s=TICK_S)
    perform(run)
    assert run.failures == {}
    assert ran(run) == [{PLAIN, CONTROL, "sge"}]


def test_budget_that_was_spent_before_counts(new_run, perform, machine):
    run = new_run()  # for four rounds
    blocks = tuple(Block(variant=name, steps=1, seconds=3 * TICK_S) for name in VARIANTS)
    run.rounds.append(Round(number=0, blocks=blocks))  # as long as three
    perform(run, clock=machine)
    assert [each.number for each in run.rounds] == [0, 1]
    assert run.end == End(reason="budget", rounds=2)


def test_rounds_that_were_there_count_towards_the_target(new_run, perform, machine):
    run = new_run(budget_s=LONG)
    blocks = tuple(Block(variant=name, steps=1, seconds=TICK_S) for name in VARIANTS)
    run.rounds.extend(Round(number=number, blocks=blocks) for number in range(29))
    assert kinds(perform(run, clock=machine))[6:] == [("round", None), ("end", None)]


def test_a_run_whose_plain_host_failed_before_ends_without_a_round(new_run, perform, machine):
    run = new_run()
    run.failures[PLAIN] = {"latency": Failure(step="latency", type="E", message="")}
    perform(run, clock=machine)
    assert run.end == End(reason="failed", rounds=0)


def test_the_clock_is_the_devices_where_none_is_given(new_run, monkeypatch, machine):
    asked = []
    monkeypatch.setattr(timing, "clock_for", lambda device: asked.append(device) or machine)
    list(latency.measure(new_run()))
    assert asked == ["cpu"]


def test_measuring_leaves_the_run_that_it_was_given_as_it_was(new_run, machine):
    run = new_run()
    list(latency.measure(run, machine, undisturbed))
    assert (run.rounds, run.end) == ([], None)


def test_a_module_whose_code_changes_meanwhile_ends_the_run_without_a_round(
    new_run, perform, machine, tmp_path
):
    path = tmp_path / "mine.py"
    path.write_text("from torch import nn\nclass Mine(nn.Identity): ...\n")
    run = new_run()
    name = f"{path}:Mine"
    run.plan = replace(
        run.plan, variants=(PLAIN, CONTROL, name), sources={name: parse(name).origin()}
    )
    path.write_text(path.read_text() + "# saved again\n")
    perform(run, machine)
    assert run.end.reason == "failed"
    assert "the code of its modules or its host has changed since the run began" in run.end.message
    assert not run.rounds


def test_what_compiling_took_is_recorded_once(new_run, perform, machine, monkeypatch):
    def start(runtime, device):
        assert (runtime.home, device) == ("torch_compile", "cpu")
        machine.now += 100.0

    monkeypatch.setattr(Runtime, "start", start)
    run = new_run(runtime="compile")
    perform(run, clock=machine)
    # The compiler's own start is in none of them.
    assert all(each.seconds < 100 for each in run.compiled.values())
    assert set(run.compiled) == {PLAIN, "se", "eca"}  # the control is the plain host again
    again = new_run(runtime="compile")
    again.compiled.update(run.compiled)
    assert "compiled" not in dict(kinds(perform(again, clock=machine)))


def test_what_disturbs_a_round_is_in_its_record(new_run, machine):
    seen = iter(range(100))
    run = new_run()
    told = list(latency.measure(run, machine, lambda: Counters(awake_s=float(next(seen)))))
    found = [each.disturbance for each in rounds_in(e for e in told if isinstance(e, Record))]
    assert [each.elapsed_s for each in found] == [1.0] * 4
