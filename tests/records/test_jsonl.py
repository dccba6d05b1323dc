import errno
import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ConfigDict

from attnbench.errors import UserError
from attnbench.records import jsonl
from attnbench.records.jsonl import JsonLines


@dataclass(frozen=True)
class Reading:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    schema: int
    seconds: float
    note: str = ""


READINGS = JsonLines("readings.jsonl", Reading, 3, what="reading", upgrade="; rewrite it")
READING = Reading(3, 0.5)
WHOLE = json.dumps(asdict(READING)) + "\n"


def append(folder, reading=READING):
    READINGS.append(folder, asdict(reading))


@pytest.fixture
def file(tmp_path):
    """Three whole lines."""
    for _ in range(3):
        append(tmp_path)
    return tmp_path / READINGS.file_name


def test_what_is_written_is_read_back_in_its_order(tmp_path):
    readings = [Reading(3, 0.1), Reading(3, 0.2, "é\n\u2028\"'\\\0"), Reading(3, 0.3)]
    for reading in readings:
        append(tmp_path, reading)
    assert READINGS.read(tmp_path) == readings


def test_an_object_is_one_line_and_the_folder_is_made(tmp_path):
    folder = tmp_path / "new" / "folder"
    append(folder)
    append(folder)
    text = (folder / READINGS.file_name).read_text()
    assert text.count("\n") == 2
    assert text.endswith("\n")


def test_a_line_is_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(jsonl.os, "fsync", lambda _: synced.append(READINGS.read(tmp_path)))
    append(tmp_path)
    assert synced == [[READING]]


def test_what_json_has_no_number_for_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        append(tmp_path, Reading(3, math.nan))
    assert not (tmp_path / READINGS.file_name).exists()


DAMAGE = {
    "not JSON": ("{", "not JSON"),
    "an empty line": ("", "not JSON"),
    "more digits than Python decodes": ("1" * 5000, "not JSON"),
    "more brackets than Python decodes": ("[" * 100_000, "not JSON"),
    "a list": ("[1]", "not an attnbench reading"),
    "a number": ("3", "not an attnbench reading"),
    "null": ("null", "not an attnbench reading"),
    "no schema": ("{}", "states no schema"),
    "a schema that is no number": ('{"schema": "1"}', "states no schema"),
    "a schema that is true": ('{"schema": true}', "states no schema"),
    "a newer schema": ('{"schema": 4}', "schema 4; this attnbench reads schema 3$"),
    "an older schema": ('{"schema": 2}', "schema 2; this attnbench reads schema 3; rewrite it$"),
    "a missing field": ('{"schema": 3}', "seconds is missing"),
    "a text for a number": (
        '{"schema": 3, "seconds": "1"}',
        'seconds must be a number, not "1"',
    ),
    "a field twice": (
        '{"schema": 3, "seconds": 1, "seconds": 2}',
        r"not JSON \(the field 'seconds' twice in one object\)",
    ),
    "an unknown field with escapes in its name": (
        '{"schema": 3, "seconds": 1, "\\u001b[2J\\u202e": 1}',
        r"\\x1b\[2J\\u202e: there is no such field",
    ),
    "half of a surrogate pair": (
        '{"schema": 3, "seconds": 1, "note": "\\ud800"}',
        r"line 2: not JSON \(unexpected end of hex escape",
    ),
    "an unknown field": (
        '{"schema": 3, "seconds": 1, "tea": 1}',
        "tea: there is no such field",
    ),
}


@pytest.mark.parametrize(("damage", "complaint"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_named_with_its_file_and_number(file, damage, complaint):
    file.write_text(WHOLE + damage + "\n" + WHOLE)
    with pytest.raises(UserError, match=complaint) as raised:
        READINGS.read(file.parent)
    assert str(raised.value).startswith(f"{file}, line 2: ")


def test_a_line_of_a_kind_without_a_schema_states_none(tmp_path):
    @dataclass(frozen=True)
    class Note:
        text: str

    notes = JsonLines("notes.jsonl", Note, None)
    notes.append(tmp_path, {"text": "a"})
    assert notes.read(tmp_path) == [Note("a")]
    two_files = "line 2: a schema again: these are two files in one"
    with (tmp_path / "notes.jsonl").open("a") as file:
        file.write('{"text":"b","schema":1}\n')
    with pytest.raises(UserError, match=two_files):
        notes.read(tmp_path)


@pytest.mark.parametrize("damage", [{"seconds": "0.5"}, {"tea": 1}, {"schema": 2}])
def test_what_could_not_be_read_back_is_not_written(file, damage):
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"readings\.jsonl, a new line: "):
        READINGS.append(file.parent, asdict(READING) | damage)
    assert file.read_bytes() == before


def test_a_binary_file_is_named(file):
    file.write_bytes(b"\x80\x02\xff\n")
    with pytest.raises(UserError, match="line 1: not JSON") as raised:
        READINGS.read(file.parent)
    assert str(raised.value).startswith(str(file))


@pytest.mark.parametrize("reader", [READINGS.read, READINGS.repair])
def test_a_missing_file_is_named(tmp_path, reader):
    with pytest.raises(UserError, match="No such file") as raised:
        reader(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert str(raised.value).endswith(
        "name a folder that holds readings.jsonl, or one whose folders do"
    )


def test_a_folder_in_the_files_place_is_named(tmp_path):
    (tmp_path / READINGS.file_name).mkdir()
    with pytest.raises(UserError, match=r"cannot read .*readings\.jsonl: Is a directory"):
        READINGS.read(tmp_path)


def test_an_empty_file_has_no_objects(file):
    file.write_text("")
    assert READINGS.read(file.parent) == []


def test_the_first_object_is_read_alone(file):
    file.write_text(WHOLE + "damage\n")
    assert READINGS.first(file.parent) == READING
    for unfinished in ("", WHOLE[:10]):
        file.write_text(unfinished)
        assert READINGS.first(file.parent) is None
    assert READINGS.first(file.parent / "missing") is None


@pytest.mark.parametrize("place", [Path("file"), Path("file/folder")])
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, place):
    (tmp_path / "file").write_text("a regular file")
    with pytest.raises(UserError, match="cannot write to") as raised:
        append(tmp_path / place)
    assert str(tmp_path / place) in str(raised.value)


def test_a_torn_last_line_is_left_out(file):
    for cut in (1, len(WHOLE) // 2, len(WHOLE) - 2):
        file.write_text(WHOLE * 2 + WHOLE[:cut])
        assert READINGS.read(file.parent) == [READING] * 2


def test_a_last_line_that_was_finished_and_is_not_json_is_damage(file):
    file.write_text(WHOLE + WHOLE[:20] + "\n")
    with pytest.raises(UserError, match="line 2: not JSON"):
        READINGS.read(file.parent)


def test_a_line_torn_within_a_character_is_left_out(file):
    append(file.parent, Reading(3, 0.5, "\N{SNOWMAN}"))
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.rindex("\N{SNOWMAN}".encode()) + 1])
    assert READINGS.read(file.parent) == [READING] * 3


