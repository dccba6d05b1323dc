"""A detector of a few channels through the engine: pairs, resume, norms, weights from a file."""

from pathlib import Path

import pytest
import torch
from helpers import small_detection
from helpers.small_training import Log, same, weights

from attnbench.detection.networks import detector
from attnbench.errors import UserError
from attnbench.hosts.detection import body
from attnbench.records.trainings import store
from attnbench.records.trainings.schema import Trainings
from attnbench.training import draws, planning, recipes, runner
from attnbench.training.detection.task import Detection
from attnbench.training.options import TrainOptions

MASK = "maskrcnn_resnet50_fpn"
CHANGES = ("epochs=2", "milestones=1", "batch_size=2", "warm_up_steps=1", "learning_rate=0.001")


def run(
    folder: Path,
    log: Log | None = None,
    recipe: str = "short-detector",
    changes: tuple[str, ...] = CHANGES,
    **stated: object,
) -> Trainings:
    known: dict[str, object] = {
        "data": "set",
        "modules": ("eca",),
        "host": MASK,
        "seeds": 1,
        "seed": 0,
        "last": 1,
        "image_size": 64,
        "stages": (1, 2, 3, 4),
        "blocks": "all",
        "amp": "float32",
        "device": "cpu",
        "threads": 1,
        "deterministic": True,
        "save_minutes": 10.0,
    }
    options = TrainOptions(**known | stated)  # type: ignore[arg-type]
    return runner.run(options, recipes.recipe(recipe, changes), folder, log or Log()).trainings


def figures(trainings: Trainings) -> list[object]:
    return [
        (key, e.number, e.loss, dict(e.figures))
        for key, epochs in trainings.epochs.items()
        for e in epochs
    ]


def test_a_detector_is_trained_and_resumed_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_detection.use(monkeypatch, tmp_path)
    whole = run(tmp_path / "whole")
    assert list(whole.epochs) == [("plain", 0), ("control", 0), ("eca", 0)]
    assert (whole.training.task, whole.training.metric) == ("detection", "box_ap")
    epoch = whole.epochs["eca", 0][1]
    assert {"box_ap", "box_ap50", "mask_ap", "mask_ap75", "mask_ap_small"} <= {*epoch.figures}
    # Objects of 20x20 and 40x40 pixels: there are no large ones.
    assert "box_ap_large" not in epoch.figures
    assert epoch.answers is None
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run(stopped, Log(stop_after=1))
    assert figures(run(stopped)) == figures(whole) == figures(store.read(stopped))
    for variant in ("plain", "control", "eca"):
        assert same(weights(stopped, variant), weights(tmp_path / "whole", variant))
    assert not same(weights(stopped, "plain"), weights(stopped, "control"))


def test_variants_of_a_seed_begin_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's weights and those of all heads, and whether an image is mirrored."""
    small_detection.use(monkeypatch, tmp_path)
    options = TrainOptions(data="set", host=MASK)
    task = planning.task_of(options, recipes.recipe("short-detector", ("flip=0.5",)))
    assert isinstance(task, Detection)
    begun = {}
    for variant in ("plain", "eca"):
        torch.manual_seed(3)
        begun[variant] = Detection.network(task, variant).state_dict()
    assert len(begun["eca"]) > len(begun["plain"])
    assert all(torch.equal(begun["eca"][name], value) for name, value in begun["plain"].items())
    mirrored = set()
    for seed in range(8):
        with draws.drawing(seed):
            pixels, target = task.training_sample(0)
        left = [int(box[0]) for box in target["boxes"]]
        # Boxes of 20 and 40 pixels from 10 and 50 of 96.
        assert left in ([10, 50], [66, 6])
        assert bool(target["masks"][0][:, left[0]].any())
        assert bool(pixels[:, :, left[0]].any())
        mirrored.add(left[0])
    assert mirrored == {10, 66}


def test_mixed_precision_trains_a_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_detection.use(monkeypatch, tmp_path)
    host = "fasterrcnn_resnet50_fpn"
    trainings = run(tmp_path / "out", amp="bfloat16", channels_last=True, host=host)
    assert trainings.finished("eca", 0)
    assert {value.dtype for value in weights(tmp_path / "out", "eca").values()} == {
        torch.float32,
        torch.int64,
    }


def test_a_broken_image_is_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_detection.use(monkeypatch, tmp_path)
    (tmp_path / "one" / "images" / "2.png").write_bytes(b"nothing")
    trainings = run(tmp_path / "out")
    assert {fault.kind for fault in trainings.faults.values()} == {"data"}
    assert "2.png cannot be read as an image" in trainings.faults["eca", 0].message


def test_a_loss_that_is_no_number_is_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_detection.use(monkeypatch, tmp_path)
    changes = ("epochs=4", "milestones=3", "batch_size=2", "warm_up_steps=0", "clip_norm=none")
    changes += ("learning_rate=1000", "weight_decay=1")
    trainings = run(tmp_path / "out", changes=changes)
    assert {fault.kind for fault in trainings.faults.values()} == {"loss"}
    assert set(trainings.faults) == {("plain", 0), ("control", 0), ("eca", 0)}


def test_pretrained_weights_stay_where_the_recipe_fixes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_detection.use(monkeypatch, tmp_path)
    torch.manual_seed(7)
    plain = body(detector(MASK, None, 2))
    file = tmp_path / "plain.pth"
    torch.save(plain.state_dict(), file)
    given = {"backbones": (str(file),), "recipe": "1x"}
    trainings = run(tmp_path / "out", **given)
    (name,) = trainings.training.pretrained
    assert (name, trainings.training.pretrained[name].name) == ("plain", "plain.pth")
    known = plain.state_dict()
    for variant in ("plain", "control", "eca"):
        trained = weights(tmp_path / "out", variant)
        for key, value in known.items():
            mine = trained[f"backbone.body.{key}"]
            fixed = key.startswith(("conv1", "bn1", "layer1")) or "running" in key
            assert torch.equal(mine, value) == (fixed or "batches" in key), key
    # Without the file it is another training.
    with pytest.raises(UserError, match=r"begun otherwise: pretrained was plain plain\.pth"):
        run(tmp_path / "out", **given | {"backbones": ()})


def test_weights_that_do_not_fit_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_detection.use(monkeypatch, tmp_path)
    file = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, file)
    with pytest.raises(UserError, match=r"other\.pth: backbone: .*missing.*bn1"):
        run(tmp_path / "out", backbones=(str(file),))
    assert not store.exist(tmp_path / "out")
