from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from helpers import colours

from attnbench import modules
from attnbench.errors import UserError
from attnbench.measuring import planning
from attnbench.measuring.options.check import check
from attnbench.measuring.options.values import cleaned
from attnbench.measuring.planning import prepare
from attnbench.modules import ATTENTION
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import End, Plan, Record
from attnbench.records.variants import alone
from attnbench.system import worker

SMALL = RunOptions(modules=("sa",), image_size=(64,), budget_s=1.0, device="cpu")
GRID = replace(SMALL, batch_size=(2, 1), mode=("inference", "training"))


def single(wanted: RunOptions, out: Path | None) -> tuple[Run, Path]:
    ((run, own_folder),), folder, _ = prepare(wanted, out)
    assert own_folder == folder
    return run, folder


def finish(run: Run, folder: Path) -> None:
    end = End(reason="budget", rounds=0)
    store.append(folder, Record(case=run.case, results=end, environment=run.environment))


def test_nothing_stated_is_the_main_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, folder = single(RunOptions(device="cpu"), None)
    assert run.modules == tuple(ATTENTION)
    assert run.plan.variants[:2] == ("plain", "control")
    case = run.case
    assert (case.host, case.batch_size, case.image_size) == ("resnet50", 1, 224)
    assert (case.dtype, case.mode, case.channels_last) == ("float32", "inference", False)
    assert folder.parent == Path("reports")
    assert folder.name.endswith("-cpu-resnet50")


@pytest.mark.parametrize(
    ("stated", "budget_s", "processes"),
    [
        (None, 60.0, {False: 6, True: 1}),
        (None, 59.0, {False: 1, True: 1}),  # starting more would take longer than the rounds
        (3, 1.0, {False: 3, True: 3}),
    ],
)
def test_a_run_has_six_processes_or_one_that_compiles_or_is_short_or_as_many_as_stated(
    tmp_path: Path, stated: int | None, budget_s: float, processes: dict[bool, int]
) -> None:
    runtimes = ("eager", "compile")
    wanted = replace(SMALL, runtime=runtimes, processes=stated, budget_s=budget_s)
    planned_runs, folder, _ = prepare(wanted, tmp_path / "run")
    assert {run.case.compiled: run.plan.processes for run, _ in planned_runs} == processes
    again, _, _ = prepare(wanted, folder)  # resumed
    assert [run.plan for run, _ in again] == [run.plan for run, _ in planned_runs]
    with pytest.raises(UserError, match=r"another configuration: processes is .* there and 2 here"):
        prepare(replace(SMALL, processes=2, budget_s=budget_s), folder)


@pytest.mark.parametrize("stated", [0, 1001])
def test_a_number_of_processes_that_cannot_be_is_refused(tmp_path: Path, stated: int) -> None:
    with pytest.raises(
        UserError, match=f"processes must be at least 1 and at most 1000, not {stated}"
    ):
        prepare(replace(SMALL, processes=stated), tmp_path / "run")


def test_the_plan_is_on_the_disk_before_anything_is_measured(tmp_path: Path) -> None:
    run, folder = single(SMALL, tmp_path / "run")
    (record,) = store.read(folder)
    in_each_block = {"sa": 3 + 4 + 6 + 3}  # of ResNet-50
    variants = ("plain", "control", "sa")
    assert (
        record.results
        == run.plan
        == Plan(variants=variants, budget_s=1.0, target=0.01, processes=1, sites=in_each_block)
    )


def test_two_runs_of_a_day_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, first = single(SMALL, None)
    _, second = single(SMALL, None)
    assert first != second
    assert second.name == f"{first.name}-2"


def test_auto_takes_the_device_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run, _ = single(replace(SMALL, device="auto"), tmp_path / "run")
    assert run.case.device == "cpu"


