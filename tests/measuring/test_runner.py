from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import groupby

import pytest
import torch
from helpers.processes import TickingClock
from torch.utils._pytree import tree_map

from attnbench import report
from attnbench.counting import NotCountedError
from attnbench.measuring import isolated, latency, runner, timing
from attnbench.measuring.events import Beginning
from attnbench.measuring.runner import execute, latency_apart, memory_apart
from attnbench.measuring.simulated import Machine
from attnbench.measuring.timing import Step
from attnbench.plugins.resolve import origins
from attnbench.records import store
from attnbench.records.run import Run, gather
from attnbench.records.schema import Block, Count, Counts, End, Failure, Memory, Plan, Record, Round
from attnbench.records.variants import CONTROL, PLAIN, IsolatedModule, alone
from attnbench.stats import ratios
from attnbench.system import worker
from attnbench.system.disturbance import Counters
from attnbench.system.worker import ChildDiedError

pytestmark = pytest.mark.usefixtures("small_host")

TICK_S = TickingClock().tick_s  # what any block of real work takes here: 1 / 32 s
VARIANTS = (PLAIN, CONTROL, "se", "eca")
ROUND_S = len(VARIANTS) * TICK_S
LONG = 500 * ROUND_S
PARTS = ("forward", "backward", "optimizer")


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    """Counting takes no time; here is which networks were counted, and with what shape."""
    calls = []

    def count(model, shape):
        calls.append((model, shape))
        return {"params": Count(params=7)}

    monkeypatch.setattr(runner, "count_all", count)
    return calls


@pytest.fixture
def perform(events):
    """Execute a run on a clock that ticks once a block; returns the records."""

    def perform(run, clock=None, measure_memory=no_memory):
        told = events([run], clock, measure_memory=measure_memory)
        return [event for _, event in told if isinstance(event, Record)]

    return perform


@pytest.fixture
def events():
    """Execute runs, latency in this process, on a clock that ticks once a block."""

    def events(runs, clock=None, measure_memory=no_memory, measure_latency=None):
        here = partial(latency.measure, clock=clock or TickingClock(), look=undisturbed)
        measure_latency = measure_latency or here
        return list(execute(runs, measure_memory=measure_memory, measure_latency=measure_latency))

    return events


def undisturbed():
    return Counters(awake_s=0.0)


@pytest.fixture
def new_run(case):
    def make(variants=VARIANTS, budget_s=4 * ROUND_S, target=0.01, **changes):
        plan = Plan(variants=variants, budget_s=budget_s, target=target)
        return Run(replace(case, **changes), plan, {"cpu": "A", "time": "12:00"})

    return make


@pytest.fixture
def machine(monkeypatch):
    """Networks whose steps cost a tick, or ``machine.cost_s[variant]``."""
    machine = Machine()
    machine.cost_s = {}

    def step(_, variant):
        return machine.step(machine.cost_s.get(variant, TICK_S), variant)

    monkeypatch.setattr(latency, "step", step)
    return machine


@pytest.fixture
def fails_at(monkeypatch):
    """Make a variant's step raise when it is called for the given time, 0 for when it is built."""

    def arrange(variant, call, error=None):
        error = error or RuntimeError(f"{variant} is out of memory")
        build = latency.step

        def failing(case, name):
            if name != variant:
                return build(case, name)
            if call == 0:
                raise error
            ready, calls = build(case, name), iter(range(1, call))
            return Step({"step": lambda: raise_(error) if next(calls, None) is None else ready()})

        monkeypatch.setattr(latency, "step", failing)

    return arrange


def raise_(error):
    raise error


def no_memory(_, variant):
    return Memory(peak_live_bytes=len(variant))


def first_records(run):
    """What a run's file begins with."""
    return [Record(case=run.case, results=run.plan, environment=run.environment)]


def kinds(records):
    return [
        (each.results.kind if each.results else each.error.step, each.variant) for each in records
    ]


def rounds_in(records):
    return [each.results for each in records if isinstance(each.results, Round)]


def names(each):
    return {block.variant for block in each.blocks}


def ran(run):
    """Who ran in the run's rounds, told once where it stays the same."""
    return [who for who, _ in groupby(run.rounds, names)]


