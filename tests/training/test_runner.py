"""Trainings on a task of a few pixels: pairs, kills, stops and faults."""

import json
import os
import signal
from pathlib import Path
from random import Random

import pytest
import torch
from helpers import small_training
from helpers.small_training import Log, Squares, figures, same, train, weights
from torch.utils.data import get_worker_info

from attnbench.accuracy.checkpoints import classes_of, read_weights
from attnbench.errors import UserError
from attnbench.records.trainings import store
from attnbench.records.trainings.schema import Epoch, Fault
from attnbench.report.tables.trainings.gains import notes
from attnbench.stats.gains import Gains
from attnbench.system import environment, worker
from attnbench.training import checkpoints, draws, loading, runner


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_training.use(monkeypatch)


@pytest.mark.usefixtures("small")
def test_each_network_is_trained_and_recorded(tmp_path: Path) -> None:
    log = Log()
    trainings = train(tmp_path, log, seeds=2, last=2)
    assert list(trainings.epochs) == [
        (variant, seed) for seed in (0, 1) for variant in ("plain", "control", "eca")
    ]
    assert [epoch.number for epoch in trainings.epochs["eca", 1]] == [1, 2, 3]
    assert figures(store.read(tmp_path)) == figures(trainings)
    assert len(log.epochs) == 2 * 3 * 3
    # 20 images in batches of 8: two steps, and a rest of 4.
    assert log.steps == 2 * 3 * 3 * 3
    # Of the 11 test images the bits stand in two bytes, for the last two epochs alone.
    bits = [epoch.answers for epoch in trainings.epochs["plain", 0]]
    assert bits[0] is None
    for epoch in trainings.epochs["plain", 0][1:]:
        assert len(epoch.answers or "") == 4
        assert bin(int(epoch.answers or "", 16)).count("1") == epoch.right["top1"]
    # It learns three colours.
    assert trainings.figure("plain", 0) > 0.6
    # What is left of each is its weights, as `evaluate` takes them.
    stored = read_weights(checkpoints.path_of(tmp_path, "eca", 1))
    assert classes_of(stored) == 3
    assert set(stored) == {"state_dict", "progress"}


@pytest.mark.usefixtures("small")
def test_a_seed_is_the_same_again_and_another_is_not(tmp_path: Path) -> None:
    trainings = train(tmp_path / "one")
    assert figures(train(tmp_path / "two")) == figures(trainings)
    for variant in ("plain", "control", "eca"):
        assert same(weights(tmp_path / "one", variant), weights(tmp_path / "two", variant))
    # The control draws from a seed of its own.
    assert not same(weights(tmp_path / "one", "plain"), weights(tmp_path / "one", "control"))


@pytest.mark.usefixtures("small")
def test_other_processes_that_read_images_change_nothing(tmp_path: Path) -> None:
    changes = ("epochs=1", "batch_size=8")
    alone = train(tmp_path / "alone", None, changes)
    assert figures(train(tmp_path / "with", None, changes, workers=2)) == figures(alone)


def test_processes_that_read_images_outlive_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal to the whole group ends a training by its checkpoint, not by a fault of readers."""
    reading = Squares.training

    def signalled(self, index):
        assert get_worker_info() is not None
        for name in loading.ENDING:
            os.kill(os.getpid(), getattr(signal, name))
        return reading(self, index)

    monkeypatch.setattr(Squares, "training", signalled)
    small_training.use(monkeypatch)
    trainings = train(tmp_path, None, ("epochs=1", "batch_size=8"), workers=1)
    assert not trainings.faults
    assert trainings.finished("eca", 0)


def test_variants_of_a_seed_draw_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The host's weights, the order of the images and their augmentation."""
    small_training.use(monkeypatch)
    seen: dict[str, list[torch.Tensor]] = {}
    begun: dict[str, dict[str, torch.Tensor]] = {}
    loss = small_training.SmallTask.loss

    def watched(self, network, batch, place):
        variant = current[-1]
        begun.setdefault(variant, {k: v.clone() for k, v in network.state_dict().items()})
        seen.setdefault(variant, []).append(batch[0])
        return loss(self, network, batch, place)

    current: list[str] = []
    network = small_training.SmallTask.network  # which the runner calls with a variant
    monkeypatch.setattr(small_training.SmallTask, "loss", watched)
    monkeypatch.setattr(
        small_training.SmallTask,
        "network",
        lambda self, variant: current.append(variant) or network(self, variant),
    )
    train(tmp_path, modules=("eca",))
    # The trial of the module, and then 3 epochs of 3 steps.
    assert all(map(torch.equal, seen["plain"], seen["eca"][-9:]))
    assert not all(map(torch.equal, seen["plain"], seen["control"]))
    torch.manual_seed(draws.mixed(0, "weights"))
    drawn = small_training.Net("eca").state_dict()
    assert all(torch.equal(value, drawn[key]) for key, value in begun["plain"].items())