def test_an_unfinished_run_goes_on_as_it_was_recorded(tmp_path: Path) -> None:
    run, folder = single(replace(SMALL, seed=7), tmp_path / "run")
    again, same = single(RunOptions(), folder)
    assert (again.case, again.plan, same) == (run.case, run.plan, folder)
    assert single(replace(SMALL, seed=7), folder)[0].case == run.case


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": (96,)}, "image_size is 64 there and 96 here"),
        ({"modules": ("se",)}, "modules is sa there and se here"),
        ({"budget_s": 2.0}, "budget_s is 1.0 there and 2.0 here"),
        ({"dtype": ("bfloat16",)}, "dtype is float32 there and bfloat16 here"),
        ({"channels_last": True}, "channels_last is False there and True here"),
    ],
)
def test_another_configuration_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    _, folder = single(SMALL, tmp_path / "run")
    with pytest.raises(UserError, match=message):
        prepare(replace(SMALL, **change), folder)
    assert len(store.read(folder)) == 1


def test_several_values_are_a_configuration_each_in_a_folder_of_its_own(tmp_path: Path) -> None:
    prepared, folder, _ = prepare(GRID, tmp_path / "grid")
    assert folder == tmp_path / "grid"
    assert [own_folder.name for _, own_folder in prepared] == [
        "inference-float32-b1-64",
        "inference-float32-b2-64",
        "training-float32-b1-64",
        "training-float32-b2-64",
    ]
    for run, own_folder in prepared:
        (record,) = store.read(own_folder)
        assert (record.case, record.results) == (run.case, run.plan)
    assert [run.case.batch_size for run, _ in prepared] == [1, 2, 1, 2]


def test_a_grids_folders_letter_by_letter(tmp_path: Path) -> None:
    stated = replace(
        SMALL, dtype=("bfloat16", "float32"), runtime=("eager", "compile"), image_size=((64, 96),)
    )
    prepared, _, _ = prepare(replace(stated, batch_size=(8,)), tmp_path / "grid")
    assert [own_folder.name for _, own_folder in prepared] == [
        "inference-bfloat16-b8-64x96",
        "inference-bfloat16-b8-64x96-compile",
        "inference-float32-b8-64x96",
        "inference-float32-b8-64x96-compile",
    ]


def test_a_detector_has_its_own_size_where_none_is_stated(tmp_path: Path) -> None:
    detector = RunOptions(modules=("sa",), host="fasterrcnn_resnet50_fpn", device="cpu")
    run, folder = single(detector, tmp_path / "run")
    assert run.case.image_size == (800, 1333)
    assert single(RunOptions(), folder)[0].case == run.case
    with pytest.raises(UserError, match="image_size is 800x1333 there and 64 here"):
        prepare(replace(detector, image_size=(64,)), folder)


def test_images_need_not_be_square_in_a_grid_either(tmp_path: Path) -> None:
    wanted = replace(SMALL, image_size=((96, 64), 64, (64, 96), 64))
    prepared, folder, _ = prepare(wanted, tmp_path / "grid")
    names = [f"inference-float32-b1-{size}" for size in ("64", "64x96", "96x64")]
    assert [own_folder.name for _, own_folder in prepared] == names
    assert [run.case.image_size for run, _ in prepared] == [64, (64, 96), (96, 64)]
    again, _, _ = prepare(wanted, folder)
    assert sorted(own_folder.name for _, own_folder in again) == names


