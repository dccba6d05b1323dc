import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import colours, one_block

from attnbench.accuracy.checkpoints import to_authors_state_dict
from attnbench.accuracy.evaluate import (
    MOST_WORKERS,
    EvaluationOptions,
    evaluate,
    prepare,
    record_folder,
)
from attnbench.errors import UserError
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, SettingsError
from attnbench.records.evaluation import Evaluation
from attnbench.system import process_settings

pytestmark = pytest.mark.usefixtures("small_host")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the network of colours, which no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        one_block.use(patch)
        return colours.weights(tmp_path_factory.mktemp("weights") / "colours.pth")


@pytest.fixture
def wanted(tmp_path: Path, weights: Path):
    """Options for the network of colours, with whatever a test changes."""
    data = colours.folder(tmp_path / "val")

    def options(**changes) -> EvaluationOptions:
        stated = {"weights": weights, "data": data, "device": "cpu", "threads": 1}
        return EvaluationOptions(
            **stated | {"image_size": int(colours.SIZE), "batch_size": 4} | changes
        )

    return options


def quiet(what: str, done: int) -> None:
    """Show no progress."""


def evaluated(wanted: EvaluationOptions) -> Evaluation:
    return evaluate(prepare(wanted), quiet)


def test_the_known_answers_are_counted(wanted) -> None:
    result = evaluated(wanted())
    assert (result.images, result.classes) == (9, colours.CLASSES)
    assert (result.top1_right, result.top1_tied, result.top5_right) == (4, 0, 7)


@pytest.mark.parametrize("batch_size", [1, 9, 100])
def test_the_batch_changes_nothing(wanted, batch_size: int) -> None:
    result = evaluated(wanted(batch_size=batch_size))
    assert (result.top1_right, result.top5_right) == (4, 7)


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}, {"channels_last": True}])
def test_other_arithmetic_is_used_and_recorded(wanted, changes: dict) -> None:
    result = evaluated(wanted(**changes))
    assert (result.top1_right, result.top5_right) == (4, 7)
    assert {key: getattr(result, key) for key in changes} == changes


# Where threads run, newer Pythons warn of the fork by which torch starts its workers.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_images_may_be_read_by_other_processes(wanted) -> None:
    result = evaluated(wanted(workers=1))
    assert (result.top1_right, result.top5_right) == (4, 7)


def test_sorted_names_are_the_classes_where_there_are_as_many(wanted, tmp_path: Path) -> None:
    for number, name in enumerate("abcdefgh"):
        colours.image(tmp_path / "named" / name / "1.png", list(colours.COLOURS)[number % 3])
    result = evaluated(wanted(data=tmp_path / "named"))
    # a, b and c are 0, 1 and 2; the colours of d and e are others, and these are 3 and 4.
    assert (result.data.order, result.images) == ("sorted", 8)
    assert (result.top1_right, result.top5_right) == (3, 5)


def test_the_record_says_what_was_evaluated_and_how(wanted) -> None:
    asked = wanted()
    result = evaluated(asked)
    assert (result.host, result.module) == ("resnet50", None)
    assert result.weights.name == "colours.pth"
    assert result.weights.sha256 == hashlib.sha256(asked.weights.read_bytes()).hexdigest()
    assert (result.data.name, result.data.folders, result.data.order) == ("val", 7, "numbers")
    assert (result.preprocessing.resize, result.preprocessing.crop) == (37, 32)
    assert (result.device, result.threads, result.batch_size) == ("cpu", 1, 4)
    assert {"torch", "torchvision", "pillow", "libjpeg", "cpu"} <= set(result.environment)
    assert not set(process_settings.OF_TIMING) & set(result.environment)


