"""Workers as jobs of a queue: the class of dask-jobqueue whose queue is this machine."""

from pathlib import Path

import dask
import pytest
from dask_jobqueue.local import LocalCluster

from attnbench.records import run, store
from attnbench.sweeps.engine import driver
from attnbench.sweeps.engine.slot import plain_environment


# dask-jobqueue's local job leaves the pipes of its process open.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
def test_jobs_of_a_queue_are_slots_with_a_plain_environment(
    course_of, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.chdir(tmp_path)
    course, _ = course_of(1, 2, device="cpu")
    cluster = LocalCluster(
        cores=1,
        memory="1GB",
        nanny=True,  # Dask's default, which sets OMP_NUM_THREADS=1
        worker_extra_args=["--preload", "helpers.sweep_preload"],
        scheduler_options={
            "host": "127.0.0.1",
            "port": 0,
            "dashboard_address": "127.0.0.1:0",
        },
    )
    with cluster:
        cluster.scale(jobs=1)
        driver.drive(course, cluster.scheduler_address, wait_s=60.0)
    assert len(course.done) == 2
    for folder in store.runs_in(tmp_path / "out"):
        assert run.read(folder).environment["omp"] is None


def test_what_the_nanny_sets_is_taken_away_and_nothing_else() -> None:
    engine = dask.config.get("distributed.nanny.pre-spawn-environ")
    assert engine["OMP_NUM_THREADS"] == 1
    set_by_nanny = {key: str(value) for key, value in engine.items()} | {"PYTHONHASHSEED": "6640"}
    own = {"PATH": "/bin", "MKL_NUM_THREADS": "4"}
    assert plain_environment(set_by_nanny | own, by_nanny=True) == own
    assert plain_environment(set_by_nanny, by_nanny=False) == set_by_nanny


@pytest.mark.parametrize("extra", [{}, {"attnbench": None}])
def test_a_worker_of_dask_alone_is_no_slot(extra) -> None:
    from attnbench.sweeps.engine import slot

    assert slot.known({"name": "x"} | extra, "tcp://127.0.0.1:1") is None
