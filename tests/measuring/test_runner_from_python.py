"""``attnbench.run``: whole runs from Python."""

import multiprocessing
import sys
from dataclasses import replace

import pytest

import attnbench
from attnbench.errors import UserError
from attnbench.measuring.events import Beginning, Planned
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import gather
from attnbench.records.schema import (
    Record,
)
from attnbench.records.variants import CONTROL, PLAIN

pytestmark = pytest.mark.usefixtures("small_host", "counted")


SMALL = RunOptions(
    modules=("eca",), host="resnet50", image_size=(32,), budget_s=0.05, device="cpu", threads=1
)
LEFT_OUT = replace(SMALL, modules=("eca", "sk"), host="resnet18")


@pytest.mark.usefixtures("one_process")
def test_the_main_job_from_python_stores_each_record_and_tells_of_it(tmp_path):
    events = []

    def progress(run, event):
        if isinstance(event, Record):  # it is on the disk by now
            assert store.read(tmp_path / "run")[-1].results == event.results
        events.append((run, event))

    measured = attnbench.run(SMALL, tmp_path / "run", progress)
    (run,) = measured.runs
    assert measured.folder == tmp_path / "run"
    assert run.finished
    assert gather(store.read(measured.folder), "file") == run
    assert events[:2] == [(run, Planned(measured.folder)), (run, Beginning("counts", PLAIN))]
    assert all(told is run for told, _ in events)
    again = attnbench.run(attnbench.RunOptions(), str(tmp_path / "run"))  # nothing is left to do
    assert (again.folder, again.runs[0].rounds) == (tmp_path / "run", run.rounds)
    with pytest.warns(UserWarning, match="left out: sk: the blocks of resnet18 have no site"):
        measured = attnbench.run(LEFT_OUT, tmp_path / "narrow")
    assert measured.left_out.keys() == {"sk"}
    assert measured.runs[0].modules == ("eca",)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.usefixtures("one_process")
def test_statistics_are_taken_before_the_rounds_of_several_processes(tmp_path, processes):
    begun = []

    def progress(_, event):
        if isinstance(event, Beginning):
            begun.append((event.kind, event.variant))

    attnbench.run(replace(SMALL, processes=processes), tmp_path, progress)
    of_networks = [("norm statistics", PLAIN), *(("norm statistics", m) for m in SMALL.modules)]
    at = begun.index(("warm-up", PLAIN))
    taken = begun[at - len(of_networks) : at]
    assert (taken == of_networks) == (processes > 1)
    assert ("norm statistics" in dict(begun)) == (processes > 1)


@pytest.mark.usefixtures("one_process")
def test_a_grid_from_python_is_planned_whole_and_resumed_where_it_was_interrupted(tmp_path):
    grid = replace(SMALL, batch_size=(2, 1))
    folders = [tmp_path / "grid" / f"inference-float32-b{images}-32" for images in (1, 2)]
    planned = []

    def interrupt(_, event):
        if not isinstance(event, Planned):
            raise KeyboardInterrupt
        planned.append(event.folder)

    with pytest.raises(KeyboardInterrupt):
        attnbench.run(grid, str(tmp_path / "grid"), interrupt)
    assert planned == folders
    measured = attnbench.run(grid, tmp_path / "grid")
    assert [run.case.batch_size for run in measured.runs] == [1, 2]
    assert all(run.finished for run in measured.runs)
    assert set(attnbench.read(measured.folder)["variant"]) == {PLAIN, CONTROL, "eca"}


def test_bad_options_from_python_are_errors_of_the_user(tmp_path):
    for options, message in (
        ({"modules": ("foo",)}, "unknown attention module 'foo'"),
        ({"batch_size": 8}, r"batch_size must be a tuple of values, such as \(1, 8\), not 8"),
        ({"dtype": ("int4",)}, "unknown dtype 'int4'"),
    ):
        with pytest.raises(UserError, match=message):
            attnbench.run(replace(SMALL, **options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_script_that_child_processes_would_run_again_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UserError, match="put the call under if __name__ == '__main__':"):
        attnbench.run(SMALL, tmp_path / "run")


def test_a_program_from_standard_input_is_refused_as_children_could_not_import_it(
    tmp_path, monkeypatch
):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", str(tmp_path / "<stdin>"), raising=False)
    monkeypatch.setattr(main, "__spec__", None)
    with pytest.raises(UserError, match="<stdin> is no file; write the program to a file"):
        attnbench.run(SMALL, tmp_path / "run")
    assert not (tmp_path / "run").exists()
