from dataclasses import replace

import pytest

from attnbench import temporary
from attnbench.errors import UserError
from attnbench.measuring.processes.norm_statistics import file_of, folders


def with_sources(run):
    return replace(run, plan=replace(run.plan, sources={"plain": "mine.py, sha256 1"}))


def test_each_run_whose_processes_share_statistics_has_a_folder_until_the_end(new_run):
    runs = [new_run(processes=2), with_sources(new_run(processes=2)), new_run(processes=6)]
    seen = []

    def interrupted():
        with folders(runs):
            seen.extend(run.norm_statistics for run in runs)
            assert all(folder.is_dir() for folder in seen if folder)
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    first, none, second = seen
    assert none is None
    assert first != second
    assert [run.norm_statistics for run in runs] == [None] * 3
    assert not first.exists()
    assert not second.exists()


@pytest.mark.parametrize(
    "other",
    [
        {"processes": 1},
        {"mode": "training"},
        {"runtime": "compile"},
        {"runtime": "onnxruntime"},
        {"isolated": True},
    ],
)
def test_none_are_taken_for_what_reads_none(new_run, other):
    run = new_run(**{"processes": 2, **other})
    assert not run.shares_statistics
    with folders([run]):
        assert run.norm_statistics is None
        assert file_of(run, "plain") is None


def test_the_controls_statistics_are_the_plain_hosts(new_run):
    run = new_run(processes=2)
    with folders([run]):
        plain, control, *others = (file_of(run, variant) for variant in run.plan.variants)
    assert plain == control
    assert len({plain, *others}) == 1 + len(others)


def test_without_a_temporary_folder_each_process_takes_its_own(new_run, monkeypatch):
    def refuse():
        raise UserError("no temporary folder can be made")

    monkeypatch.setattr(temporary, "made", refuse)
    run = new_run(processes=2)
    with folders([run]):
        assert run.norm_statistics is None
