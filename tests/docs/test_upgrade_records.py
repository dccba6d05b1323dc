import json
from dataclasses import replace
from pathlib import Path

import pytest
from upgrade_records import main

from attnbench.records import store
from attnbench.records.schema import (
    OLDEST,
    SCHEMA,
    Block,
    Case,
    Count,
    Counts,
    End,
    Failure,
    Plan,
    Record,
    Round,
)

CASE = {
    "host": "resnet50",
    "batch_size": 2,
    "image_size": 32,
    "dtype": "float32",
    "channels_last": False,
    "mode": "inference",
    "compiled": False,
    "device": "cpu",
    "threads": 1,
    "seed": 0,
}
FACTS = {"cpu": "A", "governor": None, "cores": 2, "time": "12:00"}
LATER = FACTS | {"time": "13:00"}
COUNT = {"params": 7, "operations": None, "not_counted": {"sigmoid": 1}}
BLOCK = {"variant": "plain", "steps": 1, "seconds": 0.1, "parts": None}
RESULTS = (
    (None, {"kind": "plan", "variants": ["plain", "control"], "budget_s": 1.0, "target": 0.01}),
    ("plain", {"kind": "counts", "rules": {"leaf": COUNT}, "shape": None}),
    (None, {"kind": "round", "number": 0, "blocks": [BLOCK], "disturbance": None}),
    (None, {"kind": "end", "reason": "budget", "rounds": 1, "message": None}),
)
FAILURE = {"step": "memory", "type": "OSError", "message": "full"}
OLD = [
    {"variant": variant, "results": results, "environment": facts, "error": None}
    for (variant, results), facts in zip(RESULTS, (FACTS, LATER, LATER, FACTS), strict=True)
]
OLD.insert(2, {"variant": "control", "results": None, "environment": FACTS, "error": FAILURE})


@pytest.fixture
def write(tmp_path: Path):
    def write_lines(schema: int, case: dict, lines: list = OLD, end: str = "") -> Path:
        text = "".join(
            json.dumps({"schema": schema, "case": case, **line}) + "\n" for line in lines
        )
        (tmp_path / store.FILE_NAME).write_text(text + end)
        return tmp_path

    return write_lines


@pytest.mark.parametrize("end", ["", '{"schema":3,"case":{"ho'], ids=["whole", "torn"])
@pytest.mark.parametrize("schema", [2, 3])
def test_every_record_is_read_as_it_was(write, schema, end):
    stated = {"stages": [4], "blocks": "last"} if schema == 3 else {}
    folder = write(schema, CASE | stated, end=end)
    assert main([str(folder)]) == 0
    case = Case(**{key: value for key, value in CASE.items() if key != "compiled"})
    if schema == 3:
        case = replace(case, stages=(4,), blocks="last")
    else:
        assert (case.stages, case.blocks) == ((1, 2, 3, 4), "all")
    plan = Plan(variants=("plain", "control"), budget_s=1.0, target=0.01)
    counts = Counts(rules={"leaf": Count(params=7, not_counted={"sigmoid": 1})})
    rounds = Round(number=0, blocks=(Block(variant="plain", steps=1, seconds=0.1),))
    failure = Failure(step="memory", type="OSError", message="full")
    records = store.read(folder)
    assert {record.schema for record in records} == {OLDEST}
    assert [replace(record, schema=SCHEMA) for record in records] == [
        Record(case=case, results=plan, environment=FACTS),
        Record(case=case, results=counts, variant="plain", environment=LATER),
        Record(case=case, error=failure, variant="control", environment=FACTS),
        Record(case=case, results=rounds, environment=LATER),
        Record(case=case, results=End(reason="budget", rounds=1), environment=FACTS),
    ]
    assert [path.name for path in folder.iterdir()] == [store.FILE_NAME]


@pytest.mark.parametrize(
    ("schema", "lines", "message"),
    [
        (4, OLD, "line 1: schema 4"),
        (3, [*OLD, OLD[1] | {"case": CASE | {"seed": 1}}], "line 6: another configuration"),
        (3, [OLD[0], OLD[1] | {"results": {"kind": "tea"}}], "line 2: results"),
        (3, [OLD[0], OLD[1] | {"tea": 1}], "line 2: tea"),
    ],
    ids=["not old", "two runs", "damaged", "an unknown field"],
)
def test_what_cannot_be_upgraded_is_left_as_it_is(write, capsys, schema, lines, message):
    folder = write(schema, CASE, lines)
    before = (folder / store.FILE_NAME).read_bytes()
    assert main([str(folder)]) == 2
    assert message in capsys.readouterr().err
    assert (folder / store.FILE_NAME).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [store.FILE_NAME]


def test_a_folder_without_records_and_no_folder_are_usage_errors(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main([]) == 2
    assert "usage: " in capsys.readouterr().err