def test_a_torn_line_elsewhere_is_damage(file):
    file.write_text(WHOLE[:20] + "\n" + WHOLE)
    with pytest.raises(UserError, match="line 1: not JSON"):
        READINGS.read(file.parent)


def test_a_whole_last_line_without_its_end_is_kept(file):
    file.write_text(WHOLE * 2 + WHOLE.rstrip("\n"))
    assert READINGS.read(file.parent) == [READING] * 3


@pytest.mark.parametrize(("cut", "kept"), [(20, 2), (-1, 3), (None, 3)])
def test_a_repaired_file_keeps_its_whole_lines_and_can_be_appended_to(file, cut, kept):
    file.write_text(WHOLE * 2 + WHOLE[:cut])
    READINGS.repair(file.parent)
    append(file.parent)
    assert READINGS.read(file.parent) == [READING] * (kept + 1)


def test_repairing_a_file_of_whole_lines_changes_no_byte(file):
    before = file.read_bytes()
    READINGS.repair(file.parent)
    assert file.read_bytes() == before


def test_a_file_that_is_nothing_but_a_torn_line_becomes_an_empty_one(file):
    file.write_text(WHOLE[:20])
    assert READINGS.read(file.parent) == []
    READINGS.repair(file.parent)
    assert file.read_text() == ""


@pytest.fixture
def full_disk(monkeypatch):
    """A file can be read and cut to nothing, and takes no writing."""
    really_open = Path.open

    def fail(*_):
        raise OSError(28, "No space left on device")

    def opened(path, mode="r", **options):
        if mode.startswith("w"):
            really_open(path, mode, **options).close()
        return really_open(path, mode, **options) if mode in ("r", "rb") else fail()

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(os, "truncate", fail)


@pytest.fixture
def torn(file):
    """A folder whose file ends within its third line."""
    file.write_text(WHOLE * 2 + WHOLE[:20])
    return file.parent


def test_a_repair_that_is_cut_short_loses_no_whole_line(torn, request):
    request.getfixturevalue("full_disk")
    with suppress(OSError, UserError):
        READINGS.repair(torn)
    assert READINGS.read(torn) == [READING] * 2


def test_a_file_that_cannot_be_repaired_is_named(torn, request):
    request.getfixturevalue("full_disk")
    with pytest.raises(UserError, match=str(torn)):
        READINGS.repair(torn)


class FullDisk:
    """A file on a disk that has room for a few bytes more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.file.write(data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.mark.parametrize("room", [0, 1, 36])
def test_what_a_full_disk_took_of_a_line_is_removed_at_once(file, monkeypatch, room):
    opened, whole = Path.open, file.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(
            Path, "open", lambda *a, **k: FullDisk(opened(*a, **k), room) if k else opened(*a)
        )
        with pytest.raises(UserError, match=r"cannot write to .*: No space left on device"):
            READINGS.append(file.parent, asdict(READING))
    assert file.read_bytes() == whole
    append(file.parent)
    assert file.read_bytes() == whole + whole[: len(whole) // 3]


@dataclass(frozen=True)
class Facts:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    host: str
    runtime: str = "eager"


@dataclass(frozen=True)
class Line:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    schema: int
    facts: Facts


def test_a_field_that_came_later_is_required_from_its_schema_on(tmp_path):
    lines = JsonLines("lines.jsonl", Line, 3, oldest=2, stated={"facts": {"host": 2, "runtime": 3}})
    lines.append(tmp_path, {"schema": 2, "facts": {"host": "a"}})
    assert lines.read(tmp_path) == [Line(2, Facts("a", "eager"))]
    with pytest.raises(UserError, match=r"facts\.runtime is missing"):
        lines.append(tmp_path, {"schema": 3, "facts": {"host": "a"}})
    for schema in (1, 4, True, 2.0, None):
        with pytest.raises(UserError, match="schema"):
            lines.append(tmp_path, {"schema": schema, "facts": {"host": "a", "runtime": "b"}})
