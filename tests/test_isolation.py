import multiprocessing
import os
import signal
import sys
from pickle import PicklingError

import pytest
import simulated

from attnbench import isolation, store
from attnbench.errors import UserError


def test_a_call_returns_what_its_function_returns():
    assert isolation.call(divmod, 17, 5) == (3, 2)


def test_a_call_runs_in_a_process_of_its_own():
    first, second = isolation.call(os.getpid), isolation.call(os.getpid)
    assert len({os.getpid(), first, second}) == 3


def test_an_exception_comes_back_with_its_type_and_message():
    with pytest.raises(ValueError, match=r"^invalid literal for int\(\) with base 10: 'x'$"):
        isolation.call(int, "x")


@pytest.mark.parametrize(
    ("death", "argument"),
    [(os._exit, 0), (os._exit, 3), (signal.raise_signal, signal.SIGKILL)],
    ids=["exit 0", "exit 3", "killed"],
)
def test_a_child_that_dies_is_a_runtime_error_and_the_next_call_works(death, argument):
    with pytest.raises(RuntimeError, match=r"^its process was killed"):
        isolation.call(death, argument)
    assert isolation.call(divmod, 17, 5) == (3, 2)


def test_a_result_that_cannot_be_sent_is_an_exception_and_no_death():
    with pytest.raises((AttributeError, PicklingError, TypeError), match="pickle"):
        isolation.call(eval, "lambda: 1")


def test_the_users_errors_stay_the_users(tmp_path):
    with pytest.raises(UserError, match=r"^cannot read "):
        isolation.call(store.read, tmp_path)


def test_an_exception_that_cannot_be_sent_is_named():
    with pytest.raises(RuntimeError, match=r"^TwoPartError: fire in the kitchen$"):
        isolation.call(simulated.raise_two_parts)


def test_a_child_that_exits_does_not_take_its_parent_along():
    with pytest.raises(RuntimeError, match="ended with status 3"):
        isolation.call(sys.exit, 3)


def test_processes_are_spawned_where_there_is_no_fork_server(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert isolation._context().get_start_method() == "spawn"
