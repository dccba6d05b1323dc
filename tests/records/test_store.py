import json
import math
import os
from dataclasses import replace
from random import Random

import pytest
from helpers.evaluations import evaluation as an_evaluation

from attnbench.errors import UserError
from attnbench.records import evaluation, precision, store
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


def test_every_kind_of_record_is_read_as_it_was_written(tmp_path, case):
    results = (
        Plan(variants=("plain", "control", "sa"), budget_s=100.0, target=0.01),
        Plan(variants=("plain", "control", "m"), budget_s=1, target=0.01, sources={"m": "sha256"}),
        Counts(
            rules={"leaf": Count(operations=7, not_counted={"sigmoid": 2}), "none": Count(params=0)}
        ),
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
        End(reason="target", rounds=30),
        End(reason="failed", rounds=1, message="its process was killed"),
    )
    environment = {"a": "text", "b": 1, "c": 1.0, "d": True, "e": None, "é\n\u2028": '"\\\0'}
    of_all = Plan, Round, End
    records = [
        Record(
            case=case,
            variant=None if isinstance(kind, of_all) else "sa",
            results=kind,
            environment=environment,
        )
        for kind in results
    ]
    failure = Failure(step="memory", type="RuntimeError", message="killed\r\nor \x1b so: é")
    records.append(Record(case=case, variant="sa", environment=environment, error=failure))
    for record in records:
        store.append(tmp_path, record)
    read = store.read(tmp_path)
    assert read == records
    assert [type(value) for value in read[0].environment.values()] == [
        type(value) for value in environment.values()
    ]


def test_seconds_are_read_to_the_last_bit(tmp_path, case):
    random = Random(0)
    seconds = [math.exp(random.uniform(-20, 20)) for _ in range(2000)]
    seconds += [1e-9, math.nextafter(1, 2), 0.1, math.nextafter(1e9, 0)]
    blocks = tuple(Block(variant="plain", steps=1, seconds=value) for value in seconds)
    store.append(
        tmp_path, Record(case=case, results=Round(number=0, blocks=blocks), environment={})
    )
    assert [block.seconds for block in store.read(tmp_path)[0].results.blocks] == seconds


def test_case_and_environment_are_stored_once_and_then_what_changed(tmp_path, case):
    here = {"cpu": "A", "time": "12:00", "load_average": 1, "governor": None}
    plan = Plan(variants=("plain", "control"), budget_s=1.0, target=0.01)
    end = End(reason="budget", rounds=0)
    later = here | {"time": "13:00", "load_average": 1.0, "gpu_power_w": 9.5}
    records = [
        Record(case=case, results=plan, environment=here),
        Record(case=case, results=Memory(peak_live_bytes=8), variant="plain", environment=here),
        Record(case=case, results=end, environment=later),
    ]
    for record in records:
        store.append(tmp_path, record)
    first, second, third = map(json.loads, (tmp_path / store.FILE_NAME).read_text().splitlines())
    assert list(first) == ["schema", "case", "results", "environment"]
    assert (first["schema"], first["environment"]) == (SCHEMA, here)
    assert second == {
        "variant": "plain",
        "results": {"kind": "memory", "peak_live_bytes": 8},
        "environment": {},
    }
    assert third == {
        "results": {"kind": "end", "reason": "budget", "rounds": 0},
        "environment": {"time": "13:00", "load_average": 1.0, "gpu_power_w": 9.5},
    }
    read = store.read(tmp_path)
    assert read == records
    assert isinstance(read[2].environment["load_average"], float)


def test_another_process_appends_to_the_same_run(tmp_path, record):
    store.append(tmp_path, record)
    worker.call(store.append, tmp_path, record)
    first, second = (tmp_path / store.FILE_NAME).read_text().splitlines()
    assert "case" in json.loads(first)
    assert "case" not in json.loads(second)
    assert store.read(tmp_path) == [record] * 2


def test_a_fact_that_is_missing_later_is_stored_as_none(tmp_path, record):
    store.append(tmp_path, record)
    store.append(tmp_path, replace(record, environment={}))
    assert store.read(tmp_path)[1].environment == {"cores": None}


def test_a_record_of_another_configuration_is_not_written(file, record, case):
    before = file.read_bytes()
    other = replace(record, case=replace(case, batch_size=64))
    with pytest.raises(UserError, match=rf"{file.parent} holds another configuration: .*batch 2,"):
        store.append(file.parent, other)
    assert file.read_bytes() == before


