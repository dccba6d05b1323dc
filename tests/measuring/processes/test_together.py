"""Runs that differ in their runtime alone, in the same rounds."""

import weakref
from collections import Counter
from itertools import count

import pytest
import torch
from helpers.runs import (
    ROUND_S,
    TICK_S,
    VARIANTS,
    first_records,
    no_memory,
    raise_,
    undisturbed,
)
from helpers.simulated_device import SimulatedDevice

from attnbench.devices import recovery
from attnbench.measuring.events import APART, Beginning
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.measuring.latency.member import Member
from attnbench.measuring.processes import together, variation, witness
from attnbench.measuring.steps.execute import execute
from attnbench.measuring.timing import Step
from attnbench.records import store
from attnbench.records.run import gather
from attnbench.records.schema import Block, Compiled, End, Failure, Record, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import between_runtimes
from attnbench.stats.quantities.device_time import device_rounds
from attnbench.system.worker import ChildDiedError

pytestmark = pytest.mark.usefixtures("small_host", "counted")

COMPILED = 0.75
"""What a compiled step costs here, of an eager one's."""


@pytest.fixture
def pair(new_run, machine, monkeypatch):
    """An eager and a compiled run; ``machine.made`` lists what was built, in its order."""
    machine.made = []

    def step(case, variant):
        machine.made.append((case.runtime, variant))
        share = COMPILED if case.compiled else 1.0
        return machine.step(share * machine.cost_s.get(variant, TICK_S), variant)

    monkeypatch.setattr(warm_up, "step", step)

    def make(**changes):
        return [new_run(runtime=runtime, **changes) for runtime in ("eager", "compile")]

    return make


@pytest.fixture
def perform_together(machine):
    """Execute runs, those alike together; returns the events. ``shared`` replaces the measuring."""

    def perform(runs, clock=None, shared=None):
        clock = clock or machine

        def measure(members):
            return latency.measure_together(members, clock, undisturbed)

        return list(
            execute(
                runs,
                together.companies(runs),
                measure_memory=no_memory,
                measure_latency=lambda run: latency.measure(run, clock, undisturbed),
                measure_together=shared or measure,
            )
        )

    return perform


def names_of(run):
    return [timed.together for timed in run.rounds]


def begun(events, kind):
    return [(run.case.runtime, e.variant) for run, e in events if e_is(e, kind)]


def e_is(event, kind):
    return isinstance(event, Beginning) and event.kind == kind


def test_runs_alike_but_in_their_runtime_share_their_rounds(new_run):
    def made(**changes):
        return new_run(**{"runtime": "eager"} | changes)

    runs = [
        made(),
        made(runtime="compile"),
        made(runtime="cuda-graph"),
        made(runtime="openvino"),
        made(batch_size=8),
        made(),  # the second repetition of the first
        made(runtime="compile"),
    ]
    known = together.companies(runs)
    members = [[runs.index(run) for run in known.get(id(run), ())] for run in runs]
    # Equal runs have the position of the first.
    assert members == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [], [4], [0, 1], [0, 1]]
    assert known[id(runs[5])][0] is runs[5]


def test_each_run_has_a_record_of_its_own_blocks_of_each_round(pair, perform_together):
    eager, compiled = pair(budget_s=4 * ROUND_S)
    events = perform_together([eager, compiled])
    assert [run.end for run in (eager, compiled)] == [
        End(reason="budget", rounds=4),
        End(reason="budget", rounds=6),  # of 3 ticks each, where 16 are the budget
    ]
    for run, cost_s in ((eager, TICK_S), (compiled, COMPILED * TICK_S)):
        for number, timed in enumerate(run.rounds):
            assert timed.number == number
            assert Counter(block.variant for block in timed.blocks) == Counter(VARIANTS)
            assert {block.seconds / block.steps for block in timed.blocks} == {cost_s}
    assert None not in names_of(eager)
    assert names_of(eager) == names_of(compiled)[:4]
    assert names_of(compiled)[4:] == [None] * 2  # alone
    assert len({*names_of(eager)}) == 4
    own = {
        id(run): [e for r, e in events if r is run and isinstance(e, Record)] for run, _ in events
    }
    for run in (eager, compiled):
        assert gather([*first_records(run), *own[id(run)]], "file") == run


