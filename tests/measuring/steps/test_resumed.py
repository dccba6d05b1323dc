"""Runs that go on where they stopped."""

from dataclasses import replace

import pytest
from helpers.runs import (
    first_records,
    kinds,
    rounds_in,
)

from attnbench.records.run import gather
from attnbench.records.schema import (
    Failure,
)
from attnbench.records.variants import PLAIN

pytestmark = pytest.mark.usefixtures("small_host", "counted")


WHOLE = 6 + 4 + 1  # counts and memory of three networks, four rounds, the end


@pytest.mark.parametrize("done", range(WHOLE))
def test_a_resumed_run_does_what_is_left_and_nothing_twice(
    new_run, perform, machine, counted, done
):
    whole = perform(new_run(), clock=machine)
    assert len(whole) == WHOLE
    run = gather(first_records(new_run()) + whole[:done], "file")
    counted.clear()
    rest = perform(run, clock=machine)
    assert kinds(rest) == kinds(whole[done:])
    again = done > WHOLE - 5  # after a round: another process
    assert [each.process for each in rounds_in(rest)] == [int(again)] * len(rounds_in(rest))
    as_one = [replace(each, process=0) for each in rounds_in(rest)]
    assert as_one == rounds_in(whole[done:])  # numbers, orders and seconds
    assert len(counted) == max(0, 3 - done)


def test_a_resumed_run_does_not_try_again_what_failed(new_run, perform, machine):
    failures = {
        "se": {step: Failure(step=step, type="E", message="") for step in ("counts", "latency")},
        "eca": {"memory": Failure(step="memory", type="E", message="")},
    }
    run = new_run()
    run.failures.update(failures)
    perform(run, clock=machine)
    assert run.failures == failures
    assert "se" not in machine.log
    assert set(run.counts) == {PLAIN, "eca"}
    assert set(run.memory) == {PLAIN, "se"}


def test_nothing_is_left_to_do_for_a_finished_run(new_run, perform, machine):
    run = new_run()
    perform(run, clock=machine)
    assert perform(run, clock=machine) == []