def test_two_runs_in_one_file_are_refused(file):
    file.write_text(file.read_text() * 2)
    with pytest.raises(UserError, match=r"line 4: a schema again: these are two files in one"):
        store.read(file.parent)


def test_a_run_whose_first_line_is_torn_begins_anew(tmp_path, record):
    store.append(tmp_path, record)
    path = tmp_path / store.FILE_NAME
    whole = path.read_text()
    path.write_text(whole[:40])
    assert store.runs_in(tmp_path) == []
    store.repair(tmp_path)
    store.append(tmp_path, record)
    assert path.read_text() == whole


def test_an_older_schema_is_refused_with_what_would_do(tmp_path):
    (tmp_path / store.FILE_NAME).write_text('{"schema":3,"case":{}}\n')
    with pytest.raises(UserError) as raised:
        store.read(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path / store.FILE_NAME}, line 1: schema 3; this attnbench reads schema {SCHEMA}; "
        "docs/upgrade_records.py in attnbench's repository rewrites the file"
    )


FIRST_DAMAGE = {
    "an unknown field": ({"tea": 1}, "tea: there is no such field"),
    "a missing field": ({"case": {"host": "resnet50"}}, "case.at is missing"),
    "no environment": ({"environment": None}, "environment must be an object, not null"),
    "neither results nor an error": ({"results": None}, "either results or an error"),
}


@pytest.mark.parametrize(("damage", "complaint"), FIRST_DAMAGE.values(), ids=FIRST_DAMAGE)
def test_a_damaged_first_line_is_named(file, damage, complaint):
    first, *later = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps(json.loads(first) | damage), *later, ""]))
    with pytest.raises(UserError, match=complaint) as raised:
        store.read(file.parent)
    assert str(raised.value).startswith(f"{file}, line 1: ")


DAMAGE = {
    "a field that no line has": ({"tea": 1}, "line 2: tea: there is no such field"),
    "another case": ({"case": {}}, "line 2: case: there is no such field"),
    "another schema": ({"schema": SCHEMA}, "line 2: a schema again"),
    "an environment that is not flat": ({"environment": {"a": [1]}}, "line 2: environment.a"),
    "a text for a number": (
        {"seconds": "0.5"},
        "line 2: results.blocks.0.seconds must be a number, not",
    ),
    "a number for a text": ({"variant": 3}, "variant must be a text, not 3"),
    "a fraction for a whole number": (
        {"steps": 1.5},
        "blocks.0.steps must be a whole number, not",
    ),
    "true for a number": ({"steps": True}, "blocks.0.steps must be a whole number, not"),
    "negative seconds": (
        {"seconds": -0.5},
        "blocks.0.seconds must be at least 1e-09, not",
    ),
    "no seconds": ({"seconds": 0}, "blocks.0.seconds must be at least 1e-09, not"),
    "less than a clock's tick": ({"seconds": 5e-324}, "blocks.0.seconds must be at least"),
    "longer than a life": ({"seconds": 1e300}, "blocks.0.seconds must be below 1000000000"),
    "NaN seconds": ({"seconds": math.nan}, "blocks.0.seconds must be a finite number, not"),
    "infinite seconds": ({"seconds": math.inf}, "blocks.0.seconds must be a finite number, not"),
    "no steps": ({"steps": 0}, "blocks.0.steps must be at least 1, not 0"),
    "steps beyond any float": ({"steps": 10**400}, "blocks.0.steps must be at most"),
    "a fact beyond any float": ({"environment": {"a": 10**400}}, r"environment\.a: .*below 2"),
    "a fact that is NaN": ({"environment": {"a": math.nan}}, r"environment\.a: .*below 2"),
    "a variant for a round": ({"variant": "sa"}, "a line with round has no variant"),
    "results of no known kind": (
        {"results": {"kind": "tea"}},
        'results.kind must be one of plan, .* not "tea"',
    ),
    "neither results nor an error": ({"results": None}, "either results or an error"),
    "results and an error": (
        {"error": {"step": "memory", "type": "E", "message": ""}},
        "either results or an error",
    ),
}