def test_blocks_of_all_runtimes_are_shuffled_among_each_other(pair, perform_together, machine):
    eager, compiled = pair(budget_s=20 * ROUND_S)
    machine.log.clear()
    order = []

    def step(case, variant):
        made = machine.step(TICK_S, variant)
        name = (case.runtime, variant)
        return Step({"step": lambda: (order.append(name), made())})

    warm_up.step, kept = step, warm_up.step
    try:
        perform_together([eager, compiled])
    finally:
        warm_up.step = kept
    rounds = order[-20 * 8 :]
    turns = [rounds[start : start + 8] for start in range(0, len(rounds), 8)]
    assert all(len({*turn}) == 8 for turn in turns)
    assert len({tuple(turn) for turn in turns}) == 20
    # A runtime's four blocks stand together in one round of 14: 2 x 4! x 4! of 8!.
    assert any(len({runtime for runtime, _ in turn[:4]}) > 1 for turn in turns)


def test_a_failure_in_one_runtime_leaves_the_other_alone(pair, perform_together, monkeypatch):
    eager, compiled = pair()
    build = warm_up.step

    def step(case, variant):
        if case.compiled and variant == "se":
            raise RuntimeError("cannot be compiled")
        ready = build(case, variant)
        if case.compiled and variant == "eca":
            calls = count()
            return Step({"step": lambda: ready() if next(calls) < 8 else raise_(OSError("late"))})
        return ready

    monkeypatch.setattr(warm_up, "step", step)
    perform_together([eager, compiled])
    assert eager.failures == {}
    assert {name: found["latency"].message for name, found in compiled.failures.items()} == {
        "se": "cannot be compiled",
        "eca": "late",
    }
    assert {block.variant for block in eager.rounds[-1].blocks} == {*VARIANTS}
    assert {block.variant for block in compiled.rounds[-1].blocks} == {PLAIN, CONTROL}
    assert [run.end.reason for run in (eager, compiled)] == ["budget", "budget"]
    assert names_of(eager) == names_of(compiled)[: len(eager.rounds)]


def test_a_plain_host_that_fails_in_one_runtime_ends_that_run_alone(
    pair, perform_together, monkeypatch
):
    eager, compiled = pair()
    build = warm_up.step
    monkeypatch.setattr(
        warm_up,
        "step",
        lambda case, name: (
            raise_(RuntimeError("no compiler"))
            if case.compiled and name == PLAIN
            else build(case, name)
        ),
    )
    perform_together([eager, compiled])
    assert compiled.end == End(reason="failed", rounds=0)
    assert eager.end == End(reason="budget", rounds=4)
    assert names_of(eager) == [None] * 4


def test_a_failed_step_is_held_by_nothing_when_memory_is_released(
    pair, perform_together, monkeypatch
):
    """Else an allocator could not give back what a failed capture or an error has taken."""
    held, seen = [], []

    class Work:
        def __init__(self, ready, fails):
            self.ready, self.calls, self.fails = ready, count(), fails

        def __call__(self):
            self.ready()
            if self.fails and next(self.calls) >= 8:
                raise OSError("late")

    build = warm_up.step

    def step(case, variant):
        work = Work(build(case, variant), case.compiled and variant == "se")
        if work.fails:
            held.append(weakref.ref(work))
        return Step({"step": work})

    monkeypatch.setattr(warm_up, "step", step)
    monkeypatch.setattr(recovery, "recover", lambda _: seen.append(held[0]()) or True)
    perform_together(pair())
    assert seen == [None]


def test_compile_time_is_recorded_of_the_compiled_run_alone(pair, perform_together):
    eager, compiled = pair()
    events = perform_together([eager, compiled])
    assert eager.compiled == {}
    assert set(compiled.compiled) == {PLAIN, "se", "eca"}
    of = [run for run, event in events if isinstance(getattr(event, "results", None), Compiled)]
    assert all(run is compiled for run in of)


def test_runs_of_six_processes_and_of_one_share_the_first(new_run, pair, perform_together, machine):  # noqa: ARG001
    machine.noise = 0.5  # no ratio is known well enough
    eager = new_run(runtime="eager", processes=3, budget_s=24 * ROUND_S)
    compiled = new_run(runtime="compile", processes=1, budget_s=24 * ROUND_S)
    perform_together([eager, compiled])
    assert {timed.process for timed in eager.rounds} == {0, 1, 2}
    assert {timed.process for timed in compiled.rounds} == {0}
    shared = [timed.process for timed in eager.rounds if timed.together]
    assert set(shared) == {0}
    assert len(shared) == len([timed for timed in eager.rounds if timed.process == 0])
    assert {*filter(None, names_of(compiled))} == {*filter(None, names_of(eager))}


