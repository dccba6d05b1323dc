import json
import math
import os
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.schema import (
    SCHEMA,
    Block,
    Compiled,
    Count,
    Counts,
    Disturbance,
    End,
    Failure,
    Memory,
    Plan,
    Record,
    Round,
)
from attnbench.system import worker


@pytest.fixture
def record(case):
    blocks = (Block(variant="plain", steps=2, seconds=0.5),)
    return Record(case=case, results=Round(number=0, blocks=blocks), environment={"cores": 2})


@pytest.fixture
def file(tmp_path, record):
    """Three whole lines."""
    for _ in range(3):
        store.append(tmp_path, record)
    return tmp_path / store.FILE_NAME


def line_of(record):
    return json.dumps(record.as_json()) + "\n"


def test_every_kind_of_record_is_read_as_it_was_written(tmp_path, case):
    results = (
        Plan(variants=("plain", "control", "sa"), budget_s=100.0, target=0.01),
        Plan(variants=("plain", "control"), budget_s=1.0, target=0.01, sources={"m": "sha256 0"}),
        Counts(rules={"leaf": Count(operations=7, not_counted={"sigmoid": 2}), "none": Count()}),
        Memory(peak_live_bytes=8),
        Memory(peak_live_bytes=8, allocated_bytes=1, peak_allocated_bytes=2, reserved_bytes=3),
        Compiled(seconds=12.5),
        Counts(rules={}, shape=(1, 256, 56, 56)),
        Round(number=0, blocks=(Block(variant="plain", steps=2, seconds=0.1),)),
        Round(
            number=1,
            blocks=(Block(variant="plain", steps=1, seconds=0.3, parts={"forward": 0.1}),),
            disturbance=Disturbance(elapsed_s=0.5, asleep_s=0.0, waited_s=0.1, stolen_s=None),
        ),
        End(reason="target", rounds=1),
        End(reason="failed", rounds=1, message="its process was killed"),
    )
    environment = {"a": "text", "b": 1, "c": 1.0, "d": True, "e": None, "é\n\u2028": '"\\\0'}
    records = [Record(case=case, results=each, environment=environment) for each in results]
    failure = Failure(step="memory", type="RuntimeError", message="killed\r\nor \x1b so: é")
    records.append(Record(case=case, variant="sa", environment={}, error=failure))
    for each in records:
        store.append(tmp_path, each)
    read = store.read(tmp_path)
    assert read == records
    assert [type(value) for value in read[0].environment.values()] == [
        type(value) for value in environment.values()
    ]


def test_seconds_are_read_to_the_last_bit(tmp_path, case):
    random = Random(0)
    seconds = [math.exp(random.uniform(-30, 20)) for _ in range(2000)]
    seconds += [5e-324, math.nextafter(1, 2), 0.1, math.nextafter(1e9, 0)]
    blocks = tuple(Block(variant="plain", steps=1, seconds=each) for each in seconds)
    store.append(
        tmp_path, Record(case=case, results=Round(number=0, blocks=blocks), environment={})
    )
    assert [block.seconds for block in store.read(tmp_path)[0].results.blocks] == seconds


def test_a_record_is_one_line_and_the_folder_is_made(tmp_path, record):
    folder = tmp_path / "new" / "folder"
    store.append(folder, record)
    store.append(folder, record)
    text = (folder / store.FILE_NAME).read_text()
    assert text.count("\n") == 2
    assert text.endswith("\n")


def test_a_line_is_on_the_disk_when_append_returns(tmp_path, record, monkeypatch):
    synced = []
    monkeypatch.setattr(store.os, "fsync", lambda _: synced.append(store.read(tmp_path)))
    store.append(tmp_path, record)
    assert synced == [[record]]