@pytest.mark.parametrize(("damage", "complaint"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_later_line_is_named(file, damage, complaint):
    lines = file.read_text().splitlines()
    data = json.loads(lines[1])
    for key, value in damage.items():
        (data["results"]["blocks"][0] if key in ("seconds", "steps") else data)[key] = value
    lines[1] = json.dumps(data)
    file.write_text("\n".join([*lines, ""]))
    with pytest.raises(UserError, match=complaint) as raised:
        store.read(file.parent)
    assert str(raised.value).startswith(f"{file}, line 2: ")


@pytest.mark.parametrize("place", ["case", "results"])
def test_an_unknown_field_within_a_line_is_refused(file, record, place):
    data = record.as_json()
    data[place]["tensor_parallel"] = 8  # it could change what every figure means
    file.write_text(json.dumps(data) + "\n")
    with pytest.raises(UserError, match=r"tensor_parallel: there is no such field"):
        store.read(file.parent)


def test_an_error_about_a_file_whose_name_is_no_text_can_be_read_back(tmp_path, case):
    message = os.fsdecode(b"cannot open caf\xe9")
    failure = Failure(step="memory", type="OSError", message=message)
    store.append(tmp_path, Record(case=case, variant="sa", environment={}, error=failure))
    assert store.read(tmp_path)[0].variant == "sa"


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


def test_a_folder_is_locked_for_one_process(tmp_path):
    pytest.importorskip("fcntl")
    store.lock(tmp_path)
    store.lock(tmp_path)  # this process may go on
    with pytest.raises(UserError, match=r"^another attnbench is writing to "):
        worker.call(store.lock, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("write", ["append", "lock"])
def test_a_fork_of_the_process_that_locked_a_folder_cannot_write_to_it(tmp_path, record, write):
    store.lock(tmp_path)
    store.append(tmp_path, record)
    copy = os.fork()
    if not copy:  # what happens here is told by the status alone
        status = 1
        try:
            store.append(tmp_path, record) if write == "append" else store.lock(tmp_path)
        except UserError as error:
            status = 0 if "is a fork of the one that opened" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitpid(copy, 0)[1] == 0
    assert store.read(tmp_path) == [record]


@pytest.mark.parametrize(
    ("compiled", "captured", "runtime"),
    [
        (False, False, "eager"),
        (True, False, "compile"),
        (False, True, "cuda-graph"),
        (True, True, "compile+cuda-graph"),
    ],
)
def test_a_record_of_schema_4_states_its_runtime_in_two_switches(
    tmp_path, case, compiled, captured, runtime
):
    folder = _of_schema_4(tmp_path, case, compiled=compiled, cuda_graph=captured)
    (record,) = store.read(folder)
    assert record.case == replace(case, runtime=runtime)
    assert (record.case.compiled, record.case.cuda_graph) == (compiled, captured)


@pytest.mark.parametrize("switches", [{"compiled": True}, {"compiled": 1, "cuda_graph": False}, {}])
def test_a_record_of_schema_4_without_its_switches_is_refused(tmp_path, case, switches):
    with pytest.raises(UserError, match=r"line 1: case\.compiled: there is no such field"):
        store.read(_of_schema_4(tmp_path, case, **switches))


def _of_schema_4(folder, case, **switches):
    store.append(
        folder,
        Record(
            case=case,
            results=Plan(variants=("plain", "control"), budget_s=1.0, target=0.01),
            environment={},
        ),
    )
    file = folder / store.FILE_NAME
    line = json.loads(file.read_text())
    del line["case"]["runtime"]
    line["case"] |= switches
    file.write_text(json.dumps(line | {"schema": 4}) + "\n")
    return folder


@pytest.mark.parametrize("kind", [evaluation, precision])
def test_a_folder_for_a_record_is_taken_back_where_nothing_was_written(kind, tmp_path):
    out = tmp_path / "a" / "b"
    with pytest.raises(KeyboardInterrupt), store.record_folder(kind.FILE, out, "name"):
        raise KeyboardInterrupt
    assert not (tmp_path / "a").exists()


def test_a_folder_for_a_record_that_holds_one_is_left_alone(tmp_path):
    evaluation.append(tmp_path / "a", an_evaluation())
    holder = store.record_folder(evaluation.FILE, tmp_path / "a", "name")
    with pytest.raises(KeyboardInterrupt), holder:
        raise KeyboardInterrupt
    assert evaluation.read(tmp_path / "a") == (an_evaluation(),)


def test_without_out_a_record_has_a_new_folder_that_is_taken_back_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with store.record_folder(evaluation.FILE, None, "cpu-x") as folder:
        assert folder.match("reports/*-cpu-x")
        assert evaluation.exist(folder)
        (folder / evaluation.FILE_NAME).unlink()
        folder.rmdir()
    with pytest.raises(KeyboardInterrupt), store.record_folder(evaluation.FILE, None, "cpu-x"):
        raise KeyboardInterrupt
    assert list((tmp_path / "reports").iterdir()) == []
