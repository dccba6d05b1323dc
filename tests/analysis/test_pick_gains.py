"""``pick`` orders by gains that were measured in the same networks."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import coco, trainings
from helpers.command_line import call

from attnbench.analysis.pick import Limits, pick
from attnbench.cli.answers.pick import GAIN, PRECISION, sentences, with_gains
from attnbench.records import precision

RIGHTS = {
    "plain": [300, 300, 301],
    "control": [301, 299, 301],
    "se": [280, 281, 280],
    "sa": [340, 341, 340],
}


def test_the_greatest_gain_stands_first(stored, tmp_path: Path) -> None:
    folder = stored(se=1.01, sa=1.05, gc=1.02)
    trainings.stored(tmp_path / "run" / "trained", RIGHTS)
    assert folder == tmp_path / "run"
    choice = pick(folder, Limits(overhead=0.2))
    assert [candidate.module for candidate in choice.candidates] == ["sa", "se", "gc"]
    text = " ".join(sentences(choice))
    assert "Gains were measured: resnet50, trained on images" in text
    assert "Helps: sa. Harms: se. Not trained: gc." in text
    headings, rows = with_gains(choice)
    # 40, 41 and 39 images of 400 more: 4.303 / sqrt(3) images about 40.
    assert rows[0][headings.index(GAIN)] == "+10.00 [+9.38, +10.62]"
    assert rows[2][headings.index(GAIN)] == "–"
    # Another host's, or of other places: published figures, if any, as before.
    for others in ({"host": "resnet101"}, {"stages": (3, 4)}, {"blocks": "last"}):
        elsewhere = stored(f"other-{others}", se=1.01, sa=1.05)
        trainings.stored(elsewhere, RIGHTS, **others)
        assert pick(elsewhere, Limits(overhead=0.2)).trained is None


def test_a_control_that_fails_gives_no_order(stored) -> None:
    folder = stored(se=1.01, sa=1.05)
    trainings.stored(folder, RIGHTS | {"control": [340, 341, 340]})
    choice = pick(folder, Limits(overhead=0.2))
    assert [candidate.module for candidate in choice.candidates] == ["se", "sa"]
    assert any("gains were measured, and do not give the order" in r for r in choice.remarks)


def test_it_is_shown(stored, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored(se=1.01, sa=1.05)
    trainings.stored(folder, RIGHTS)
    assert call("pick", str(folder), "--max-overhead", "20%") == 0
    assert GAIN in " ".join(capsys.readouterr().out.split())


def test_modules_that_stand_elsewhere_are_other_networks(stored) -> None:
    folder = stored(se=1.01, sa=1.05)
    trainings.stored(folder, RIGHTS, at="layer2.*")
    assert pick(folder, Limits(overhead=0.2)).trained is None


def test_evaluated_precisions_are_shown(stored) -> None:
    folder = stored(se=1.01, sa=1.05)
    host = pick(folder, Limits(overhead=0.2)).configuration.partition(",")[0]
    of_host = coco.record(host=host, module="sa")
    for known in (coco.record(), coco.record(host=host, module=None), of_host):
        precision.append(folder, known)
    choice = pick(folder, Limits(overhead=0.2))
    assert {known.module: known.box_ap for known in choice.candidates} == {
        "se": None,
        "sa": 0.3801,
    }
    headings, rows = with_gains(choice)
    shown = {row[0]: row[headings.index(PRECISION)] for row in rows}
    assert shown == {"se": "–", "sa": "38.0"}
    # Those of other images are not beside these.
    other = coco.record(host=host, module="se")
    precision.append(folder, replace(other, data=replace(other.data, sha256="c" * 64)))
    choice = pick(folder, Limits(overhead=0.2))
    assert {known.module: known.box_ap for known in choice.candidates}["sa"] is None
    assert any("precisions on other images" in remark for remark in choice.remarks)
