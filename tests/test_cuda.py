"""What only a CUDA device can show: ``pytest -m cuda``."""

from pathlib import Path

import pytest
import torch

from attnbench import memory, store, timing
from attnbench.cli import main
from attnbench.records import Case, Memory, Round
from attnbench.workload import step

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def test_events_time_the_devices_work_and_not_the_call() -> None:
    matrix = torch.ones(4096, 4096, device="cuda")
    clock = timing.CudaClock()
    one, many = (timing.timed(lambda: matrix @ matrix, times, clock) for times in (1, 64))
    assert 0 < one < many


def test_a_steps_peak_is_above_what_was_allocated_before(case: Case) -> None:
    taken = memory._on_cuda(step(case, "plain", "cuda"), live=0)
    assert taken.peak_allocated_bytes > taken.allocated_bytes > 102_228_128  # the weights
    assert taken.peak_reserved_bytes >= taken.peak_allocated_bytes


def test_the_main_job_small_on_the_device(tmp_path: Path) -> None:
    small = ["--modules", "se", "--image-size", "64", "--budget", "0.5", "--device", "cuda"]
    with pytest.raises(SystemExit) as stop:
        main([*small, "--out", str(tmp_path)])
    assert stop.value.code == 0
    records = store.read(tmp_path)
    assert all(record.environment["gpu"] for record in records)
    peaks = [record.results for record in records if isinstance(record.results, Memory)]
    assert all(peak.peak_allocated_bytes and peak.peak_reserved_bytes for peak in peaks)
    assert any(isinstance(record.results, Round) for record in records)
