import pytest
from helpers import processes

from attnbench.system import worker
from attnbench.system.process_settings import can_keep_memory

SIZE = 16 * 2**20
PAGES = SIZE // 4096


@pytest.mark.skipif(not can_keep_memory(), reason="only glibc can be told to keep memory")
def test_memory_that_is_kept_is_not_faulted_in_again() -> None:
    kept, given_back = (
        worker.call(processes.faults_of_taking_again, SIZE, 10, keep) for keep in (True, False)
    )
    assert kept < PAGES
    assert given_back >= 10 * PAGES  # again each time
