"""Options of one task that are stated for another, and what they become by default."""

from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.training.options import TrainOptions, checked
from attnbench.training.setup.requirements import task_name

MASK = "maskrcnn_resnet50_fpn"


@pytest.fixture
def coco(tmp_path: Path) -> str:
    for part in ("train", "val"):
        (tmp_path / f"{part}.json").touch()
        (tmp_path / part).mkdir()
    return str(tmp_path)


def test_a_hosts_task_chooses_the_recipe_and_the_size(coco: str) -> None:
    filled, recipe = checked(TrainOptions(data=coco, host="MaskRCNN_resnet50_fpn"), None)
    assert (filled.host, recipe.name, filled.image_size) == (MASK, "short-detector", 800)
    filled, recipe = checked(TrainOptions(data="digits", host="mobilenet_v2"), None)
    assert (filled.host, recipe.name, filled.image_size) == ("mobilenet_v2", "short", 32)
    filled, _ = checked(TrainOptions(data=coco, host="efficientnet_b1"), None)
    assert filled.image_size == 240
    assert task_name(MASK) == "detection"
    assert task_name("resnet50") == "classification"


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"host": "resnet50_backbone"}, "resnet50_backbone cannot be trained here"),
        ({"host": "fcn_resnet50"}, "fcn_resnet50 cannot be trained here"),
        ({"host": MASK, "recipe": "short"}, "recipe short is of classification, and maskrcnn"),
        ({"host": "resnet50", "recipe": "2x"}, "recipe 2x is of detection, and resnet50"),
        ({"host": MASK, "recipe": "1x"}, "--backbone FILE states the weights, or --set frozen"),
        ({"host": MASK, "capacity_control": True}, "--capacity-control goes with classifiers"),
        ({"host": MASK, "data": "digits"}, "digits have no boxes"),
        ({"host": "resnet18", "backbones": ("w.pth",)}, "--backbone goes with a detector"),
        ({"host": "vgg11", "capacity_control": True}, "--capacity-control widens these hosts"),
        ({"host": MASK, "backbones": ("w.pth",)}, r"--backbone 'w\.pth': no such file"),
        ({"host": MASK, "changes": ("crop_least=0.5",)}, "detectors are trained on whole images"),
        ({"host": "resnet18", "changes": ("frozen=true",)}, "norms and frozen are of detectors"),
    ],
)
def test_what_does_not_go_together_is_refused(
    coco: str, stated: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        checked(TrainOptions(**{"data": coco} | stated), None)  # type: ignore[arg-type]


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown host 'resnet5'"):
        checked(TrainOptions(data="digits", host="resnet5"), None)


def test_a_papers_recipe_runs_without_weights_where_that_is_said(coco: str) -> None:
    changes = ("frozen=false", "norms=trained")
    _, recipe = checked(TrainOptions(data=coco, host=MASK, recipe="1x", changes=changes), None)
    assert recipe.changed == ("frozen", "norms")
