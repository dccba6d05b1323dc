"""Runs whose networks a runtime executes from files."""

from dataclasses import replace

import pytest
import torch
from helpers import colours
from helpers.runs import TICK_S, VARIANTS, kinds, names, ran

from attnbench.errors import UserError
from attnbench.measuring import runner, workload
from attnbench.measuring.latency.warm_up import step
from attnbench.records.schema import Failure
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.runtimes import artefact, onnx_file
from attnbench.runtimes.int8 import calibration
from attnbench.runtimes.prepared import Prepared
from attnbench.runtimes.table import TABLE, Runtime

pytestmark = pytest.mark.usefixtures("small_host", "counted", "one_process")


@pytest.fixture
def runtime(monkeypatch):
    """A runtime that executes files which name a network, with what each is multiplied by."""
    networks, factors, loaded = {}, {}, []

    def export(network, *_):
        name = f"network {len(networks)}"
        networks[name] = network
        return name.encode()

    def load(file, settings):
        name = file.read_text()
        loaded.append((name, settings.threads, settings.dtype))

        def call(image):
            with torch.inference_mode():
                return [networks[name](image) * factors.get(name, 1.0)]

        return Prepared(call, renew=lambda: loaded.append(f"{name} anew"))

    monkeypatch.setattr(onnx_file, "export", export)
    known = {"networks": networks, "factors": factors, "loaded": loaded, "load": lambda _: load}
    stub = type("Stub", (Runtime,), known)(**vars(TABLE["onnxruntime"]))
    monkeypatch.setitem(artefact.TABLE, "onnxruntime", stub)
    return stub


@pytest.fixture
def exported_run(new_run, tmp_path):
    def make(**changes):
        run = new_run(runtime="onnxruntime", budget_s=8 * TICK_S, **changes)
        run.exports = tmp_path / "exports"
        return run

    return make


def test_each_network_is_exported_once_then_timed_and_its_memory_is_not_measured(
    exported_run, perform, runtime
):
    run = exported_run()
    told = kinds(perform(run))
    assert told[:6] == [
        *(("counts", name) for name in (PLAIN, "se", "eca")),
        *(("export", name) for name in (PLAIN, "se", "eca")),
    ]
    assert ("memory", PLAIN) not in told
    assert ran(run) == [set(VARIANTS)]
    assert len(runtime.networks) == len(list(run.exports.iterdir())) == 3
    # Once to be compared; then to be timed, where the control is the plain host again.
    of_plain = ("network 0", 1, "float32")
    assert runtime.loaded.count(of_plain) == 3
    assert all(name == of_plain or runtime.loaded.count(name) == 2 for name in runtime.loaded)
    assert {known.relative_error for known in run.export.values()} == {0.0}


def test_what_computes_something_else_is_not_timed(exported_run, perform, runtime):
    runtime.factors["network 1"] = 1.01  # of SE
    run = exported_run()
    perform(run)
    (failure,) = run.failures["se"].values()
    assert (failure.step, failure.type) == ("export", "OtherAnswersError")
    assert "they differ by 1.000% of the largest, and 0.100% is allowed" in failure.message
    assert ran(run) == [{PLAIN, CONTROL, "eca"}]
    assert "se" not in run.export


def test_what_cannot_be_exported_is_a_record_and_the_others_go_on(
    exported_run, perform, runtime, monkeypatch
):
    export = onnx_file.export

    def fails(network, image, _):
        if len(runtime.networks) == 2:
            raise onnx_file.NotExportedError("no ONNX operator for aten.airy: none")
        return export(network, image)

    monkeypatch.setattr(onnx_file, "export", fails)
    run = exported_run()
    perform(run)
    error = Failure(
        step="export", type="NotExportedError", message="no ONNX operator for aten.airy: none"
    )
    assert run.failures == {"eca": {"export": error}}
    assert names(run.rounds[0]) == {PLAIN, CONTROL, "se"}


def test_a_run_whose_plain_host_is_not_exported_ends_without_a_round(
    exported_run, perform, runtime
):
    runtime.factors["network 0"] = 2.0
    run = exported_run()
    perform(run)
    assert run.failed(PLAIN, "latency")
    assert run.failed(CONTROL, "latency")
    assert (run.end.reason, run.end.rounds) == ("failed", 0)


def test_a_network_is_made_anew_at_every_tenth_move(exported_run, perform, runtime):
    run = exported_run()
    perform(run)
    ready = workload.exported_step(run, "se")
    for _ in range(20):
        ready.move()
    assert runtime.loaded.count("network 1 anew") == 2


def test_a_file_that_is_gone_is_a_failure_of_its_variant(exported_run, perform, runtime):
    run = exported_run()
    perform(run)
    (run.exports / run.export["se"].file).unlink()
    run.rounds, run.end = [], None
    perform(run)
    assert "No such file or directory; run anew" in run.failures["se"]["latency"].message
    assert runtime.networks


def test_runs_of_a_grid_share_their_files(tmp_path):
    grid = tmp_path / "grid"
    assert runner._exports(grid) == grid / "exports"
    (grid / "exports").mkdir(parents=True)
    assert runner._exports(grid / "inference-float32-b1-64-openvino") == grid / "exports"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_what_is_exported_is_in_float32(case, dtype):
    exported = replace(case, runtime="openvino", dtype=dtype)
    assert workload.conditions_of(exported).dtype == "float32"
    assert workload.network(exported, PLAIN, "cpu").fc.weight.dtype is torch.float32


def test_only_exported_cases_are_built_from_files(case):
    assert step(replace(case, runtime="eager"), "se").network is not None


def test_ranges_of_int8_are_from_the_users_images(exported_run, tmp_path, monkeypatch):
    """Three images in batches of two; what is exported is noise, what is compared is theirs."""
    for name in ("a.png", "b.png", "c.png"):
        colours.image(tmp_path / "photos" / name, "red")
    photos = calibration.identify(tmp_path / "photos")
    run = exported_run()
    run.case = replace(run.case, dtype="int8", calibration=photos, batch_size=2)
    run.images = tmp_path / "photos"
    seen = []
    monkeypatch.setattr(artefact, "make", lambda *given: seen.append(given))
    workload.export(run, PLAIN)
    ((_, subject, _, images),) = seen
    assert [batch.shape for batch in images.calibration] == [run.case.input_shape] * 2
    assert torch.equal(images.compared[0], images.calibration[0])
    assert torch.equal(images.example, workload.image_for(run.case, run.case.input_shape, "cpu"))
    assert images.calibrated_on == photos
    # Another folder's ranges are another file.
    others = replace(subject, case=replace(run.case, calibration=photos.replace("3 im", "4 im")))
    assert others.file_name != subject.file_name

    colours.image(tmp_path / "photos" / "c.png", "blue")
    with pytest.raises(UserError, match="photos holds other images than when the run began"):
        workload.export(run, PLAIN)
    run.images = None
    with pytest.raises(UserError, match=r"calibrated on photos: .*--calibrate"):
        workload.export(run, PLAIN)
