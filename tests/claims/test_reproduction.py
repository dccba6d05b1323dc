from dataclasses import replace

import pytest
from helpers.evaluations import evaluation

from attnbench.claims.reproduction import reproductions, unlike_published
from attnbench.records.evaluation import PUBLISHED_SIZE, Evaluation
from attnbench.stats.verdicts.explanations import REASONS


def verdicts(measured: Evaluation) -> dict[tuple[str, str], str | None]:
    return {
        (row.metric, row.claim.printed if row.claim else ""): row.verdict
        for row in reproductions([measured])
    }


@pytest.mark.parametrize(
    ("measured", "printed", "code"),
    [
        (evaluation(), "77.882", "reproduced"),
        # 93.586 to 94.007 by Wilson holds 93.892; from 93.992 on it does not.
        (evaluation(), "93.892", "agrees"),
        (evaluation(top5_right=47_100), "93.892", "differs"),
        (evaluation(images=49_999), "93.892", "orientation"),
        (evaluation(host="resnet18"), "", "unpublished"),
    ],
)
def test_the_code_of_a_verdict_is_explained(measured, printed, code):
    codes = {
        row.code
        for row in reproductions([measured])
        if (row.claim.printed if row.claim else "") == printed
    }
    assert codes == {code}
    assert code in REASONS


def test_a_figure_that_rounds_to_the_printed_digits_is_reproduced() -> None:
    assert verdicts(evaluation())["top1", "77.882"] == "reproduced"


def test_a_figure_that_does_not_is_so_many_points_off() -> None:
    # 46,900 of 50,000 are 93.800%, 0.092 below 93.892; Wilson gives 93.586 to 94.007.
    assert verdicts(evaluation())["top5", "93.892"] == "lower by 0.092, within"
    better = evaluation(top5_right=47_100)  # 94.200%, from 93.992
    assert verdicts(better)["top5", "93.892"] == "higher by 0.308, beyond"


def test_every_source_is_held_against_its_own_digits() -> None:
    plain = evaluation(module=None, top1_right=37_951)  # 75.902%
    by_metric = verdicts(plain)
    assert by_metric["top1", "75.90"] == "reproduced"  # DCANet prints two digits
    assert by_metric["top1", "76.384"] == "lower by 0.482, beyond"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"images": 49_999}, "49,999 images and 1,000 classes are not"),
        (
            {"classes": 10, "data": replace(evaluation().data, folders=10)},
            "50,000 images and 10 classes are not",
        ),
    ],
)
def test_another_set_has_no_verdict(changes: dict, why: str) -> None:
    measured = evaluation(**changes)
    assert why in str(unlike_published(measured))
    assert set(verdicts(measured).values()) == {"for orientation only"}


def test_another_crop_has_no_verdict() -> None:
    large = evaluation(preprocessing=replace(evaluation().preprocessing, crop=288))
    assert "a crop of 288x288 is not the published 224x224" in str(unlike_published(large))
    assert set(verdicts(large).values()) == {"for orientation only"}


def test_a_figure_of_another_size_stands_beside_evaluations_of_that_size() -> None:
    plain = evaluation(module=None)
    assert ("top1", "80.382") in verdicts(plain)  # timm's a1 at 224x224
    assert ("top1", "81.240") not in verdicts(plain)  # and at 288x288
    large = replace(plain, preprocessing=replace(plain.preprocessing, crop=288))
    assert verdicts(large)["top1", "81.240"] == "for orientation only"


def test_a_figure_that_its_source_replaced_stands_beside_none() -> None:
    assert ("top1", "77.75") not in verdicts(evaluation())


def test_the_published_measurement_is_the_usual_one() -> None:
    assert unlike_published(evaluation()) is None
    assert evaluation().preprocessing.crop == PUBLISHED_SIZE


def test_where_nothing_is_published_there_is_nothing_to_say() -> None:
    assert verdicts(evaluation(host="resnet18")) == {("top1", ""): None, ("top5", ""): None}
    # Of SA in ResNet-101 the authors print a top-1 and no top-5.
    assert verdicts(evaluation(host="resnet101"))["top5", ""] is None
