import multiprocessing
import os
from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest
import torch
from helpers.runs import (
    TICK_S,
    VARIANTS,
    first_records,
    kinds,
    no_memory,
    raise_,
    ran,
    rounds_in,
    undisturbed,
)

import attnbench
from attnbench import report
from attnbench.counting import NotCountedError, training
from attnbench.devices.table import KINDS
from attnbench.errors import UserError
from attnbench.measuring import isolated, latency, planning, runner
from attnbench.measuring.events import Beginning, Planned
from attnbench.measuring.processes import variation
from attnbench.measuring.runner import execute, latency_apart, memory_apart
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import Run, gather
from attnbench.records.schema import (
    Count,
    Counts,
    End,
    Failure,
    Memory,
    Plan,
    Profile,
    Record,
    Round,
)
from attnbench.records.variants import CONTROL, PLAIN, IsolatedModule, alone
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun
from attnbench.system import child, worker
from attnbench.system.worker import ChildDiedError

pytestmark = pytest.mark.usefixtures("small_host", "counted")


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
    said = remarks(LoadedRun(run))
    assert any(each.startswith("Fixed work, the same for every variant: backbone") for each in said)
    assert set(LoadedRun(run).frame["variant"]) == {PLAIN, CONTROL, "eca"}
    report.write(run, tmp_path)
    assert "retinanet_resnet50_fpn, inference, batch 1, 32x64" in (
        tmp_path / "comparison.md"
    ).read_text(encoding="utf-8")


def test_a_module_of_a_detector_alone_has_the_size_of_its_backbone(case):
    detector = replace(case, host="fasterrcnn_resnet50_fpn", image_size=(32, 64), isolated=True)
    assert isolated.input_shape(detector, IsolatedModule("sa", 2)) == (2, 512, 4, 8)
    assert isolated.step(detector, "sa layer2")().shape == (2, 512, 4, 8)


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


PROFILE = Profile(
    steps=1, seconds={"layer1 host": {"aten::mul": 0.5}}, host_s=(0.5,), attention_s=(0.0,)
)


def test_networks_are_profiled_behind_their_memory_where_that_is_asked_for(
    new_run, perform, machine, monkeypatch
):
    def profiled(_, variant):
        if variant == "se":
            raise RuntimeError("cannot be profiled")
        return PROFILE

    monkeypatch.setattr(runner, "profile_apart", profiled)
    run = new_run(variants=(PLAIN, CONTROL, "se"))
    run.profiling = True
    done = kinds(perform(run, clock=machine))
    assert done[2:6] == [
        ("memory", PLAIN),
        ("memory", "se"),
        ("profile", PLAIN),
        ("profile", "se"),
    ]
    assert run.profile == {PLAIN: PROFILE}
    error = Failure(step="profile", type="RuntimeError", message="cannot be profiled")
    assert run.failures == {"se": {"profile": error}}
    assert ran(run) == [{PLAIN, CONTROL, "se"}]  # it is timed all the same


@pytest.mark.parametrize("asked", [True, None])
def test_a_profile_is_made_where_the_options_ask_for_it(monkeypatch, case, tmp_path, asked):
    planned = Run(case, Plan(variants=(PLAIN, CONTROL, "se"), budget_s=1.0, target=0.01), {})
    seen = []

    def execute(*_, **__):
        seen.append(planned.profiling)
        yield from ()

    monkeypatch.setattr(planning, "prepare", lambda *_: ([(planned, tmp_path)], tmp_path, {}))
    monkeypatch.setattr(runner, "execute", execute)
    runner.run(RunOptions(profile=asked), tmp_path)
    assert seen == [bool(asked)]


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
    frame = LoadedRun(run).frame.set_index("variant")
    assert frame.loc["se", "error"] == "counts: NotCountedError: by macs, leaf: ValueError: no"
    assert frame.loc["se", "added_params"] == 0