@pytest.mark.usefixtures("small")
def test_killed_ten_times_it_ends_in_the_same_weights(tmp_path: Path) -> None:
    """By SIGKILL, with all of its processes; four times while it writes a checkpoint."""
    undisturbed = train(tmp_path / "whole")
    killed, random = tmp_path / "killed", Random(0)
    for kill in range(10):
        writing = kill % 3 == 0
        ticks = random.randint(1, 3 if writing else 12)
        with pytest.raises(worker.ChildDiedError, match="SIGKILL"):
            worker.call(small_training.killed_at, ticks, writing, str(killed))
        unfinished = [*(killed / "checkpoints").glob(".*.pth.*")]
        assert len(unfinished) == writing  # it was killed there, and an earlier one's is removed
    resumed = train(killed)
    assert figures(resumed) == figures(undisturbed) == figures(store.read(killed))
    for variant in ("plain", "control", "eca"):
        assert same(weights(killed, variant), weights(tmp_path / "whole", variant))
    assert {path.suffix for path in (killed / "checkpoints").iterdir()} == {".pth"}


@pytest.mark.usefixtures("small")
def test_a_signal_writes_a_checkpoint_within_the_epoch(tmp_path: Path) -> None:
    undisturbed = train(tmp_path / "whole")
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(stopped, Log(stop_after=5))  # the second step of the second epoch is done
    stored = checkpoints.read(checkpoints.path_of(stopped, "plain", 0))
    assert stored is not None
    assert (len(stored[1].epochs), stored[1].step) == (1, 2)
    log = Log()
    assert figures(train(stopped, log)) == figures(undisturbed)
    assert log.steps == 3 * 3 * 3 - 5
    assert same(weights(stopped, "eca"), weights(tmp_path / "whole", "eca"))
    log = Log()
    train(stopped, log)  # nothing is left to do
    assert log.steps == 0


@pytest.mark.usefixtures("small")
def test_another_machine_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Log(stop_after=5))
    describe = environment.describe
    monkeypatch.setattr(environment, "describe", lambda device: describe(device) | {"cpu": "B"})
    trainings = train(tmp_path)
    first, second = trainings.machines
    assert second.startswith("B, torch ")
    assert store.read(tmp_path).machines == [first, second]
    text = " ".join(notes(Gains(trainings)))
    assert f"Not all epochs were trained on one machine and version: {first}; {second};" in text


@pytest.mark.usefixtures("small")
def test_more_seeds_may_be_asked_for_later(tmp_path: Path) -> None:
    train(tmp_path)
    log = Log()
    trainings = train(tmp_path, log, seeds=3)
    assert trainings.seeds == (0, 1, 2)
    assert log.steps == 2 * 3 * 3 * 3
    assert store.read(tmp_path).seeds == (0, 1, 2)
    # Fewer: those that there are stay.
    assert train(tmp_path, seeds=1).seeds == (0, 1, 2)
    with pytest.raises(UserError, match="has the seeds 0, 1, 2; more may follow"):
        train(tmp_path, seed=5)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("stated", "changes", "message"),
    [
        ({"amp": "bfloat16"}, (), "amp was float32 and is bfloat16"),
        ({"last": 2}, (), "last was 1 and is 2"),
        ({"modules": ("se",)}, (), "se was not among its modules"),
        ({}, ("momentum=0.5",), "recipe was short"),
    ],
)
def test_other_settings_need_another_folder(
    tmp_path: Path, stated: dict[str, object], changes: tuple[str, ...], message: str
) -> None:
    train(tmp_path)
    recipe = (*small_training.RECIPE, *changes)
    with pytest.raises(UserError, match=message):
        train(tmp_path, None, recipe, **stated)


