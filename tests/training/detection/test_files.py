from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.training.detection.files import backbones, found


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


def test_cocos_own_layout_is_found(tmp_path: Path) -> None:
    parts = ("train2017/", "val2017/")
    stems = ("annotations/instances_train2017.json", "annotations/instances_val2017.json")
    files = found(str(make(tmp_path / "coco", *parts, *stems)), None, None, None)
    assert files.name == "coco"
    assert files.train_annotations.relative_to(tmp_path / "coco").as_posix() == stems[0]
    assert files.val_annotations.relative_to(tmp_path / "coco").as_posix() == stems[1]
    assert (files.train_images.name, files.val_images.name) == ("train2017", "val2017")
    assert files.options == {}


def test_files_can_be_stated_one_by_one(tmp_path: Path) -> None:
    make(tmp_path, "mine/", "other/", "a.json", "b.json")
    places = (tmp_path / "a.json", tmp_path / "other", tmp_path / "b.json")
    files = found(str(tmp_path / "mine"), *places)
    assert (files.train_images, files.val_images) == (tmp_path / "mine", tmp_path / "other")
    stated = {"annotations": "a.json", "val-data": "other", "val-annotations": "b.json"}
    assert files.options == stated
    with pytest.raises(UserError, match="--annotations needs --val-data, --val-annotations too"):
        found(str(tmp_path / "mine"), tmp_path / "a.json", None, None)
    with pytest.raises(UserError, match=r"cannot take annotations from .*c\.json: no such"):
        found(str(tmp_path / "mine"), tmp_path / "c.json", tmp_path / "other", tmp_path / "b.json")


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no annotations in a layout that is known .*train2017"):
        found(str(tmp_path), None, None, None)
    make(tmp_path, "train.json", "val.json", "train/")
    with pytest.raises(UserError, match=r"cannot take images from .*val: no such"):
        found(str(tmp_path), None, None, None)


def test_a_backbone_is_of_the_plain_host_or_of_a_module(tmp_path: Path) -> None:
    make(tmp_path, "plain.pth", "sa.pth", "se=2.pth")
    plain, sa = tmp_path / "plain.pth", tmp_path / "sa.pth"
    assert backbones([str(plain), f"sa={sa}"], ["sa", "se"]) == {"plain": plain, "sa": sa}
    # A name with a sign of equality is a name where no module is before it.
    assert backbones([str(tmp_path / "se=2.pth")], ["se"]) == {"plain": tmp_path / "se=2.pth"}
    with pytest.raises(UserError, match="there is a file for plain already"):
        backbones([str(plain), f"plain={plain}"], ["sa"])
    with pytest.raises(UserError, match="no such file; FILE is of the plain host, MODULE=FILE"):
        backbones([f"eca={sa}"], ["sa"])