WARM_UP_CALLS = 1 + 1 + 3  # the look at the output, the first step, and three blocks


def test_a_run_of_real_networks_makes_the_records_of_its_plan(new_run, perform):
    assert kinds(perform(new_run())) == [
        ("counts", PLAIN),
        ("counts", "se"),
        ("counts", "eca"),
        ("memory", PLAIN),
        ("memory", "se"),
        ("memory", "eca"),
        *[("round", None)] * 4,  # the budget is that of four rounds
        ("end", None),
    ]


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


def test_the_control_is_neither_counted_nor_its_memory_measured(new_run, perform, machine, counted):
    run = new_run()
    perform(run, clock=machine)
    assert len(counted) == 3
    assert set(run.counts) == set(run.memory) == {PLAIN, "se", "eca"}


def test_a_detector_with_a_module_is_run_and_reported(new_run, perform, counted, tmp_path):
    run = new_run(
        variants=(PLAIN, CONTROL, "eca"),
        host="retinanet_resnet50_fpn",
        batch_size=1,
        image_size=(32, 64),
        budget_s=3 * TICK_S,
    )
    perform(run)
    assert not run.failures
    assert [len(each.blocks) for each in run.rounds] == [3]
    assert [image.shape for _, image in counted] == [(1, 3, 32, 64)] * 2
    said = report.remarks(run)
    assert any(each.startswith("Fixed work, the same for every variant: backbone") for each in said)
    assert set(report.frame(run)["variant"]) == {PLAIN, CONTROL, "eca"}
    report.write(run, tmp_path)
    assert "retinanet_resnet50_fpn, inference, batch 1, 32x64" in (
        tmp_path / "comparison.md"
    ).read_text(encoding="utf-8")


def test_a_module_of_a_detector_alone_has_the_size_of_its_backbone(case):
    detector = replace(case, host="fasterrcnn_resnet50_fpn", image_size=(32, 64), isolated=True)
    assert isolated.input_shape(detector, IsolatedModule("sa", 2)) == (2, 512, 4, 8)
    assert isolated.step(detector, "sa layer2")().shape == (2, 512, 4, 8)


@pytest.mark.parametrize("nested", [(1.0, (2.0, float("nan"))), {"a": float("inf"), "b": 1.0}])
def test_every_tensor_of_an_output_must_be_finite(nested):
    output = tree_map(torch.tensor, nested)
    with pytest.raises(FloatingPointError, match="not finite"):
        latency._check_finite(output)
    latency._check_finite(tree_map(torch.zeros_like, output))


def test_counts_are_of_one_image_without_data_in_the_runs_dtype_and_layout(
    new_run, perform, machine, counted
):
    perform(
        new_run(batch_size=2, image_size=64, dtype="bfloat16", channels_last=True), clock=machine
    )
    for model, image in counted:
        assert image.shape == (1, 3, 64, 64)
        for tensor in (image, model.conv1.weight):
            assert (tensor.dtype, tensor.device.type) == (torch.bfloat16, "meta")
            assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_every_record_has_the_runs_case_and_environment_and_its_own_time(new_run, perform, machine):
    run = new_run()
    for record in perform(run, clock=machine):
        assert record.case == run.case
        assert record.environment["cpu"] == "A"
        assert record.environment["time"] != "12:00"


def test_the_records_are_added_to_the_run_and_make_it_again_from_a_file(new_run, perform, tmp_path):
    run = new_run()
    for record in first_records(run) + perform(run):
        store.append(tmp_path, record)
    assert gather(store.read(tmp_path), "file") == run


def test_a_record_is_added_before_it_is_yielded(new_run):
    run = new_run()
    steps = execute([run], measure_memory=no_memory)
    assert next(steps) == (run, Beginning("counts", PLAIN))
    _, record = next(steps)
    assert record.results == Counts(rules={"params": Count(params=7)})
    assert run.counts == {PLAIN: {"params": Count(params=7)}}


