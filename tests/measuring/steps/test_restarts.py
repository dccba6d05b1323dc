"""Runs in which a step fails, or the process that works for them dies."""

from collections import Counter

import pytest
from helpers.runs import (
    VARIANTS,
    first_records,
    raise_,
    ran,
    undisturbed,
)

from attnbench.counting import NotCountedError
from attnbench.measuring.events import Beginning
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency.rounds import NO_BLOCK
from attnbench.measuring.steps import counting
from attnbench.records.run import gather
from attnbench.records.schema import (
    Count,
    End,
    Failure,
    Memory,
)
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.tables.run import LoadedRun
from attnbench.system import child
from attnbench.system.worker import ChildDiedError

pytestmark = pytest.mark.usefixtures("small_host", "counted")


def test_a_variant_that_cannot_be_counted_is_a_record_and_goes_on(
    new_run, perform, machine, monkeypatch
):
    def count(model, _):
        if hasattr(model.layer1[0], "attention"):
            raise ValueError("cannot count this")
        return {}

    monkeypatch.setattr(counting, "count_all", count)
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


def test_rules_that_count_keep_their_counts_where_others_fail(
    new_run, perform, machine, monkeypatch
):
    def count(model, *_, **__):
        found = {"learnable": Count(params=7)}
        if hasattr(model.layer1[0], "attention"):
            raise NotCountedError(found, {"macs": "ValueError: no", "leaf": "ValueError: no"})
        return found

    monkeypatch.setattr(counting, "count_all", count)
    run = new_run(variants=(PLAIN, CONTROL, "se"))
    records = perform(run, clock=machine)
    error = Failure(step="counts", type="NotCountedError", message="by macs, leaf: ValueError: no")
    assert run.failures == {"se": {"counts": error}}
    assert run.counts["se"] == run.counts[PLAIN] == {"learnable": Count(params=7)}
    again = gather(first_records(new_run(variants=(PLAIN, CONTROL, "se"))) + records, "here")
    assert (again.counts, again.failures) == (run.counts, run.failures)
    frame = LoadedRun(run).frame.set_index("variant")
    assert frame.loc["se", "error"] == "counts: NotCountedError: by macs, leaf: ValueError: no"
    assert frame.loc["se", "added_params"] == 0


def test_a_plain_host_that_cannot_be_counted_is_timed(new_run, perform, machine, monkeypatch):
    monkeypatch.setattr(counting, "count_all", lambda *_: raise_(ValueError("cannot count this")))
    run = new_run()
    perform(run, clock=machine)
    assert run.end == End(reason="budget", rounds=4)


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
    assert run.end == End(reason="failed", rounds=1, message="round: its process was killed")
    assert after.end.reason == "budget"


@pytest.fixture
def dies_in_block(machine, monkeypatch):
    """Latency from a process that dies in a variant's block of the second round."""

    def arrange(variant):
        marked = []
        monkeypatch.setattr(child, "mark", marked.append)

        def measure(run):
            for event in latency.measure(run, machine, undisturbed):
                if event == Beginning("round", None) and marked and not run.failures:
                    died = ChildDiedError("its process was killed")
                    died.mark = run.plan.variants.index(variant) if variant else NO_BLOCK
                    assert marked[-1] == NO_BLOCK
                    assert sorted(marked[:-1]) == sorted(set(range(len(run.plan.variants))))
                    marked.clear()
                    raise died
                yield event

        return measure

    return arrange


def test_a_variant_in_whose_block_the_process_dies_is_a_record_and_the_others_go_on(
    new_run, events, dies_in_block
):
    run = new_run()
    events([run], measure_latency=dies_in_block("se"))
    message = "round, block of se: its process was killed"
    error = Failure(step="latency", type="ChildDiedError", message=message)
    assert run.failures == {"se": {"latency": error}}
    assert ran(run) == [set(VARIANTS), {PLAIN, CONTROL, "eca"}]
    assert run.end.reason == "budget"


@pytest.mark.parametrize(
    ("variant", "place"), [(PLAIN, "round, block of plain"), (None, "round")], ids=["plain", "none"]
)
def test_a_process_that_dies_elsewhere_in_a_round_ends_a_run_that_can_be_resumed(
    new_run, events, dies_in_block, variant, place
):
    run = new_run()
    events([run], measure_latency=dies_in_block(variant))
    message = f"{place}: its process was killed"
    assert run.end == End(reason="failed", rounds=1, message=message)
    assert not run.failures


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
    assert run.end == End(reason="failed", rounds=0, message="OSError: no such device")
    assert after.end.reason == "budget"


def test_a_run_whose_process_was_killed_is_gone_on_with(new_run, events, machine, killed_at):
    run = new_run()
    events([run], measure_latency=killed_at(Beginning("round", None), time=2))
    assert not run.finished
    events([run], machine)
    assert [each.number for each in run.rounds] == [0, 1, 2, 3]
    assert run.end == End(reason="budget", rounds=4)
