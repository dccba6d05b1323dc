"""What a record may state of time, and of a rule that has counted nothing."""

import pytest
from pydantic import TypeAdapter, ValidationError

from attnbench.records.bounds import Environment
from attnbench.records.schema import Count, Counts, Export

FACTS = TypeAdapter(Environment)


@pytest.mark.parametrize(
    "time", ["2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z", "2026-01-02", "12:00", None]
)
def test_a_time_is_one_of_iso_8601_or_unknown(time):
    assert FACTS.validate_python({"time": time}) == {"time": time}


@pytest.mark.parametrize("time", ["", "\x00x", "noon", "1\x1b[31m", 12, True, "1" * 41])
def test_any_other_time_is_refused(time):
    with pytest.raises(ValidationError, match="time is a date and time as in ISO 8601, or null"):
        FACTS.validate_python({"time": time})


def test_the_nodes_of_a_file_are_all_of_its_operators():
    known = {"file": "a.onnx", "sha256": "0" * 64, "bytes": 1, "load_s": 0.5, "bound": 0.5}
    known |= {"operators": {"Conv": 53, "Mul": 80}, "relative_error": 0.0}
    assert Export(**known).nodes is None  # of records before it was stored
    assert Export(**known, nodes=133).nodes == 133
    with pytest.raises(ValidationError, match="nodes are those of operators, 133"):
        Export(**known, nodes=132)


def test_a_rule_counts_something():
    for count in (Count(params=0), Count(operations=0)):
        assert Counts(rules={"leaf": count}).rules["leaf"] == count
    with pytest.raises(ValidationError, match="'leaf' counts params, operations or both"):
        Counts(rules={"leaf": Count(details={"macs": 1})})
