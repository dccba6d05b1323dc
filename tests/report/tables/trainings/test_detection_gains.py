"""Gains in box AP and in mask AP: a table each, from figures and not from counts."""

import pytest
from helpers.trainings import training

from attnbench.records.trainings.schema import Entry, Epoch, TrainingData, Trainings
from attnbench.report.formats import trainings as sections
from attnbench.report.tables.trainings import gains as tables
from attnbench.stats.gains import each_metric

DATA = TrainingData(
    name="coco",
    sha256="a" * 64,
    split="trained on a.json with a/, tested on b.json with b/",
    train_images=1000,
    test_images=400,
    classes=10,
    files={"annotations": "a.json", "val-data": "b", "val-annotations": "b.json"},
)

BOX = {"plain": (0.30, 0.31, 0.29), "control": (0.31, 0.30, 0.29), "sa": (0.34, 0.352, 0.328)}


def trained(masks: bool = True) -> Trainings:
    plan = training(task="detection", metric="box_ap", host="maskrcnn_resnet50_fpn", data=DATA)
    entries = []
    for variant, figures in BOX.items():
        for seed, box in enumerate(figures):
            for number in (1, 2):
                # Masks are 0.10 lower, and SA gains nothing there.
                less = 0.101 if (variant, seed) == ("plain", 0) else 0.10
                mask = {"mask_ap": BOX["plain"][seed] - less} if masks else {}
                epoch = Epoch(
                    number=number,
                    seconds=1.0,
                    learning_rate=0.1,
                    loss=0.5,
                    figures={"box_ap": box - 0.02 * (number == 1), **mask},
                )
                entries.append(Entry(variant=variant, seed=seed, epoch=epoch))
    return Trainings(plan, entries)


def test_each_metric_has_its_gains() -> None:
    box, mask = each_metric(trained())
    assert [gains.trainings.training.metric for gains in (box, mask)] == ["box_ap", "mask_ap"]
    gain = box.gain("sa")
    # 0.040, 0.042 and 0.038.
    assert gain.gain.median == pytest.approx(0.04)
    assert gain.verdict == "helps"
    assert gain.sampling is None
    assert mask.gain("sa").verdict == "no significant difference"
    assert len(each_metric(trained(masks=False))) == 1


def test_the_tables_say_of_what() -> None:
    box, mask = each_metric(trained())
    table = tables.table(box)
    assert table.caption.startswith("Gain in box AP over the plain host")
    (row,) = [row for row in table.rows if row[0] == "SA"]
    assert dict(zip(table.headings, row, strict=True))["box AP (%)"] == "34.00"
    assert "images with a shorter side of 32" in table.caption
    assert tables.table(mask).headings[1] == "mask AP (%)"
    text = " ".join(tables.notes(box))
    assert "the error of the test set itself is not known for an average precision" in text
    # What holds for both is said once.
    assert len(tables.notes(mask)) == 1
    assert tables.notes(mask)[0].startswith("By mask AP: the control holds")


def test_the_command_names_the_files() -> None:
    assert tables.command(trained()).startswith(
        "attnbench train --data coco --annotations a.json --val-data b --val-annotations b.json "
        "--host maskrcnn_resnet50_fpn --modules sa"
    )


def test_a_section_each() -> None:
    made = sections.sections(each_metric(trained()), {})
    assert [section.heading.rpartition("; ")[2] for section in made] == ["box AP", "mask AP"]
    files = sections.files(made)
    assert {"trainings.md", "trainings.tex", "gain-1.svg", "gain-2.svg"} <= set(files)
