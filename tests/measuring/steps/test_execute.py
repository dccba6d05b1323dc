from dataclasses import replace
from itertools import groupby

import pytest
import torch
from helpers.runs import (
    TICK_S,
    first_records,
    kinds,
    no_memory,
    ran,
)

from attnbench import report
from attnbench.counting import training
from attnbench.devices.table import KINDS
from attnbench.measuring import isolated, planning, runner
from attnbench.measuring.events import Beginning
from attnbench.measuring.steps import apart
from attnbench.measuring.steps.execute import execute
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import Run, gather
from attnbench.records.schema import (
    Count,
    Counts,
    End,
    Failure,
    Plan,
    Profile,
)
from attnbench.records.variants import CONTROL, PLAIN, IsolatedModule, alone
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun

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

    monkeypatch.setattr(apart, "profile_apart", profiled)
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


def test_modules_alone_are_counted_and_timed_beside_the_ceilings(new_run, events, monkeypatch):
    small = replace(KINDS["cpu"], copy_bytes=64, product_size=64)
    monkeypatch.setitem(KINDS, "cpu", small)
    run = new_run(variants=alone(("sa",)), image_size=64, isolated=True, budget_s=TICK_S)
    events([run])
    assert run.failures == {}
    assert run.memory == {}
    assert ran(run) == [set(run.plan.variants)]
    assert set(run.counts) == set(run.plan.variants) - {"copy again"}