def test_a_broken_image_fails_its_networks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The rest of an epoch is left out where it is one image: which one depends on the seed.
    small_training.use(monkeypatch, Squares(train=9, broken=(0,)))
    first = {seed: draws.order(seed, 0, 9)[8] for seed in range(40)}
    spared = next(seed for seed, index in first.items() if index == 0)
    changes = ("epochs=1", "batch_size=8")
    trainings = train(tmp_path, None, changes, seed=spared, seeds=2)
    fault = trainings.faults["plain", spared + 1]
    assert fault == Fault(kind="data", message="squares/0.png cannot be read as an image")
    assert trainings.finished("plain", spared)
    assert trainings.finished("eca", spared)
    # Once the image is there, the same call trains what is missing.
    small_training.use(monkeypatch, Squares(train=9))
    repaired = train(tmp_path, None, changes, seed=spared, seeds=2)
    assert not repaired.faults
    assert store.read(tmp_path).faults == {}


@pytest.mark.usefixtures("small")
def test_a_loss_that_is_no_number_is_final(tmp_path: Path) -> None:
    # Each step multiplies a weight by 1 - 1000, and float32 ends at 1e38.
    changes = ("epochs=5", "batch_size=8", "learning_rate=1000", "weight_decay=1")
    trainings = train(tmp_path, None, changes)
    assert {fault.kind for fault in trainings.faults.values()} == {"loss"}
    assert "finite number" in trainings.faults["plain", 0].message
    assert len(trainings.faults) == 3
    log = Log()
    train(tmp_path, log, changes)
    assert log.steps == 0  # it would end so again


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_a_record_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoints.write

    def full(path: Path, state: dict[str, object], progress: object) -> None:
        if path.name.startswith("control"):
            raise UserError(f"cannot write {path}: No space left on device")
        write(path, state, progress)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "write", full)
        trainings = train(tmp_path)
    assert trainings.faults["control", 0].kind == "disk"
    assert "No space left" in trainings.faults["control", 0].message
    assert trainings.finished("eca", 0)
    assert train(tmp_path).finished("control", 0)


@pytest.mark.usefixtures("small")
def test_a_stop_on_a_full_disk_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint of the network that is trained cannot be written; no other is begun."""

    def full(path: Path, *_: object) -> None:
        raise UserError(f"cannot write {path}: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "write", full)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, Log(stop_after=1))
    assert list(store.read(tmp_path).faults) == [("plain", 0)]
    assert train(tmp_path).finished("plain", 0)


def test_a_module_that_raises_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_training.use(monkeypatch)
    forward = small_training.Net.forward

    def raising(self, x):
        if isinstance(self.extra, torch.nn.Conv2d) and self.training and len(x) > 2:
            raise RuntimeError("no such shape")
        return forward(self, x)

    monkeypatch.setattr(small_training.Net, "forward", raising)
    trainings = train(tmp_path)
    assert trainings.faults["eca", 0] == Fault(kind="code", message="RuntimeError: no such shape")
    assert trainings.finished("plain", 0)


@pytest.mark.usefixtures("small")
def test_a_checkpoint_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Log(stop_after=5))
    path = checkpoints.path_of(tmp_path, "plain", 0)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"plain-seed0\.pth cannot be read as a checkpoint"):
        train(tmp_path)


@pytest.mark.usefixtures("small")
def test_mixed_precision_keeps_weights_in_float32(tmp_path: Path) -> None:
    trainings = train(tmp_path, amp="bfloat16", channels_last=True, modules=("eca",))
    assert {value.dtype for value in weights(tmp_path, "plain").values()} == {
        torch.float32,
        torch.int64,
    }
    assert trainings.finished("eca", 0)
    assert all(isinstance(result, Epoch) for _, _, result in _read(tmp_path))
    line = json.loads((tmp_path / store.FILE_NAME).read_text().splitlines()[0])
    assert (line["amp"], line["channels_last"]) == ("bfloat16", True)


def _read(folder: Path) -> list[tuple[str, int, Epoch]]:
    trainings = store.read(folder)
    assert trainings is not None
    return [(*key, epoch) for key, epochs in trainings.epochs.items() for epoch in epochs]


def test_runner_writes_a_folder_of_its_own_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_training.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    log = Log()
    trained = runner.run(
        small_training.options(),
        small_training.recipes.recipe("short", small_training.RECIPE),
        None,
        log,
    )
    assert trained.folder.name.endswith("-cpu-resnet18-training")
    assert store.exist(trained.folder)
