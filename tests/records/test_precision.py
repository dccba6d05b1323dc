import json
from pathlib import Path

import pytest
from helpers import coco

from attnbench.errors import UserError
from attnbench.records import precision


def test_records_are_read_back_as_they_were(tmp_path: Path) -> None:
    records = (coco.record(), coco.record(module=None, mask=None))
    for record in records:
        precision.append(tmp_path, record)
    assert precision.read(tmp_path) == records
    assert [record.variant for record in records] == ["eca", "plain"]
    assert precision.read(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("field", "value"), [("box", {"ap": 1.5}), ("shorter", 0), ("schema", 2), ("extra", 1)]
)
def test_what_no_evaluation_could_have_is_refused(
    field: str, value: object, tmp_path: Path
) -> None:
    precision.append(tmp_path, coco.record())
    file = tmp_path / precision.FILE_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}) + "\n")
    with pytest.raises(UserError, match="line 1"):
        precision.read(tmp_path)
