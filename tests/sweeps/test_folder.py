import json

import pytest

from attnbench.errors import UserError
from attnbench.sweeps.folder import SweepFolder


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(tmp_path / "out")


def test_one_driver_at_a_time(folder) -> None:
    folder.open()
    assert SweepFolder(folder.path).is_driven
    with pytest.raises(UserError, match="another attnbench is running the sweep"):
        SweepFolder(folder.path).open()
    folder.close()
    assert not SweepFolder(folder.path).is_driven
    SweepFolder(folder.path).open()


def test_a_folder_of_other_files_is_refused(tmp_path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds other files and no sweep"):
        SweepFolder(tmp_path).open()


def test_bytes_are_added_once_and_in_order(folder) -> None:
    folder.put("a", 0, b"one\n")
    folder.put("a", 4, b"two\n")
    folder.put("a", 0, b"one\ntwo\n")  # again
    folder.put("a", 4, b"two\nthree\n")  # in part again
    folder.put("a", 99, b"nine\n")  # beyond a gap: it comes again with the whole
    assert folder.records("a") == b"one\ntwo\nthree\n"
    folder.put("a", 14, b"fo")  # a line in part is no record yet
    assert folder.records("a") == b"one\ntwo\nthree\n"
    assert folder.records("b") == b""


def test_a_run_has_its_name_when_it_is_finished(folder) -> None:
    folder.put("a", 0, b"one\n")
    assert not folder.is_whole("a")
    folder.finish("a")
    assert folder.is_whole("a")
    assert not (folder.path / "unfinished").exists()
    folder.put("a", 0, b"again\n")
    folder.finish("a")  # which the first one is not replaced by
    assert (folder.whole("a") / "records.jsonl").read_bytes() == b"one\n"
    folder.put("a", 0, b"third\n")
    folder.set_aside("a")
    folder.set_aside("a")
    kept = sorted(path.read_text() for path in folder.path.glob("lost/*/records.jsonl"))
    assert kept == ["again\n", "third\n"]


def test_what_happened_is_read_back(folder) -> None:
    folder.open()
    folder.plan([])
    folder.happened("a", "running", "lab1 cpu")
    plan, event = folder.lines()
    assert (plan.kind, plan.configurations) == ("plan", ())
    assert (event.name, event.state, event.where, event.message) == (
        "a",
        "running",
        "lab1 cpu",
        None,
    )


def test_a_damaged_file_is_named_with_its_line(folder) -> None:
    folder.open()
    folder.plan([])
    with (folder.path / "sweep.jsonl").open("a") as file:
        file.write('{"schema":1,"entry":{"kind":"event","time":"2026-11-26"}}\n')
    with pytest.raises(UserError, match=r"sweep.jsonl, line 2: entry.name is missing"):
        folder.lines()


PLANNED = {"name": "a-1", "described": "resnet18", "wanted": "cpu", "seconds": 3.0}
HAPPENED = {"kind": "event", "time": "2026-11-26", "name": "a-1", "state": "failed"}


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"kind": "plan", "configurations": [PLANNED | {"seconds": 1e300}]}, r"0\.seconds"),
        ({"kind": "plan", "configurations": [PLANNED | {"name": "../../run"}]}, r"0\.name"),
        ({"kind": "plan", "configurations": [PLANNED | {"name": ".."}]}, r"0\.name"),
        (HAPPENED | {"name": "a\0b"}, "name"),
        (HAPPENED | {"time": "0001-01-01T00:00:00+14:00"}, "time: .*a date that clocks can show"),
        (HAPPENED | {"time": "soon"}, "time"),
    ],
)
def test_lines_that_no_sweep_has_written_are_refused(folder, entry, field) -> None:
    folder.path.mkdir()
    line = {"schema": 1, "entry": {"time": "2026-11-26T12:00:00+00:00"} | entry}
    (folder.path / "sweep.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=rf"sweep\.jsonl, line 1: entry\..*{field}"):
        folder.lines()