def test_the_part_of_the_weights_is_chosen_and_recorded(wanted, tmp_path: Path) -> None:
    state = colours.network().state_dict()
    inside = {f"student.{name}": value for name, value in state.items()} | {"head": torch.ones(1)}
    others = {name: torch.zeros_like(value) for name, value in state.items()}
    torch.save({"ema": inside, "state_dict": others, "model": others}, tmp_path / "several.pth")
    several = wanted(weights=tmp_path / "several.pth")
    result = evaluated(replace(several, key="ema", prefix="student."))
    assert (result.top1_right, result.top5_right) == (4, 7)
    assert (result.weights.key, result.weights.prefix) == ("ema", "student.")
    assert result.weights.part == "(key ema, prefix student.)"
    # Which of two is taken by itself is said too.
    assert prepare(several).weights.key == "state_dict"
    assert "several.pth (key state_dict); 9 images" in prepare(several).described
    with pytest.raises(UserError, match=r"several.pth: unknown key of weights 'emma' \(did you me"):
        prepare(replace(several, key="emma"))


def test_names_and_paths_may_be_written_otherwise(wanted) -> None:
    asked = wanted()
    words = {"host": "ResNet50", "dtype": "BF16"}
    result = evaluated(replace(asked, weights=str(asked.weights), data=str(asked.data), **words))
    assert (result.host, result.dtype, result.top1_right) == ("resnet50", "bfloat16", 4)


def test_everybody_is_told_how_far_it_is(wanted) -> None:
    steps_seen = []
    evaluate(prepare(wanted()), lambda what, done: steps_seen.append((what, done)))
    steps = [0, 4, 8, 9]
    assert steps_seen == [(what, done) for what in ("reading", "evaluating") for done in steps]


@pytest.mark.parametrize("module", ATTENTION)
def test_weights_of_every_module_are_evaluated(wanted, tmp_path: Path, module: str) -> None:
    network = build("resnet50", module, classes=colours.CLASSES)
    with torch.no_grad():
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.arange(float(colours.CLASSES)).flip(0))
    torch.save({"state_dict": to_authors_state_dict(network)}, tmp_path / "module.pth")
    result = evaluated(wanted(weights=tmp_path / "module.pth", module=module, image_size=64))
    # The answer is always 0, then 1, 2, 3, 4: two images are of 0, two of 5 and 7.
    assert (result.module, result.top1_right, result.top5_right) == (module, 2, 7)


MINE = """
import torch
from torch import nn


class Mine(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return {returned}
"""


