from dataclasses import replace

import pytest

from attnbench.claims.claim import catalogue, select
from attnbench.claims.published import copies

COPIED = [claim for claim in catalogue() if claim.copy_of]


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know which detectors have masks without building them, which takes seconds."""
    monkeypatch.setattr(copies, "has_masks", lambda host: host.startswith("maskrcnn"))


def test_retinanet_has_no_masks_and_mask_r_cnn_has() -> None:
    assert not copies.has_masks("retinanet_resnet50_fpn")
    assert copies.has_masks("maskrcnn_resnet50_fpn")


@pytest.mark.usefixtures("networks")
def test_the_six_masks_of_retinanet_are_contradicted() -> None:
    outcomes = copies.check(COPIED)
    assert len(outcomes) == 6
    assert {(one.verdict, one.holds) for one in outcomes} == {("contradicted", True)}
    assert outcomes[0].computed_text == "no masks; eca-coco-maskrcnn50-mask-ap is 35.6"
    assert set(select("eca-coco-*")) == set(COPIED)


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("changes", [{"printed": "35.7"}, {"host": "maskrcnn_resnet50_fpn"}])
def test_a_figure_of_its_own_or_of_masks_turns_the_check_red(changes: dict[str, str]) -> None:
    (outcome,) = copies.check([replace(COPIED[0], **changes)])
    assert (outcome.verdict, outcome.holds) == ("not refuted", False)
