import json
from pathlib import Path

import pytest
from helpers.trainings import done, epoch, stored, training, trainings

from attnbench.errors import UserError
from attnbench.records.trainings import store
from attnbench.records.trainings.schema import Entry, Fault, Trainings

RIGHTS = {"plain": [300, 310], "control": [301, 305], "sa": [320, 322]}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    stored(tmp_path, RIGHTS)
    known, read = trainings(RIGHTS), store.read(tmp_path)
    assert read.training == known.training
    assert read.epochs == known.epochs
    assert store.in_folder(tmp_path.parent)[tmp_path].epochs == known.epochs
    assert store.read(tmp_path / "none") is None


def test_a_line_has_only_facts_that_changed(tmp_path: Path) -> None:
    plan = training()
    store.begin(tmp_path, plan)
    facts = {**plan.environment, "time": "2026-01-02T03:04:05+00:00"}
    line = Entry(variant="plain", seed=0, epoch=epoch(1, 300), environment=facts)
    store.append(tmp_path, line, plan)
    last = json.loads((tmp_path / store.FILE_NAME).read_text().splitlines()[1])
    assert last["environment"] == {"time": "2026-01-02T03:04:05+00:00"}
    assert "error" not in last


def test_a_line_that_was_cut_off_is_no_line(tmp_path: Path) -> None:
    stored(tmp_path, RIGHTS)
    path = tmp_path / store.FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert len(store.read(tmp_path).epochs["sa", 1]) == 1
    store.repair(tmp_path)
    assert path.read_bytes() == whole[: whole[:-1].rindex(b"\n") + 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"variant": "sa", "seed": 0, "epoch": {"number": 2}}, "epoch 2 of sa after 0"),
        ({"variant": "se", "seed": 0, "epoch": {}}, "se with seed 0 is not asked for"),
        ({"variant": "sa", "seed": 7, "epoch": {}}, "sa with seed 7 is not asked for"),
        ({"variant": "sa", "seed": 0, "epoch": {"right": {}}}, "epoch 1 of sa has no top1"),
        ({"variant": "sa", "seed": 0, "epoch": {"right": {"top1": 401}}}, "more images are right"),
        ({"variant": "sa", "seed": 0, "epoch": {"answers": "ff"}}, "answers have 100 digits"),
        ({"variant": "sa", "seed": 0, "epoch": {"answers": "x"}}, "epoch.answers"),
        ({"variant": "sa", "seed": 0, "epoch": {"loss": None}}, "epoch.loss"),
        ({"variant": "sa", "seed": 0, "epoch": {"figures": {"ap": 1.5}}}, "epoch.figures.ap"),
        ({"variant": "sa", "seed": 0, "epoch": {"figures": {"ap": -1.0}}}, "epoch.figures.ap"),
        ({"variant": "sa", "epoch": {}}, "of one variant and seed"),
        ({"variant": "sa", "seed": 0}, "holds an epoch, an error or seeds"),
        ({"seeds": [1, 2]}, "seeds are added behind"),
        ({"seeds": [0, 1, 2], "variant": "sa", "seed": 0}, "of one variant and seed"),
        ({"variant": "sa", "seed": 0, "error": {"kind": "bad", "message": ""}}, "error.kind"),
    ],
)
def test_a_line_that_cannot_be_is_named(
    tmp_path: Path, line: dict[str, object], message: str
) -> None:
    store.begin(tmp_path, training(seeds=2))
    if isinstance(change := line.get("epoch"), dict):
        known = {"number": 1, "seconds": 1.0, "learning_rate": 0.1, "loss": 0.5}
        line = {**line, "epoch": {**known, "right": {"top1": 300}, **change}}
    with (tmp_path / store.FILE_NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=rf"line 2: .*{message}"):
        store.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": ("control", "plain")}, "variants are plain, its control"),
        ({"variants": ("plain", "control", "sa", "sa")}, "variants are plain"),
        ({"variants": ("plain", "control", "copy")}, "no module can have the name 'copy'"),
        ({"variants": ("plain", "control", "wider")}, "width is stated where"),
        ({"last": 3}, "last is at most the number of epochs"),
        ({"host": ""}, "host"),
    ],
)
def test_a_first_line_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training(**change)


def test_a_fault_is_forgotten_when_training_goes_on() -> None:
    plan = training(seeds=1)
    fault = Entry(variant="sa", seed=0, error=Fault(kind="disk", message="full"))
    known = Trainings(plan, [fault])
    assert not known.faults["sa", 0].final
    known.add(Entry(variant="sa", seed=0, epoch=epoch(1, 300)))
    assert not known.faults
    assert Fault(kind="loss", message="none").final


def test_seeds_that_are_added_are_asked_for() -> None:
    plan = training(seeds=1)
    known = Trainings(plan, done(plan, {"plain": [300]}))
    known.add(Entry(seeds=(0, 1)))
    known.add(Entry(variant="sa", seed=1, epoch=epoch(1, 300)))
    assert known.seeds == (0, 1)