def test_what_is_about_to_be_done_is_announced(new_run, events):
    told = events([new_run(variants=(PLAIN, CONTROL), budget_s=2 * 2 * TICK_S)])
    begun = [event for _, event in told if isinstance(event, Beginning)]
    assert [(each.kind, each.variant) for each in begun] == [
        ("counts", PLAIN),
        ("memory", PLAIN),
        ("warm-up", PLAIN),
        ("warm-up", CONTROL),
        ("round", None),
        ("round", None),
    ]


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
    run = new_run(budget_s=0.0)
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


def test_a_variant_that_cannot_be_counted_is_a_record_and_goes_on(
    new_run, perform, machine, monkeypatch
):
    def count(model, _):
        if hasattr(model.layer1[0], "attention"):
            raise ValueError("cannot count this")
        return {}

    monkeypatch.setattr(runner, "count_all", count)
    run = new_run(variants=(PLAIN, CONTROL, "se"))
    perform(run, clock=machine)
    error = Failure(step="counts", type="ValueError", message="cannot count this")
    assert run.failures == {"se": {"counts": error}}
    assert set(run.memory) == {PLAIN, "se"}
    assert ran(run) == [{PLAIN, CONTROL, "se"}]


def test_a_variant_whose_memory_cannot_be_measured_is_a_record_and_goes_on(
    new_run, perform, machine
):
    def killed(_, variant):
        if variant == "se":
            raise RuntimeError("its process was killed")
        return Memory(peak_live_bytes=8)

    run = new_run()
    perform(run, clock=machine, measure_memory=killed)
    error = Failure(step="memory", type="RuntimeError", message="its process was killed")
    assert run.failures == {"se": {"memory": error}}
    assert set(run.memory) == {PLAIN, "eca"}
    assert ran(run) == [set(VARIANTS)]


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


def test_rules_that_count_keep_their_counts_where_others_fail(
    new_run, perform, machine, monkeypatch
):
    def count(model, *_, **__):
        found = {"learnable": Count(params=7)}
        if hasattr(model.layer1[0], "attention"):
            raise NotCountedError(found, {"macs": "ValueError: no", "leaf": "ValueError: no"})
        return found

    monkeypatch.setattr(runner, "count_all", count)
    run = new_run(variants=(PLAIN, CONTROL, "se"))
    records = perform(run, clock=machine)
    error = Failure(step="counts", type="NotCountedError", message="by macs, leaf: ValueError: no")
    assert run.failures == {"se": {"counts": error}}
    assert run.counts["se"] == run.counts[PLAIN] == {"learnable": Count(params=7)}
    again = gather(first_records(new_run(variants=(PLAIN, CONTROL, "se"))) + records, "here")
    assert (again.counts, again.failures) == (run.counts, run.failures)
    frame = report.frame(run).set_index("variant")
    assert frame.loc["se", "error"] == "counts: NotCountedError: by macs, leaf: ValueError: no"
    assert frame.loc["se", "added_params"] == 0


def test_a_plain_host_that_cannot_be_counted_is_timed(new_run, perform, machine, monkeypatch):
    monkeypatch.setattr(runner, "count_all", lambda *_: raise_(ValueError("cannot count this")))
    run = new_run()
    perform(run, clock=machine)
    assert run.end == End(reason="budget", rounds=4)


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


WHOLE = 6 + 4 + 1  # counts and memory of three networks, four rounds, the end


@pytest.mark.parametrize("done", range(WHOLE))
def test_a_resumed_run_does_what_is_left_and_nothing_twice(
    new_run, perform, machine, counted, done
):
    whole = perform(new_run(), clock=machine)
    assert len(whole) == WHOLE
    run = gather(first_records(new_run()) + whole[:done], "file")
    counted.clear()
    rest = perform(run, clock=machine)
    assert kinds(rest) == kinds(whole[done:])
    assert rounds_in(rest) == rounds_in(whole[done:])  # numbers, orders and seconds
    assert len(counted) == max(0, 3 - done)


def test_budget_that_was_spent_before_counts(new_run, perform, machine):
    run = new_run()  # for four rounds
    blocks = tuple(Block(variant=name, steps=1, seconds=3 * TICK_S) for name in VARIANTS)
    run.rounds.append(Round(number=5, blocks=blocks))  # as long as three
    perform(run, clock=machine)
    assert [each.number for each in run.rounds] == [5, 6]
    assert run.end == End(reason="budget", rounds=2)


