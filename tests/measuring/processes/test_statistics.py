from dataclasses import replace

import pytest

from attnbench.measuring.processes.statistics import taken_once


@pytest.mark.parametrize("sources", [{}, {"plain": "mine.py, sha256 1"}])
def test_a_run_has_a_folder_of_its_own_unless_code_of_others_is_in_it(new_run, sources):
    runs = [new_run(), new_run()]
    runs = [replace(run, plan=replace(run.plan, sources=sources)) for run in runs]
    with taken_once(runs):
        folders = {run.statistics for run in runs}
        assert folders == {None} if sources else all(folder.is_dir() for folder in folders)
        assert len(folders) == (1 if sources else 2)
    assert all(run.statistics is None for run in runs)
    assert not any(folder and folder.exists() for folder in folders)