def test_a_process_begins_with_another_runtime_than_the_one_before(
    new_run,
    pair,  # noqa: ARG001
    perform_together,
    machine,
):
    machine.noise = 0.5
    runs = [
        new_run(runtime=runtime, processes=2, budget_s=24 * ROUND_S, device="cuda")
        for runtime in ("eager", "cuda-graph")
    ]
    perform_together(runs)
    assert machine.made[:8] == [
        (runtime, v) for runtime in ("eager", "cuda-graph") for v in VARIANTS
    ]
    second = [
        (run.case.runtime, variant)
        for run in reversed(runs)
        for variant in variation.build_order(run, 1)
    ]
    assert machine.made[8:16] == second
    for run in runs:
        stated = {
            timed.process: moment["runtimes_in_process"]
            for timed, moment in zip(run.rounds, run.moments, strict=True)
            if "runtimes_in_process" in moment
        }
        assert stated == {0: "eager, cuda-graph", 1: "cuda-graph, eager"}


def test_a_run_by_itself_states_no_runtimes_of_its_process(new_run, pair, perform_together):  # noqa: ARG001
    run = new_run()
    perform_together([run])
    assert names_of(run) == [None] * 4
    assert not any("runtimes_in_process" in moment for moment in run.moments)


@pytest.mark.parametrize(
    "error", [ChildDiedError("it was killed"), torch.OutOfMemoryError("no room"), OSError("odd")]
)
def test_what_ends_a_shared_process_leaves_each_run_to_processes_of_its_own(
    pair, perform_together, machine, error
):
    runs = pair()

    def shared(members):
        for number, event in enumerate(latency.measure_together(members, machine, undisturbed)):
            if number == 12:
                raise error
            yield event

    events = perform_together(runs, shared=shared)
    (apart,) = [event for _, event in events if e_is(event, APART)]
    assert str(error) in apart.why
    assert [run.end.reason for run in runs] == ["budget", "budget"]
    assert [run.failures for run in runs] == [{}, {}]
    last = [timed.together for run in runs for timed in run.rounds[-1:]]
    assert last == [None, None]


@pytest.mark.parametrize("at", [0, 8], ids=["warm-up", "round"])
def test_what_has_no_room_beside_the_other_runtime_is_tried_alone(
    pair, perform_together, monkeypatch, at
):
    eager, compiled = pair()
    build, built = warm_up.step, []

    def step(case, variant):
        built.append((case.runtime, variant))
        ready, calls = build(case, variant), count()
        if not (case.compiled and variant == "se" and built.count(("compile", "se")) == 1):
            return ready
        full = torch.OutOfMemoryError("CUDA out of memory")
        if at == 0:
            raise full
        return Step({"step": lambda: ready() if next(calls) < at else raise_(full)})

    monkeypatch.setattr(warm_up, "step", step)
    events = perform_together([eager, compiled])
    assert len([event for _, event in events if e_is(event, APART)]) == 1
    assert (eager.failures, compiled.failures) == ({}, {})
    assert {block.variant for block in compiled.rounds[-1].blocks} == {*VARIANTS}
    assert [run.end.reason for run in (eager, compiled)] == ["budget", "budget"]


def test_what_has_no_room_alone_either_has_failed(pair, perform_together, monkeypatch):
    eager, compiled = pair()
    build = warm_up.step
    full = torch.OutOfMemoryError("CUDA out of memory")
    monkeypatch.setattr(
        warm_up,
        "step",
        lambda case, name: raise_(full) if case.compiled and name == "se" else build(case, name),
    )
    perform_together([eager, compiled])
    error = Failure(step="latency", type="OutOfMemoryError", message="CUDA out of memory")
    assert (eager.failures, compiled.failures) == ({}, {"se": {"latency": error}})
    assert [run.end.reason for run in (eager, compiled)] == ["budget", "budget"]


def test_a_lost_device_ends_the_process_and_both_go_on_in_a_fresh_one(
    pair, perform_together, monkeypatch
):
    eager, compiled = pair()
    build = warm_up.step
    lost = []
    monkeypatch.setattr(recovery, "recover", lambda _: bool(lost.append(1)))

    def step(case, variant):
        if case.compiled and variant == "se" and not lost:
            raise RuntimeError("device-side assert")
        return build(case, variant)

    monkeypatch.setattr(warm_up, "step", step)
    events = perform_together([eager, compiled])
    warm_ups = begun(events, "warm-up")
    assert warm_ups[:7] == [
        *(("eager", v) for v in VARIANTS),
        *(("compile", v) for v in VARIANTS[:3]),
    ]
    assert warm_ups[7:] == [
        *(("eager", v) for v in VARIANTS),
        *(("compile", v) for v in VARIANTS if v != "se"),
    ]
    assert list(compiled.failures) == ["se"]
    assert eager.failures == {}
    assert names_of(eager) == names_of(compiled)[: len(eager.rounds)]


def test_a_measurement_that_does_nothing_is_not_begun_again(pair, perform_together):
    started = []
    runs = pair()
    perform_together(runs, shared=lambda members: started.append(members) or iter(()))
    assert len(started) == 1
    assert [run.end.reason for run in runs] == ["budget", "budget"]  # each alone