def test_what_json_has_no_number_for_is_not_written(tmp_path, case):
    record = Record(
        case=case, results=End(reason="budget", rounds=1), environment={"load": math.nan}
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.append(tmp_path, record)
    assert not (tmp_path / store.FILE_NAME).exists()


DAMAGE = {
    "not JSON": ("{", "not JSON"),
    "an empty line": ("", "not JSON"),
    "a list": ("[1]", "not an attnbench record"),
    "a number": ("3", "not an attnbench record"),
    "null": ("null", "not an attnbench record"),
    "no schema": ("{}", "states no schema"),
    "a schema that is no number": ('{"schema": "1"}', "states no schema"),
    "a schema that is true": ('{"schema": true}', "states no schema"),
    "a newer schema": (
        {"schema": SCHEMA + 1},
        f"schema {SCHEMA + 1}; .* reads schema 2 and {SCHEMA}",
    ),
    "an older schema than any that is read": ({"schema": 1}, "schema 1; this attnbench reads"),
    "a field that nobody knows": ({"tea": 1}, "line 2: tea: Unexpected keyword argument"),
    "a missing field": ({"case": {"host": "resnet50"}}, "case.batch_size: Field required"),
    "a text for a number": ({"seconds": "0.5"}, "blocks.0.seconds: Input should be a valid number"),
    "a number for a text": ({"variant": 3}, "variant: Input should be a valid string"),
    "a fraction for a whole number": (
        {"steps": 1.5},
        "blocks.0.steps: Input should be a valid int",
    ),
    "true for a number": ({"steps": True}, "blocks.0.steps: Input should be a valid int"),
    "negative seconds": ({"seconds": -0.5}, "blocks.0: .* positive time"),
    "no seconds": ({"seconds": 0}, "blocks.0: .* positive time"),
    "NaN seconds": ({"seconds": math.nan}, "blocks.0: .* positive time"),
    "infinite seconds": ({"seconds": math.inf}, "blocks.0: .* positive time"),
    "no steps": ({"steps": 0}, "blocks.0: .* at least one step"),
    "results of no known kind": ({"results": {"kind": "tea"}}, "results: .* 'tea'"),
    "neither results nor an error": ({"results": None}, "either results or an error"),
    "results and an error": (
        {"error": {"step": "memory", "type": "E", "message": ""}},
        "either results or an error",
    ),
}


@pytest.mark.parametrize(("damage", "complaint"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_named_with_its_file_and_number(file, record, damage, complaint):
    lines = file.read_text().splitlines(keepends=True)
    lines[1] = (damage if isinstance(damage, str) else damaged(record, damage)) + "\n"
    file.write_text("".join(lines))
    with pytest.raises(UserError, match=complaint) as raised:
        store.read(file.parent)
    assert str(raised.value).startswith(f"{file}, line 2: ")


def damaged(record, damage):
    data = record.as_json()
    for key, value in damage.items():
        (data["results"]["blocks"][0] if key in ("seconds", "steps") else data)[key] = value
    return json.dumps(data)


@pytest.mark.parametrize("place", ["case", "results"])
def test_a_field_within_a_line_that_nobody_knows_is_refused(file, record, place):
    data = record.as_json()
    data[place]["tensor_parallel"] = 8  # it could change what every figure means
    file.write_text(json.dumps(data) + "\n")
    with pytest.raises(UserError, match=r"tensor_parallel: Unexpected keyword argument"):
        store.read(file.parent)


def test_a_line_of_schema_2_is_about_all_blocks_of_all_stages(file, record):
    data = record.as_json()
    data["schema"] = 2
    for later in ("stages", "blocks"):
        del data["case"][later]
    file.write_text(json.dumps(data) + "\n")
    (read,) = store.read(file.parent)
    assert (read.case.stages, read.case.blocks) == ((1, 2, 3, 4), "all")
    assert read.schema == 2


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 100_000], ids=["digits", "brackets"])
def test_a_line_that_python_refuses_to_decode_is_damaged_too(file, text):
    file.write_text(text + "\n")
    with pytest.raises(UserError, match="line 1"):
        store.read(file.parent)


def test_an_error_about_a_file_whose_name_is_no_text_can_be_read_back(tmp_path, case):
    message = os.fsdecode(b"cannot open caf\xe9")
    failure = Failure(step="memory", type="OSError", message=message)
    store.append(tmp_path, Record(case=case, variant="sa", environment={}, error=failure))
    assert store.read(tmp_path)[0].variant == "sa"


def test_a_binary_file_is_named(file):
    file.write_bytes(b"\x80\x02\xff\n")
    with pytest.raises(UserError, match="line 1: not JSON") as raised:
        store.read(file.parent)
    assert str(raised.value).startswith(str(file))


@pytest.mark.parametrize("reader", [store.read, store.repair])
def test_a_missing_file_is_named(tmp_path, reader):
    with pytest.raises(UserError, match="No such file") as raised:
        reader(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_folder_in_the_files_place_is_named(tmp_path):
    (tmp_path / store.FILE_NAME).mkdir()
    with pytest.raises(UserError, match=r"cannot read .*records\.jsonl: Is a directory"):
        store.read(tmp_path)


def test_an_empty_file_has_no_records(file):
    file.write_text("")
    assert store.read(file.parent) == []


@pytest.mark.parametrize("place", [Path("file"), Path("file/folder")])
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, record, place):
    (tmp_path / "file").write_text("a regular file")
    with pytest.raises(UserError, match="cannot write to") as raised:
        store.append(tmp_path / place, record)
    assert str(tmp_path / place) in str(raised.value)


def test_a_torn_last_line_is_left_out(file, record):
    whole = line_of(record)
    for cut in (1, len(whole) // 2, len(whole) - 2):
        file.write_text(whole * 2 + whole[:cut])
        assert store.read(file.parent) == [record] * 2


def test_a_last_line_that_was_finished_and_is_not_json_is_damage(file, record):
    file.write_text(line_of(record) + line_of(record)[:40] + "\n")
    with pytest.raises(UserError, match="line 2: not JSON"):
        store.read(file.parent)


def test_a_line_torn_within_a_character_is_left_out(tmp_path, case, record):
    failure = Failure(step="memory", type="E", message="\N{SNOWMAN}")
    for each in (record, Record(case=case, variant="sa", environment={}, error=failure)):
        store.append(tmp_path, each)
    path = tmp_path / store.FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex("\N{SNOWMAN}".encode()) + 1])
    assert store.read(tmp_path) == [record]