def test_a_plain_host_that_cannot_be_counted_is_timed(new_run, perform, machine, monkeypatch):
    monkeypatch.setattr(runner, "count_all", lambda *_: raise_(ValueError("cannot count this")))
    run = new_run()
    perform(run, clock=machine)
    assert run.end == End(reason="budget", rounds=4)


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
    again = done > WHOLE - 5  # after a round: another process
    assert [each.process for each in rounds_in(rest)] == [int(again)] * len(rounds_in(rest))
    as_one = [replace(each, process=0) for each in rounds_in(rest)]
    assert as_one == rounds_in(whole[done:])  # numbers, orders and seconds
    assert len(counted) == max(0, 3 - done)


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


def test_nothing_is_left_to_do_for_a_finished_run(new_run, perform, machine):
    run = new_run()
    perform(run, clock=machine)
    assert perform(run, clock=machine) == []


def test_memory_and_rounds_are_measured_in_processes_of_their_own(case, new_run, monkeypatch):
    monkeypatch.setattr(worker, "call", lambda *call: call)
    monkeypatch.setattr(worker, "stream", lambda *call: iter(call))
    run = new_run()
    assert memory_apart(case, "se") == (runner.memory.measure, case, "se")
    assert tuple(latency_apart(run)) == (latency.measure, run)


def test_each_further_process_starts_with_a_larger_environment(new_run, monkeypatch):
    sizes = []

    def stream(*_):
        sizes.append(len(os.environ.get(variation.PADDING, "")))  # the process starts here
        yield "first"
        assert variation.PADDING not in os.environ
        yield "second"

    monkeypatch.setattr(worker, "stream", stream)
    run = new_run()
    for process in range(3):
        assert list(latency_apart(run)) == ["first", "second"]
        run.rounds.append(Round(number=process, blocks=(), process=process))
    assert sizes == [variation.padding_bytes(run.case.seed, process) for process in range(3)]
    assert sizes[0] == 0 < sizes[1] != sizes[2]


def test_processes_follow_each_other_until_the_run_ends(new_run, events, machine):
    machine.cost_s["se"] = 2 * TICK_S
    machine.noise = 0.5  # no ratio is known well enough
    run = new_run(processes=3, budget_s=30 * 5 * TICK_S)
    told = events([run], machine)
    begun = [event.kind for _, event in told if isinstance(event, Beginning)]
    assert begun.count("warm-up") == 3 * len(VARIANTS)
    sizes = [len([*rounds]) for _, rounds in groupby(run.rounds, lambda timed: timed.process)]
    assert len(sizes) == 3
    assert min(sizes) >= 6
    assert run.end == End(reason="budget", rounds=sum(sizes))
    assert (
        gather([*first_records(run), *(e for _, e in told if isinstance(e, Record))], "file") == run
    )


def test_a_process_that_does_nothing_is_the_last(new_run):
    def nothing(_):
        return iter(())

    run = new_run()
    list(execute([run], measure_memory=no_memory, measure_latency=nothing))
    assert run.end is None


def test_what_nobody_has_seen_is_counted_in_a_process_of_its_own(case, monkeypatch):
    own = "mine.py:Mine"
    monkeypatch.setattr(worker, "call", lambda *call: call)
    case = replace(case, host="resnet18", image_size=64)
    assert runner.count_apart(case, own) == (runner._count_watched, case, own)
    piece = f"{own} layer2"
    asked = runner._alone(replace(case, isolated=True), piece)
    assert asked == (runner._alone_watched, replace(case, isolated=True), piece)
    for variant in ("plain", "eca"):
        assert isinstance(runner.count_apart(case, variant), dict)


def test_runs_are_done_one_after_the_other_and_networks_counted_once(
    new_run, events, machine, counted
):
    first, finished, second = new_run(), new_run(), new_run(mode="training", batch_size=3)
    finished.end = End(reason="budget", rounds=0)
    told = events([first, finished, second], machine)
    assert [run for run, _ in groupby(told, lambda pair: pair[0])] == [first, second]
    assert len(counted) == 3
    steps = {training.EXECUTED_STEP, training.TORCH_STEP}
    for variant, rules in second.counts.items():
        assert rules.keys() - first.counts[variant].keys() == steps
        assert first.counts[variant].items() <= rules.items()
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
                    died.mark = run.plan.variants.index(variant) if variant else latency.NO_BLOCK
                    assert marked[-1] == latency.NO_BLOCK
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


