from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, get_args

import pydantic.dataclasses
import pytest
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from attnbench.records.bounds import STRICT
from attnbench.records.options.fault import ABSENT, EXPECTED, SURPLUS, fault


@pydantic.dataclasses.dataclass(config=STRICT)
class Cup:
    kind: Literal["cup"]
    volume_ml: Annotated[int, Field(gt=0, le=500)]


@pydantic.dataclasses.dataclass(config=STRICT)
class Pot:
    kind: Literal["pot"]
    lid: bool = True


def _even(number: int) -> int:
    if number % 2:
        raise ValueError(f"an even number, not {number}")
    return number


@pydantic.dataclasses.dataclass(config=STRICT)
class Tray:
    holds: tuple[Annotated[Cup | Pot, Field(discriminator="kind")], ...]
    facts: dict[str, str | int | float | bool | None]
    side: Literal["left", "right", "top"] = "left"
    feet: Annotated[int, AfterValidator(_even)] = 4
    corner: tuple[int, int] = (0, 0)
    names: Annotated[tuple[str, ...], Field(max_length=2)] = ()

    def __post_init__(self) -> None:
        if self.feet and not self.holds:
            raise ValueError("an empty tray has no feet")


CUP = {"kind": "cup", "volume_ml": 200}


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"feet": "4"}, 'feet must be a whole number, not "4"'),
        ({"feet": True}, "feet must be a whole number, not true"),
        ({"feet": 3}, "feet: an even number, not 3"),
        ({"holds": []}, "tray: an empty tray has no feet"),
        ({"holds": None}, "holds must be a list, not null"),
        ({"holds": [CUP, 3]}, "holds.1 must be an object, not 3"),
        ({"holds": [CUP | {"volume_ml": 501}]}, "holds.0.volume_ml must be at most 500, not 501"),
        ({"holds": [CUP | {"volume_ml": 0}]}, "holds.0.volume_ml must be above 0, not 0"),
        ({"holds": [{"kind": "pot", "lid": 1}]}, "holds.0.lid must be true or false, not 1"),
        ({"holds": [{"kind": "jug"}]}, 'holds.0.kind must be one of cup, pot, not "jug"'),
        ({"holds": [{"lid": True}]}, "holds.0.kind is missing"),
        ({"holds": [{"kind": "cup"}]}, "holds.0.volume_ml is missing"),
        ({"facts": {"a": []}}, "facts.a must be a text, a number or true or false, not []"),
        (
            {"side": "rigth"},
            'side must be one of left, right, top, not "rigth" (did you mean right?)',
        ),
        ({"side": 1}, "side must be one of left, right, top, not 1"),
        ({"corner": [1]}, "corner.1 is missing"),
        ({"corner": [1, 2, 3]}, "corner must be at most 2 long, not [1, 2, 3]"),
        ({"names": ["a", "b", "c"]}, 'names must be at most 2 long, not ["a", "b", "c"]'),
        ({"names": ["x" * 500, 1]}, "names.1 must be a text, not 1"),
        ({"tea\x1b": 1}, r"tea\x1b: there is no such field"),
        ({"facts": "x" * 500}, f'facts must be an object, not "{"x" * 58}…'),
    ],
)
def test_a_fault_says_where_it_is_and_what_would_do(stated: dict, message: str) -> None:
    data = {"holds": [CUP], "facts": {}} | stated
    reader = TypeAdapter(Tray)
    with pytest.raises(ValidationError) as raised:
        reader.validate_json(reader_text(data), strict=True)
    assert fault(raised.value, data, "tray") == message


def reader_text(data: object) -> bytes:
    return TypeAdapter(dict).dump_json(data)


def test_what_json_cannot_write_is_shown_as_python_does() -> None:
    data = {"feet": {1, 2}}
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Tray).validate_python({"holds": [CUP], "facts": {}} | data)
    assert fault(raised.value, data) == "feet must be a whole number, not {1, 2}"


def test_every_kind_of_error_that_is_named_is_one_of_pydantics() -> None:
    known = {*get_args(ErrorType)}
    assert known >= {*EXPECTED, *ABSENT, *SURPLUS}


def test_a_kind_that_is_not_named_is_not_told_in_pydantics_words() -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[str, date]).validate_python({"day": "soon"})
    assert fault(raised.value, {"day": "soon"}) == 'day must be of another kind, not "soon"'


@dataclass
class Plain:
    seconds: float


def test_text_that_is_no_json_is_said_to_be_none() -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Plain).validate_json(b'{"seconds": "\\ud800"}')
    assert fault(raised.value, {}, "line").startswith("not JSON (unexpected end of hex escape")
