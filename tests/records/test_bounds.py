"""What a record may state of time, and of a rule that has counted nothing."""

import pytest
from pydantic import TypeAdapter, ValidationError

from attnbench.records.bounds import Environment
from attnbench.records.schema import Count, Counts

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


def test_a_rule_counts_something():
    for count in (Count(params=0), Count(operations=0)):
        assert Counts(rules={"leaf": count}).rules["leaf"] == count
    with pytest.raises(ValidationError, match="'leaf' counts params, operations or both"):
        Counts(rules={"leaf": Count(details={"macs": 1})})