def test_rounds_that_were_there_count_towards_the_target(new_run, perform, machine):
    run = new_run(budget_s=LONG)
    blocks = tuple(Block(variant=name, steps=1, seconds=TICK_S) for name in VARIANTS)
    run.rounds.extend(Round(number=number, blocks=blocks) for number in range(29))
    assert kinds(perform(run, clock=machine))[6:] == [("round", None), ("end", None)]


def test_a_resumed_run_does_not_try_again_what_failed(new_run, perform, machine):
    failures = {
        "se": {step: Failure(step=step, type="E", message="") for step in ("counts", "latency")},
        "eca": {"memory": Failure(step="memory", type="E", message="")},
    }
    run = new_run()
    run.failures.update(failures)
    perform(run, clock=machine)
    assert run.failures == failures
    assert "se" not in machine.log
    assert set(run.counts) == {PLAIN, "eca"}
    assert set(run.memory) == {PLAIN, "se"}


def test_a_run_whose_plain_host_failed_before_ends_without_a_round(new_run, perform, machine):
    run = new_run()
    run.failures[PLAIN] = {"latency": Failure(step="latency", type="E", message="")}
    perform(run, clock=machine)
    assert run.end == End(reason="failed", rounds=0)


def test_nothing_is_left_to_do_for_a_finished_run(new_run, perform, machine):
    run = new_run()
    perform(run, clock=machine)
    assert perform(run, clock=machine) == []


def test_memory_and_rounds_are_measured_in_processes_of_their_own(case, new_run, monkeypatch):
    monkeypatch.setattr(worker, "call", lambda *call: call)
    monkeypatch.setattr(worker, "stream", lambda *call: call)
    run = new_run()
    assert memory_apart(case, "se") == (runner.memory.measure, case, "se")
    assert latency_apart(run) == (latency.measure, run)


def test_what_nobody_has_seen_is_counted_in_a_process_of_its_own(case, monkeypatch):
    own = "mine.py:Mine"
    monkeypatch.setattr(worker, "call", lambda *call: call)
    case = replace(case, host="resnet18", image_size=64)
    assert runner.count_apart(case, own) == (runner.count_network, case, own)
    piece = f"{own} layer2"
    asked = runner._alone(replace(case, isolated=True), piece)
    assert asked == (isolated.count, replace(case, isolated=True), piece)
    for variant in ("plain", "eca"):
        assert isinstance(runner.count_apart(case, variant), dict)


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
    run.plan = replace(run.plan, variants=(PLAIN, CONTROL, name), sources=origins([name]))
    path.write_text(path.read_text() + "# saved again\n")
    perform(run, machine)
    assert run.end.reason == "failed"
    assert "the code of its modules has changed since the run began" in run.end.message
    assert not run.rounds


def test_runs_are_done_one_after_the_other_and_networks_counted_once(
    new_run, events, machine, counted
):
    first, finished, second = new_run(), new_run(), new_run(mode="training", batch_size=1)
    finished.end = End(reason="budget", rounds=0)
    told = events([first, finished, second], machine)
    assert [run for run, _ in groupby(told, lambda pair: pair[0])] == [first, second]
    assert len(counted) == 3
    assert first.counts == second.counts
    assert first.end.reason == second.end.reason == "budget"


def test_another_image_size_is_counted_again(new_run, events, machine, counted):
    events([new_run(), new_run(image_size=64)], machine)
    assert len(counted) == 2 * 3


@pytest.fixture
def killed_at(machine):
    """Latency from a process that dies when a given step begins for the given time."""

    def arrange(*begun, time=1):
        def measure(run):
            seen = Counter()
            for event in latency.measure(run, machine, undisturbed):
                yield event
                seen[event if isinstance(event, Beginning) else None] += 1
                if event in begun and seen[event] == time:
                    raise ChildDiedError("its process was killed")

        return measure

    return arrange