def test_an_interrupted_pair_is_resumed_and_shares_the_rest(
    pair, perform_together, machine, tmp_path
):
    folders = [tmp_path / name for name in ("eager", "compile")]
    runs = pair(budget_s=8 * ROUND_S)
    for run, folder in zip(runs, folders, strict=True):
        for record in first_records(run):
            store.append(folder, record)

    events = execute(
        runs,
        together.companies(runs),
        measure_memory=no_memory,
        measure_together=lambda members: latency.measure_together(members, machine, undisturbed),
    )
    for run, event in events:
        if isinstance(event, Record):
            store.append(folders[runs.index(run)], event)
        if len(runs[0].rounds) == 3:  # before the other's record of the same round
            break
    events.close()
    again = [gather(store.read(folder), "file") for folder in folders]
    assert [len(run.rounds) for run in again] == [3, 2]
    events = perform_together(again)
    for run, folder in zip(again, folders, strict=True):
        for known, event in events:
            if known is run and isinstance(event, Record):
                store.append(folder, event)
        assert gather(store.read(folder), "file") == run
    eager, compiled = again
    assert [run.end.reason for run in again] == ["budget", "budget"]
    common = {*filter(None, names_of(eager))} & {*filter(None, names_of(compiled))}
    assert len(common) == len(eager.rounds) - 1  # all but that of which one record is missing
    assert len({name.partition("-")[0] for name in common}) == 2  # processes


def test_a_finished_run_is_left_as_it_is(pair, perform_together):
    eager, compiled = pair()
    perform_together([eager])
    rounds = [*eager.rounds]
    perform_together([eager, compiled])
    assert eager.rounds == rounds
    assert names_of(compiled) == [None] * len(compiled.rounds)


def test_on_a_device_both_times_are_taken_of_both_runtimes(new_run, perform_together, monkeypatch):
    """Replayed, a step's kernels are issued at once: the device never waits for them."""
    device = SimulatedDevice()

    def step(case, variant):
        host_us = 1 if case.cuda_graph else 1200
        return device.step(6 if variant == "se" else 4, host_us, 450, variant)

    monkeypatch.setattr(warm_up, "step", step)
    runs = [
        new_run(device="cuda", runtime=runtime, budget_s=4.0) for runtime in ("eager", "cuda-graph")
    ]
    perform_together(runs, device)
    eager, graph = runs
    for run in runs:
        assert all(block.device for timed in run.rounds for block in timed.blocks)
    assert len(between_runtimes.paired(eager.rounds, graph.rounds)) > 6
    of_users = between_runtimes.ratio(eager.rounds, graph.rounds)
    assert of_users.median == pytest.approx(450 / 1200, rel=2e-2)
    of_device = between_runtimes.ratio(device_rounds(eager.rounds), device_rounds(graph.rounds))
    assert of_device.median == pytest.approx(1.0, rel=1e-2)


def test_custom_modules_are_built_when_all_else_of_every_runtime_is(new_run):
    mine = "mine.py:Mine"
    runs = [
        new_run(runtime=runtime, variants=(PLAIN, CONTROL, mine, "se"))
        for runtime in ("eager", "compile")
    ]
    members = [Member(position, run) for position, run in enumerate(runs)]
    order = [(member.run.case.runtime, name) for member, name in warm_up.build_order(members)]
    assert order == [
        *(("eager", name) for name in (PLAIN, CONTROL, "se")),
        *(("compile", name) for name in (PLAIN, CONTROL, "se")),
        *((runtime, mine) for runtime in ("eager", "compile")),
    ]
    (one,) = [warm_up.build_order(members[:1])]
    assert [name for _, name in one] == [PLAIN, CONTROL, mine, "se"]


def test_beside_custom_modules_each_runtime_has_a_witness_of_its_own(pair):
    runs = pair()
    begun, asked = [], []

    def blocks(run):
        begun.append(run.case.runtime)
        for number in count():
            asked.append((run.case.runtime, number))
            yield Block(variant=PLAIN, steps=1, seconds=1.0 + number)

    def events():
        assert begun == ["eager", "compile"]  # they are warm before the process that they are for
        for position in (0, 1, 0):
            yield position, Beginning("round", None)
            timed = Round(number=0, blocks=())
            yield position, Record(case=runs[position].case, results=timed, environment={})

    told = [*witness.witnessed_together(runs, events(), blocks)]
    seen = [(position, e.results.witness.seconds) for position, e in told if isinstance(e, Record)]
    assert seen == [(0, 2.0), (1, 2.0), (0, 3.0)]
    assert asked == [("eager", 0), ("compile", 0), ("eager", 1), ("compile", 1), ("eager", 2)]
