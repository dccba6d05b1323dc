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


DETAILS = dict.fromkeys(
    ("macs", "elementwise", "reductions", "bytes_read", "bytes_written", "kernels"), 2
) | {"peak_live_bytes": 8}


def test_parts_split_their_details_quantity_by_quantity():
    half = dict.fromkeys(DETAILS, 1)
    for parts in ({"stem": DETAILS}, {"stem": half, "head": half | {"peak_live_bytes": 8}}):
        assert Count(operations=6, details=DETAILS, parts=parts).parts == parts
    for key in DETAILS:
        renamed = {f"{name}x" if name == key else name: of for name, of in DETAILS.items()}
        for details, part in ((DETAILS, renamed), (renamed, DETAILS)):
            with pytest.raises(ValidationError, match="in its details or in its part 'stem' alone"):
                Count(operations=6, details=details, parts={"stem": part})
    with pytest.raises(ValidationError, match="the macs of its parts are not those of its details"):
        Count(operations=6, details=DETAILS, parts={"stem": DETAILS | {"macs": 3}})


@pytest.mark.parametrize("rule", ["executed", "executed, training step"])
def test_a_rule_that_counts_every_operator_has_all_of_its_quantities(rule):
    ceiling = dict.fromkeys(("macs", "bytes_read", "bytes_written", "kernels"), 1)
    for details in (DETAILS, ceiling):
        assert Counts(rules={rule: Count(operations=6, details=details)})
    for key in DETAILS:
        without = {name: of for name, of in DETAILS.items() if name != key}
        with pytest.raises(ValidationError, match=f"the details of '{rule}' lack or add '{key}'"):
            Counts(rules={rule: Count(operations=6, details=without)})
    assert Counts(rules={"leaf": Count(operations=6, details={"macs": 6})})
