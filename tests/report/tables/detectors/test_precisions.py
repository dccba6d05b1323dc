from dataclasses import replace

from helpers import coco

from attnbench.report.tables.detectors import precisions as tables


def test_a_table_is_of_one_set_of_images() -> None:
    one, other = coco.record(), coco.record(module=None)
    elsewhere = replace(one, data=replace(one.data, sha256="c" * 64, name="mine"))
    made = tables.tables([one, elsewhere, other])
    assert [table.caption for table in made] == [
        "Average precision (%) on val2017, 5,000 images",
        "Average precision (%) on mine, 5,000 images",
    ]
    rows = made[0].rows
    assert [row[:4] for row in rows if not row[0].startswith("printed")] == [
        (f"{name} in maskrcnn_resnet50_fpn", kind, "38.0", "38.0")
        for name in ("ECA", "plain")
        for kind in ("box", "mask")
    ]
    assert len(made[0].definitions) == len(made[0].headings) == len(rows[0])


def test_the_command_repeats_it() -> None:
    assert tables.command(coco.record()) == (
        "attnbench evaluate --host maskrcnn_resnet50_fpn --module eca --weights w --data val2017 "
        "--annotations instances_val2017.json --image-size 800 --device cpu --threads 1"
    )