def test_a_real_run_is_timed_in_another_process(new_run):
    run = new_run(variants=(PLAIN, CONTROL, "se"), budget_s=0.01)
    events = list(execute([run], measure_memory=no_memory))
    assert run.end.reason == "budget"
    assert ran(run) == [{PLAIN, CONTROL, "se"}]
    assert all(pair[0] is run for pair in events)


def test_modules_alone_are_counted_and_timed_beside_the_ceilings(new_run, events, monkeypatch):
    small = replace(KINDS["cpu"], copy_bytes=64, product_size=64)
    monkeypatch.setitem(KINDS, "cpu", small)
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


SMALL = RunOptions(
    modules=("eca",), host="resnet50", image_size=(32,), budget_s=0.05, device="cpu", threads=1
)
LEFT_OUT = replace(SMALL, modules=("eca", "sk"), host="resnet18")


@pytest.mark.usefixtures("one_process")
def test_the_main_job_from_python_stores_each_record_and_tells_of_it(tmp_path):
    events = []

    def progress(run, event):
        if isinstance(event, Record):  # it is on the disk by now
            assert store.read(tmp_path / "run")[-1].results == event.results
        events.append((run, event))

    measured = attnbench.run(SMALL, tmp_path / "run", progress)
    (run,) = measured.runs
    assert measured.folder == tmp_path / "run"
    assert run.finished
    assert gather(store.read(measured.folder), "file") == run
    assert events[:2] == [(run, Planned(measured.folder)), (run, Beginning("counts", PLAIN))]
    assert all(told is run for told, _ in events)
    again = attnbench.run(attnbench.RunOptions(), str(tmp_path / "run"))  # nothing is left to do
    assert (again.folder, again.runs[0].rounds) == (tmp_path / "run", run.rounds)
    with pytest.warns(UserWarning, match="left out: sk: the blocks of resnet18 have no site"):
        measured = attnbench.run(LEFT_OUT, tmp_path / "narrow")
    assert measured.left_out.keys() == {"sk"}
    assert measured.runs[0].modules == ("eca",)


@pytest.mark.usefixtures("one_process")
def test_a_grid_from_python_is_planned_whole_and_resumed_where_it_was_interrupted(tmp_path):
    grid = replace(SMALL, batch_size=(2, 1))
    folders = [tmp_path / "grid" / f"inference-float32-b{images}-32" for images in (1, 2)]
    planned = []

    def interrupt(_, event):
        if not isinstance(event, Planned):
            raise KeyboardInterrupt
        planned.append(event.folder)

    with pytest.raises(KeyboardInterrupt):
        attnbench.run(grid, str(tmp_path / "grid"), interrupt)
    assert planned == folders
    measured = attnbench.run(grid, tmp_path / "grid")
    assert [run.case.batch_size for run in measured.runs] == [1, 2]
    assert all(run.finished for run in measured.runs)
    assert set(attnbench.read(measured.folder)["variant"]) == {PLAIN, CONTROL, "eca"}


def test_bad_options_from_python_are_errors_of_the_user(tmp_path):
    for options, message in (
        ({"modules": ("foo",)}, "unknown attention module 'foo'"),
        ({"batch_size": 8}, "batch_size: Input should be a valid tuple, not 8"),
        ({"dtype": ("int4",)}, "unknown dtype 'int4'"),
    ):
        with pytest.raises(UserError, match=message):
            attnbench.run(replace(SMALL, **options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_script_that_child_processes_would_run_again_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UserError, match="call it under if __name__ == '__main__':"):
        attnbench.run(SMALL, tmp_path / "run")