def test_a_variant_that_kills_its_process_is_a_record_and_the_others_go_on(
    new_run, events, killed_at
):
    run = new_run()
    deaths = Beginning("warm-up", CONTROL), Beginning("warm-up", "se")
    told = events([run], measure_latency=killed_at(*deaths))
    failures = {name: found["latency"].message for name, found in run.failures.items()}
    assert failures == dict.fromkeys(["se", CONTROL], "its process was killed")
    assert ran(run) == [{PLAIN, "eca"}]
    assert run.end.reason == "budget"
    warm_ups = [e.variant for _, e in told if isinstance(e, Beginning) and e.kind == "warm-up"]
    assert warm_ups == [PLAIN, CONTROL, PLAIN, "se", PLAIN, "eca"]


def test_a_process_that_is_killed_within_the_rounds_ends_its_run_and_keeps_what_is_done(
    new_run, events, machine, killed_at
):
    run, after = new_run(), new_run(seed=4)
    killed = killed_at(Beginning("round", None), time=2)

    def measure(each):
        return killed(each) if each is run else latency.measure(each, machine, undisturbed)

    events([run, after], measure_latency=measure)
    assert len(run.rounds) == 1
    assert run.end == End(reason="failed", rounds=1, message="its process was killed")
    assert after.end.reason == "budget"


def test_a_plain_host_that_kills_its_process_ends_the_run(new_run, events, killed_at):
    run = new_run()
    events([run], measure_latency=killed_at(Beginning("warm-up", PLAIN)))
    assert run.end.reason == "failed"
    assert run.rounds == []


def test_an_error_of_the_engine_ends_the_run_and_the_next_goes_on(new_run, events, machine):
    def broken(run):
        if run.case.seed == 4:
            yield from latency.measure(run, machine, undisturbed)
        raise OSError("no such device")

    run, after = new_run(), new_run(seed=4)
    events([run, after], measure_latency=broken)
    assert run.end == End(reason="failed", rounds=0, message="OSError('no such device')")
    assert after.end.reason == "budget"


@pytest.fixture
def caches():
    """The compiler's caches are as they were when the test is done."""
    before = torch._inductor.config.force_disable_caches
    yield
    torch._inductor.config.force_disable_caches = before


@pytest.mark.usefixtures("caches")
def test_what_compiling_took_is_recorded_once(new_run, perform, machine):
    run = new_run(compiled=True)
    perform(run, clock=machine)
    assert set(run.compiled) == {PLAIN, "se", "eca"}  # the control is the plain host again
    again = new_run(compiled=True)
    again.compiled.update(run.compiled)
    assert "compiled" not in dict(kinds(perform(again, clock=machine)))


def test_what_disturbs_a_round_is_in_its_record(new_run, machine):
    seen = iter(range(100))
    run = new_run()
    told = list(latency.measure(run, machine, lambda: Counters(awake_s=float(next(seen)))))
    found = [each.disturbance for each in rounds_in(e for e in told if isinstance(e, Record))]
    assert [each.elapsed_s for each in found] == [1.0] * 4


def test_a_real_run_is_timed_in_another_process(new_run):
    run = new_run(variants=(PLAIN, CONTROL, "se"), budget_s=0.01)
    events = list(execute([run], measure_memory=no_memory))
    assert run.end.reason == "budget"
    assert ran(run) == [{PLAIN, CONTROL, "se"}]
    assert all(pair[0] is run for pair in events)


def test_modules_alone_are_counted_and_timed_beside_the_ceilings(new_run, events, monkeypatch):
    for sizes in (isolated.COPY_BYTES, isolated.PRODUCT_SIZE):
        monkeypatch.setitem(sizes, "cpu", 64)
    run = new_run(variants=alone(("sa",)), image_size=64, isolated=True, budget_s=TICK_S)
    events([run])
    assert run.failures == {}
    assert run.memory == {}
    assert ran(run) == [set(run.plan.variants)]
    assert set(run.counts) == set(run.plan.variants) - {"copy again"}


def test_a_run_whose_process_was_killed_is_gone_on_with(new_run, events, machine, killed_at):
    run = new_run()
    events([run], measure_latency=killed_at(Beginning("round", None), time=2))
    assert not run.finished
    events([run], machine)
    assert [each.number for each in run.rounds] == [0, 1, 2, 3]
    assert run.end == End(reason="budget", rounds=4)