def test_a_module_of_ones_own_is_evaluated_and_its_code_recorded(
    wanted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.py"
    loud = MINE.replace("super().__init__()", "super().__init__(); print('built')")
    path.write_text("print('loaded')\n" + loud.format(returned="self.scale * x"))
    name = f"{path}:Mine"
    state = build("resnet50", name, classes=colours.CLASSES).state_dict()
    state |= colours.network().state_dict()
    torch.save(state, tmp_path / "mine.pth")
    capsys.readouterr()
    result = evaluated(wanted(weights=tmp_path / "mine.pth", module=name))
    assert capsys.readouterr().out == ""
    assert (result.module, result.top1_right) == (name, 4)
    assert result.source == f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_module_that_is_not_fit_is_refused(wanted, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE.format(returned="x[:, ::2]"))
    with pytest.raises(UserError, match=r"mine.py:Mine is refused: .* it returns the shape"):
        prepare(wanted(module=f"{tmp_path}/mine.py:Mine"))


@pytest.mark.parametrize("returned", ["x if len(x) == 1 else os._exit(0)", "exit(0)"])
def test_a_module_cannot_end_the_evaluation(wanted, tmp_path: Path, returned: str) -> None:
    (tmp_path / "mine.py").write_text("import os" + MINE.format(returned=returned))
    with pytest.raises(UserError, match=r"mine.py:Mine is refused: "):
        prepare(wanted(module=f"{tmp_path}/mine.py:Mine"))


def test_weights_of_another_module_are_refused(wanted) -> None:
    with pytest.raises(UserError, match=r"colours.pth: these weights do not fit.*missing.*sa"):
        prepare(wanted(module="sa"))


@pytest.mark.parametrize("kind", [torch.Tensor.to_sparse, lambda tensor: tensor.to("meta")])
def test_tensors_that_cannot_fill_a_network_are_refused(wanted, tmp_path: Path, kind) -> None:
    state = colours.network().state_dict()
    torch.save(state | {"fc.weight": kind(state["fc.weight"])}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=r"odd\.pth"):
        prepare(wanted(weights=tmp_path / "odd.pth"))


def test_weights_of_another_host_are_refused(wanted) -> None:
    with pytest.raises(UserError, match="do not fit the network"):
        prepare(wanted(host="resnet18"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"image_size": 31}, "image_size must be at least 32"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"weights": Path("missing.pth")}, "cannot read missing.pth"),
        ({"data": Path("missing")}, "cannot take images from missing"),
    ],
)
def test_options_that_cannot_be_are_refused(wanted, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepare(wanted(**changes))


def test_unknown_names_list_the_known(wanted) -> None:
    with pytest.raises(SettingsError, match=r"module 'sha' \(did you mean sa\?\); known: se, cbam"):
        prepare(wanted(module="sha"))
    with pytest.raises(SettingsError, match=r"classifier 'resnet' \(did you mean .*\?\); known"):
        prepare(wanted(host="resnet"))
    with pytest.raises(UserError, match="a detector is evaluated with --annotations FILE"):
        prepare(wanted(host="fasterrcnn_resnet50_fpn"))
    with pytest.raises(SettingsError, match="unknown classifier 'resnet50_backbone'"):
        prepare(wanted(host="resnet50_backbone"))


def test_cuda_without_a_device_is_refused(wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device is available"):
        prepare(wanted(device="cuda"))
    assert prepare(wanted(device=None)).device == "cpu"


def test_a_damaged_image_is_named_before_anything_is_computed(wanted) -> None:
    asked = wanted()
    prepared = prepare(asked)
    path = asked.data / "5" / "7.png"
    path.write_bytes(path.read_bytes()[:60])
    steps_seen = []
    with pytest.raises(UserError, match=rf"{path} cannot be read as an image"):
        evaluate(prepared, lambda what, _: steps_seen.append(what))
    assert set(steps_seen) == {"reading"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_answers_that_are_no_numbers_are_an_error(wanted, tmp_path: Path, value: float) -> None:
    state = colours.network().state_dict()
    state["fc.bias"][2] = value
    torch.save(state, tmp_path / "damaged.pth")
    with pytest.raises(UserError, match=r"damaged.pth gives logits that are not finite.*float32"):
        evaluated(wanted(weights=tmp_path / "damaged.pth"))


def test_what_torch_cannot_do_is_one_line(wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate everything")

    prepared = prepare(wanted())
    monkeypatch.setattr(prepared.network, "forward", fail)
    with pytest.raises(UserError, match=r"^the evaluation failed: CUDA out of memory"):
        evaluate(prepared, quiet)


# Where threads run, newer Pythons warn of the fork by which torch starts its workers.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_changes_meanwhile_is_one_line(wanted, workers: int) -> None:
    asked = wanted(workers=workers)
    prepared = prepare(asked)

    def spoil(what: str, done: int) -> None:
        if (what, done) == ("reading", 9):
            (asked.data / "5" / "7.png").write_text("no image")

    with pytest.raises(UserError, match=r"^the evaluation failed: .*cannot identify image file"):
        evaluate(prepared, spoil)


def test_without_out_a_new_folder_says_what_is_in_it(
    wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(wanted())
    monkeypatch.chdir(tmp_path)
    with record_folder(prepared, None) as folder:
        assert folder.match("reports/*-cpu-resnet50-accuracy")
        assert folder.is_dir()


def test_a_folder_of_other_things_is_refused(wanted, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").touch()
    with (
        pytest.raises(UserError, match="holds other files, no run and no evaluations"),
        record_folder(prepare(wanted()), tmp_path / "a"),
    ):
        pass
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_written_to_is_refused(wanted, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="cannot write to"),
        record_folder(prepare(wanted()), tmp_path / "file" / "a"),
    ):
        pass


def test_on_a_gpu_images_are_read_by_several_processes(
    wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    assert prepare(wanted(device=None)).workers == MOST_WORKERS
    assert prepare(wanted()).workers == 0