def test_a_torn_line_elsewhere_is_damage(file, record):
    whole = line_of(record)
    file.write_text(whole[:40] + "\n" + whole)
    with pytest.raises(UserError, match="line 1: not JSON"):
        store.read(file.parent)


def test_a_whole_last_line_without_its_end_is_kept(file, record):
    file.write_text(line_of(record) * 2 + line_of(record).rstrip("\n"))
    assert store.read(file.parent) == [record] * 3


@pytest.mark.parametrize(("cut", "kept"), [(40, 2), (-1, 3), (None, 3)])
def test_a_mended_file_keeps_its_whole_lines_and_can_be_appended_to(file, record, cut, kept):
    file.write_text(line_of(record) * 2 + line_of(record)[:cut])
    store.repair(file.parent)
    store.append(file.parent, record)
    assert store.read(file.parent) == [record] * (kept + 1)


def test_mending_a_file_of_whole_lines_changes_no_byte(file):
    before = file.read_bytes()
    store.repair(file.parent)
    assert file.read_bytes() == before


def test_a_file_that_is_nothing_but_a_torn_line_becomes_an_empty_one(file, record):
    file.write_text(line_of(record)[:40])
    assert store.read(file.parent) == []
    store.repair(file.parent)
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
def torn(tmp_path, record):
    (tmp_path / store.FILE_NAME).write_text(line_of(record) * 2 + line_of(record)[:40])
    return tmp_path


def test_mending_that_is_cut_short_loses_no_whole_line(torn, record, request):
    request.getfixturevalue("full_disk")
    with suppress(OSError, UserError):
        store.repair(torn)
    assert store.read(torn) == [record] * 2


def test_a_file_that_cannot_be_mended_is_named(torn, request):
    request.getfixturevalue("full_disk")
    with pytest.raises(UserError, match=str(torn)):
        store.repair(torn)


def test_the_runs_of_a_folder_are_itself_or_those_in_it(tmp_path, record):
    grid = tmp_path / "grid"
    for name in ("b", "a"):
        store.append(grid / name, record)
    (grid / "c").mkdir()
    (grid / "grid.md").write_text("")
    assert store.runs_in(grid) == [grid / "a", grid / "b"]
    assert store.runs_in(grid / "a") == [grid / "a"]
    assert store.runs_in(grid / "c") == store.runs_in(tmp_path / "missing") == []


def test_a_file_that_holds_no_whole_line_is_a_beginning_and_no_run(tmp_path):
    (tmp_path / store.FILE_NAME).write_text('{"schema":')
    assert store.holds_a_file(tmp_path)
    assert store.runs_in(tmp_path) == []


def test_a_folder_is_one_process_to_write_to(tmp_path):
    pytest.importorskip("fcntl")
    store.lock(tmp_path)
    store.lock(tmp_path)  # this process may go on
    with pytest.raises(UserError, match=r"^another attnbench is writing to "):
        worker.call(store.lock, tmp_path)