def test_a_detectors_training_step_has_no_fixed_work(tmp_path: Path) -> None:
    for host in ("retinanet_resnet50_fpn", "resnet50_backbone"):
        with pytest.raises(UserError, match=f"{host} has no --mode training: what its step does"):
            prepare(replace(SMALL, host=host, mode=("training",)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_eager_beside_compiled_is_a_grid_too(tmp_path: Path) -> None:
    prepared, _, _ = prepare(replace(SMALL, runtime=("compile", "eager")), tmp_path / "grid")
    names = ["inference-float32-b1-64", "inference-float32-b1-64-compile"]
    assert [own_folder.name for _, own_folder in prepared] == names
    assert [run.case.compiled for run, _ in prepared] == [False, True]


def test_the_same_value_twice_is_one_configuration(tmp_path: Path) -> None:
    run, _ = single(replace(SMALL, batch_size=(2, 2)), tmp_path / "run")
    assert run.case.batch_size == 2


def test_a_grid_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first, folder, _ = prepare(GRID, tmp_path / "grid")
    finish(*first[0])
    for wanted in (RunOptions(), GRID):
        again, _, _ = prepare(wanted, folder)
        assert [own_folder for _, own_folder in again] == [own_folder for _, own_folder in first]
        assert [run.end is not None for run, _ in again] == [True, False, False, False]


def test_another_grid_is_refused_and_of_a_finished_one_nothing_is_left(tmp_path: Path) -> None:
    prepared, folder, _ = prepare(GRID, tmp_path / "grid")
    with pytest.raises(UserError, match="batch_size is 1, 2 there and 1, 4 here"):
        prepare(replace(GRID, batch_size=(1, 4)), folder)
    for run, own_folder in prepared:
        finish(run, own_folder)
    again, _, _ = prepare(GRID, folder)
    assert all(run.finished for run, _ in again)
    with pytest.raises(UserError, match="batch_size is 1, 2 there and 1, 4 here"):
        prepare(replace(GRID, batch_size=(1, 4)), folder)


def test_modules_alone_are_a_plan_of_ceilings_and_pieces(tmp_path: Path) -> None:
    run, _ = single(replace(SMALL, isolated=True), tmp_path / "run")
    maps = ((256, 16, 16), (512, 8, 8), (1024, 4, 4), (2048, 2, 2))
    assert run.plan.variants == alone(("sa",), maps)
    assert run.plan.processes == 1
    assert run.case.isolated
    again, _ = single(replace(SMALL, isolated=True), tmp_path / "run")
    assert again.modules == ("sa",)


def test_modules_alone_see_other_maps_of_other_images_in_one_grid(tmp_path: Path) -> None:
    options = replace(SMALL, isolated=True, image_size=(64, 96))
    runs = [run for run, _ in prepare(options, tmp_path / "run")[0]]
    assert [run.plan.baseline for run in runs] == ["copy 256x16x16", "copy 256x24x24"]
    again = [run for run, _ in prepare(options, tmp_path / "run")[0]]
    assert [run.plan for run in again] == [run.plan for run in runs]


def test_facts_of_a_gpu_are_asked_for_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = planning.environment.describe("cpu") | {"gpu": "fake"}
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(worker, "call", lambda *_: facts)
    run, _ = single(replace(SMALL, device="cuda"), tmp_path / "run")
    assert run.environment["gpu"] == "fake"


def test_of_a_finished_run_nothing_is_left_and_its_folder_may_be_read_only(tmp_path: Path) -> None:
    run, folder = single(SMALL, tmp_path / "run")
    assert not check(SMALL, folder)
    finish(run, folder)
    for stated in (SMALL, RunOptions()):
        assert check(stated, folder)
        assert single(stated, folder)[0].finished
    before = (folder / store.FILE_NAME).read_bytes()
    with pytest.raises(UserError, match="seed is 0 there and 1 here"):
        check(replace(SMALL, seed=1), folder)
    assert (folder / store.FILE_NAME).read_bytes() == before


def test_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = single(SMALL, tmp_path / "run")
    here = planning.environment.describe("cpu")
    monkeypatch.setattr(planning.environment, "describe", lambda _: here | {"torch": "0.1"})
    with pytest.raises(UserError, match=r"another machine: torch is .* there and 0\.1 here"):
        prepare(SMALL, folder)


def test_a_line_cut_off_by_a_kill_is_cut_away(tmp_path: Path) -> None:
    _, folder = single(SMALL, tmp_path / "run")
    path = folder / store.FILE_NAME
    whole = path.read_text()
    path.write_text(whole + '{"schema":1,"case":{"ho')
    prepare(SMALL, folder)
    assert path.read_text() == whole


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "comparison.md").write_text("mine")
    with pytest.raises(UserError, match="holds other files and no run"):
        prepare(SMALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.md"]


def test_a_run_that_was_killed_within_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / store.FILE_NAME).write_text('{"schema":1,"case":{"ho')
    run, _ = single(SMALL, tmp_path)
    assert [record.results for record in store.read(tmp_path)] == [run.plan]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modules": ("foo",)}, "unknown attention module 'foo'; known: se, cbam, eca"),
        (
            {"host": "vgg"},
            "unknown host 'vgg' .did you mean vgg19, .*; known: resnet18, resnet34, ",
        ),
        ({"image_size": (31,)}, "image_size 31 is too small"),
        ({"image_size": ((800, 31),)}, "image_size 800x31 is too small"),
        ({"image_size": ((64, 10**20),)}, "image_size must be at least 1 .* not 64x1000"),
        ({"batch_size": (0,)}, "batch_size must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"threads": 10**20}, "threads must be at least 1 and at most 4096"),
        ({"seed": 10**23}, "seed must be at least 0 and at most"),
        ({"image_size": (10**20,)}, "image_size must be at least 1 and at most"),
        ({"budget_s": 0.0}, "budget must be a positive number"),
        ({"budget_s": float("nan")}, "budget must be a positive number"),
        ({"batch_size": (1, 0)}, "batch_size must be at least 1"),
        ({"batch_size": ()}, "batch_size has no value"),
        ({"batch_size": ("a",)}, "batch_size must be a whole number, not 'a'"),
        ({"budget_s": "long"}, "budget_s must be a number, not 'long'"),
        ({"isolated": "maybe"}, "isolated must be True or False, not 'maybe'"),
        ({"host": 7}, "host must be a text, not 7"),
        ({"timeout_s": float("nan")}, "the timeout must be a positive number of seconds"),
        ({"batch_size": 8}, r"batch_size must be a tuple of values, such as \(1, 8\), not 8"),
        ({"image_size": ((64, 64),)}, "image_size is a single number where the image is square"),
        ({"modules": "sa"}, "modules must be a tuple of values, .* not 'sa'"),
        (
            {"dtype": ("int4",)},
            "unknown dtype 'int4' .*; known: float32, bfloat16, float16, amp, amp-float16, int8",
        ),
        ({"dtype": ("int8",)}, "eager PyTorch does not compute in int8"),
        ({"runtime": ("tpu",)}, "unknown runtime 'tpu'; known: eager, compile, cuda-graph, comp"),
        ({"mode": ("sleeping",)}, "unknown mode 'sleeping'; known: inference, training"),
        (
            {"device": "tpu"},
            r"unknown device 'tpu' \(did you mean xpu\?\); known: cpu, cuda, xpu, mps",
        ),
        ({"runtime": ("cuda-graph",)}, "--cuda-graph needs a CUDA device"),
        ({"isolated": True, "mode": ("training",)}, "--isolated times the eager forward"),
        ({"isolated": True, "runtime": ("compile",)}, "--isolated times the eager forward"),
    ],
)
def test_what_cannot_be_is_refused_before_a_file_is_written(
    tmp_path: Path, change: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        prepare(replace(SMALL, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\n"
        "class Mine(nn.Conv2d):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__(channels, channels, 1, groups=channels)\n"
        "class Short(Mine):\n"
        "    def forward(self, x):\n"
        "        return x[..., :-1]\n"
    )
    return path


@pytest.mark.usefixtures("one_process")
def test_a_module_of_ones_own_is_planned_with_the_digest_of_its_code(
    tmp_path: Path, mine: Path
) -> None:
    name = f"{mine}:Mine"
    run, folder = single(replace(SMALL, modules=("sa", name)), tmp_path / "run")
    assert run.modules == ("sa", name)
    digest = sha256(mine.read_bytes()).hexdigest()
    (plan,) = (record.results for record in store.read(folder))
    assert isinstance(plan, Plan)
    assert plan.sources == {name: f"sha256 {digest}"}
    assert single(RunOptions(), folder)[0].plan == plan
    mine.write_text(mine.read_text() + "# another\n")
    with pytest.raises(UserError, match="begun with other code of its modules"):
        prepare(RunOptions(), folder)


@pytest.mark.usefixtures("one_process")
def test_a_module_of_ones_own_that_is_not_fit_is_refused_before_a_file_is_written(
    tmp_path: Path, mine: Path
) -> None:
    for name, why in (("Short", "on an input of 256x16x16 it returns"), ("None_", "no None_ in")):
        with pytest.raises(UserError, match=f"mine.py:{name}.*{why}"):
            prepare(replace(SMALL, modules=(f"{mine}:{name}",)), tmp_path / "run")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os; os._exit(0)", "Mine is refused: the worker process ended with status 0"),
        (
            "import torch; torch.set_num_threads(7); Mine = list",
            "Mine: loading it changes torch's number of",
        ),
    ],
)
def test_a_file_is_first_loaded_in_a_process_that_it_may_end(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=message):
        prepare(replace(SMALL, modules=(f"{tmp_path}/mine.py:Mine",)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


NO_SITE = (
    "sk: the blocks of resnet18 have no site replace_conv2; known: after_bn2, after_bn3, "
    "after_stage; hosts that have it: resnet50, resnet101, resnet152, wide_resnet50_2, "
    "wide_resnet101_2, sknet50, sknet101"
)
NARROW = "64 channels do not divide by 128; 128 would, and 32 in the place of 64 fits these"


def test_modules_that_do_not_fit_are_left_out_with_what_would_and_the_others_run(
    tmp_path: Path,
) -> None:
    asked = RunOptions(host="resnet18", image_size=(64,), device="cpu")
    ((run, folder),), _, left_out = prepare(asked, tmp_path / "run")
    assert run.modules == ("se", "cbam", "eca", "gc", "sge")
    assert left_out.keys() == {"sk", "sa"}
    assert left_out["sk"] == NO_SITE
    assert left_out["sa"].endswith(NARROW)
    # The same words again, and after its end: what was left out is so again.
    named = replace(asked, modules=("se", "cbam", "eca", "gc", "sk", "sge"))
    for end in (False, True):
        if end:
            finish(run, folder)
        ((again, _),), _, left_out = prepare(named, folder)
        assert (again.modules, again.finished) == (run.modules, end)
        assert left_out.keys() == {"sk"}
        assert not check(named, folder)  # only with torch is known that SK does not fit
        with pytest.raises(UserError, match="modules is se, cbam, eca, gc, sge there and se, sk"):
            prepare(replace(asked, modules=("se", "sk")), folder)


def test_where_no_module_fits_all_reasons_are_given(tmp_path: Path) -> None:
    asked = replace(SMALL, modules=("sk", "sa"), host="resnet18")
    with pytest.raises(UserError) as refused:
        prepare(asked, tmp_path / "run")
    assert NO_SITE in str(refused.value)
    assert NARROW in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("one_process")
def test_a_custom_module_that_is_refused_is_left_out_too(tmp_path: Path, mine: Path) -> None:
    good, bad = f"{mine}:Mine", f"{mine}:Short"
    ((run, _),), _, left_out = prepare(replace(SMALL, modules=(bad, good)), tmp_path / "run")
    assert run.modules == (good,)
    assert run.plan.sources.keys() == {good}
    assert left_out[bad].startswith(f"{bad} is refused: on an input of 256x16x16 it returns")


def test_names_are_read_without_regard_to_case_and_recorded_in_their_own(tmp_path: Path) -> None:
    asked = RunOptions(
        modules=("SA", "Se", "sa", "SGE,groups=32"),
        host="ResNet50",
        device="CPU",
        dtype=("BF16", "fp32", "Half", "torch.float16"),
        mode=("Inference",),
        blocks="Last",
        image_size=(64,),
    )
    prepared, _, _ = prepare(asked, tmp_path / "run")
    assert prepared[0][0].modules == ("sa", "se", "sge,groups=32")
    cases = [run.case for run, _ in prepared]
    assert {(case.host, case.device, case.mode, case.blocks) for case in cases} == {
        ("resnet50", "cpu", "inference", "last")
    }
    assert [case.dtype for case in cases] == ["bfloat16", "float16", "float32"]
    assert cleaned(RunOptions(modules=("TIMM:ECA", "My.py:SA"))).modules == ("timm:eca", "My.py:SA")


def test_chosen_stages_are_sorted_and_must_exist(tmp_path: Path) -> None:
    run, _ = single(replace(SMALL, stages=(4, 2, 4), blocks="last"), tmp_path / "run")
    assert (run.case.stages, run.case.blocks) == ((2, 4), "last")
    assert run.case.described.endswith("stages 2 4, last blocks, cpu")
    for change, message in (
        ({"stages": (5,)}, r"unknown stages \[5\]; known: 1 to 4"),
        ({"blocks": "first"}, "unknown blocks 'first'; known: all, last"),
        ({"stages": (2,), "isolated": True}, "--isolated measures all stages"),
    ):
        with pytest.raises(UserError, match=message):
            prepare(replace(SMALL, **change), tmp_path / "other")


def test_widths_that_do_not_divide_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = replace(ATTENTION["sa"], published={"resnet50": {"groups": (48, 48, 48, 48)}})
    monkeypatch.setitem(modules.ATTENTION, "sa", uneven)
    with pytest.raises(UserError, match="256 channels do not divide by 96; 192 or 288 would"):
        prepare(SMALL, tmp_path / "run")


def test_cuda_without_a_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device"):
        prepare(replace(SMALL, device="cuda"), tmp_path / "run")


def test_a_run_that_failed_is_taken_up_again(tmp_path: Path) -> None:
    run, folder = single(SMALL, tmp_path / "run")
    end = End(reason="failed", rounds=0, message="its process was killed")
    store.append(folder, Record(case=run.case, results=end, environment=run.environment))
    assert not single(SMALL, folder)[0].finished


def test_a_name_that_no_system_takes_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        prepare(SMALL, tmp_path / ("a" * 300))


def test_ranges_of_int8_are_from_images_that_are_there(tmp_path: Path) -> None:
    colours.image(tmp_path / "photos" / "a.png", "red")
    photos = str(tmp_path / "photos")
    wanted = replace(SMALL, runtime=("openvino",), dtype=("bfloat16", "int8"), calibration=photos)
    with pytest.raises(UserError, match="--calibrate takes the ranges of --dtype int8, and no"):
        check(replace(wanted, dtype=("bfloat16",)), None)
    with pytest.raises(UserError, match=r"cannot take images from .*none: no such folder"):
        check(replace(wanted, calibration=str(tmp_path / "none")), None)
    (tmp_path / "photos" / "b.png").write_text("no image")
    with pytest.raises(UserError, match=r"b\.png cannot be read as an image"):
        check(wanted, None)


def test_a_run_with_ranges_from_images_is_resumed_with_the_same_images(tmp_path: Path) -> None:
    colours.image(tmp_path / "photos" / "a.png", "red")
    digest = sha256((tmp_path / "photos" / "a.png").read_bytes()).hexdigest()
    photos = str(tmp_path / "photos")
    wanted = replace(SMALL, runtime=("openvino",), dtype=("bfloat16", "int8"), calibration=photos)
    runs, folder, _ = prepare(wanted, tmp_path / "run")
    known = f"photos: 1 images, SHA-256 {digest}"
    assert {run.case.dtype: run.case.calibration for run, _ in runs} == {
        "bfloat16": "",
        "int8": known,
    }
    again, _, _ = prepare(wanted, folder)
    assert [run.case for run, _ in again] == [run.case for run, _ in runs]
    with pytest.raises(UserError, match=r"was begun with ranges from photos: 1 .*--calibrate"):
        prepare(RunOptions(), folder)
    colours.image(tmp_path / "photos" / "b.png", "blue")
    with pytest.raises(UserError, match=r"calibration is photos: 1 images.* there and photos: 2"):
        prepare(wanted, folder)
