"""What reports/README.md says of records.jsonl is all that lines of it can hold."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from attnbench.records import schema

PAGE = (Path(__file__).parents[2] / "reports" / "README.md").read_text()

SECTION = PAGE.partition("## records.jsonl")[2].partition("\n## ")[0]

KINDS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", SECTION, re.MULTILINE))
"""Field of a line, or kind of results -> what is said of it."""

WITHIN = {
    "plan": [schema.Plan],
    "counts": [schema.Counts, schema.Count],
    "export": [schema.Export],
    "memory": [schema.Memory],
    "profile": [schema.Profile],
    "compiled": [schema.Compiled],
    "energy": [schema.EnergyRound, schema.Window],
    "round": [schema.Round, schema.Block, schema.DeviceTime, schema.Disturbance],
    "end": [schema.End],
    "case": [schema.Case],
    "error": [schema.Failure],
}


def names(text: str) -> set[str]:
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[\w-]+", code)}


def test_every_field_of_a_line_has_a_row() -> None:
    assert {field.name for field in fields(schema.Record)} <= KINDS.keys()
    kinds = {get_args(get_type_hints(known)["kind"])[0] for known in known_results()}
    assert kinds <= WITHIN.keys() & KINDS.keys()


def known_results() -> tuple[type, ...]:
    union, _ = get_args(schema.Results)
    return get_args(union)


@pytest.mark.parametrize("row", WITHIN)
def test_every_field_stands_in_its_row(row: str) -> None:
    stored = {field.name for known in WITHIN[row] for field in fields(known)} - {"kind"}
    if row == "round":
        stored.remove("number")  # in the paragraph below
    assert stored <= names(KINDS[row])


def test_every_step_that_can_fail_is_named() -> None:
    steps = get_args(schema.FailedStep)
    assert [step for step in steps if f"`{step}`" not in KINDS["error"]] == []
