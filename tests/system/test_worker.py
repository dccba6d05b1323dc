import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from select import select

import pytest
from helpers import endless, processes

from attnbench.errors import UserError
from attnbench.records import store
from attnbench.system import worker


@pytest.mark.usefixtures("spawned")
def test_a_streams_process_is_spawned():
    assert worker._spawned().get_start_method() == "spawn"
    assert list(worker.stream(range, 3)) == [0, 1, 2]


@pytest.mark.parametrize("function", [worker.stream, partial(worker.stream, range)])
def test_a_call_starts_where_its_functions_module_and_the_preloaded_are_imported(
    monkeypatch, function
):
    names = []
    context = type(multiprocessing.get_context("forkserver"))
    monkeypatch.setattr(context, "set_forkserver_preload", lambda _, modules: names.extend(modules))
    monkeypatch.setattr(worker, "PRELOAD", [])
    worker.PRELOAD.append("attnbench.errors")
    worker._prepared(worker._module(function))
    assert names[1:] == ["attnbench.errors", "attnbench.system.worker"]


def test_a_call_returns_what_its_function_returns():
    assert worker.call(divmod, 17, 5) == (3, 2)


def test_a_call_runs_in_a_child_process():
    first, second = worker.call(os.getpid), worker.call(os.getpid)
    assert len({os.getpid(), first, second}) == 3


def test_a_call_runs_where_its_caller_is(tmp_path, monkeypatch):
    worker.call(os.getcwd)  # by now its process is prepared elsewhere
    monkeypatch.chdir(tmp_path)
    assert worker.call(os.getcwd) == str(tmp_path)


def test_an_exception_comes_back_with_its_type_and_message():
    with pytest.raises(ValueError, match=r"^invalid literal for int\(\) with base 10: 'x'$"):
        worker.call(int, "x")


DEATHS = [
    (os._exit, 0, "the worker process ended with status 0"),
    (os._exit, 3, "the worker process ended with status 3"),
    (
        signal.raise_signal,
        signal.SIGKILL,
        r"the worker process was killed \(SIGKILL\), possibly because memory ran out",
    ),
    (signal.raise_signal, signal.SIGTERM, "the worker process was killed by SIGTERM"),
    (signal.raise_signal, signal.SIGABRT, "the worker process was killed by SIGABRT"),
]
DEATH_NAMES = ["exit 0", "exit 3", "killed", "terminated", "aborted"]


@pytest.mark.parametrize(("death", "argument", "message"), DEATHS, ids=DEATH_NAMES)
def test_a_child_that_dies_is_an_error_and_the_next_call_works(death, argument, message):
    with pytest.raises(worker.ChildDiedError, match=f"^{message}$"):
        worker.call(death, argument)
    assert worker.call(divmod, 17, 5) == (3, 2)


def test_a_death_can_be_taken_for_any_runtime_error():
    with pytest.raises(RuntimeError, match="ended with status 0"):
        worker.call(os._exit, 0)


def test_a_result_that_cannot_be_sent_is_an_exception_and_no_death():
    with pytest.raises((AttributeError, RuntimeError, TypeError), match="pickle"):
        worker.call(eval, "lambda: 1")


def test_a_user_error_keeps_its_type(tmp_path):
    with pytest.raises(UserError, match=r"^cannot read "):
        worker.call(store.read, tmp_path)


def test_an_exception_of_a_foreign_class_has_its_name_and_its_text():
    with pytest.raises(RuntimeError, match=r"^fire in the kitchen$") as raised:
        worker.call(processes.raise_two_parts)
    assert raised.type.__name__ == "TwoPartError"


@pytest.mark.parametrize(
    ("error", "message"),
    [(KeyboardInterrupt(), "KeyboardInterrupt"), (BaseException("x"), "BaseException: x")],
)
def test_an_error_that_is_no_exception_is_a_death_and_no_interrupt(error, message):
    with pytest.raises(worker.ChildDiedError, match=f"^the worker process was ended by {message}$"):
        worker.call(processes.throw, error)


def test_what_a_child_prints_goes_to_stderr(tmp_path):
    code = (
        "import os\n"
        "from attnbench.system import worker\n"
        "if __name__ == '__main__':\n"
        "    worker.call(print, 'printed')\n"
        "    worker.call(os.system, 'echo by another')\n"
    )
    (tmp_path / "prints.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, tmp_path / "prints.py"], check=True, capture_output=True, text=True
    )
    assert (shown.stdout, shown.stderr.split()) == ("", ["printed", "by", "another"])


def test_a_child_that_exits_does_not_take_its_parent_along():
    with pytest.raises(worker.ChildDiedError, match="ended with status 3"):
        worker.call(sys.exit, 3)


@pytest.mark.parametrize(
    ("numbers", "by_error", "last"),
    [((1, 2, 65_535), False, 65_535), ((), False, None), ((3,), True, 3)],
)
def test_a_child_that_dies_has_stated_what_it_had_begun(numbers, by_error, last):
    items = worker.stream(partial(processes.mark_and_die, numbers, by_error=by_error))
    next(items)  # whose mark is none of the next item's
    with pytest.raises(worker.ChildDiedError) as died:
        next(items)
    assert died.value.mark == last


def test_marks_that_fill_their_pipe_do_not_make_a_child_wait():
    items = worker.stream(partial(processes.mark_and_die, range(60_000)))
    next(items)
    with pytest.raises(worker.ChildDiedError, match="ended with status 3"):
        next(items)


def test_processes_are_spawned_where_there_is_no_fork_server(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert worker._prepared().get_start_method() == "spawn"


def test_the_items_of_a_stream_arrive_in_their_order_from_one_other_process():
    numbers, identities = zip(*worker.stream(processes.numbered, 4), strict=True)
    assert numbers == (0, 1, 2, 3)
    assert len(set(identities)) == 1
    assert os.getpid() not in identities


def test_a_stream_may_be_empty():
    assert list(worker.stream(processes.numbered, 0)) == []


def test_nothing_runs_before_the_first_item_is_asked_for(tmp_path):
    stream = worker.stream(processes.noted, tmp_path / "notes", 2)
    assert multiprocessing.active_children() == []
    stream.close()
    assert list(tmp_path.iterdir()) == []


def test_an_item_is_begun_when_it_is_asked_for_and_not_before(tmp_path):
    notes = tmp_path / "notes"
    stream = worker.stream(processes.noted, notes, 3)
    begun = [(item, notes.read_text()) for item in stream]
    assert begun == [(0, "0 "), (1, "0 1 "), (2, "0 1 2 ")]


def test_a_stream_that_is_used_up_leaves_no_process():
    stream = worker.stream(processes.numbered, 2)
    assert len([*stream]) == 2
    assert multiprocessing.active_children() == []


def one_by_one(received, function, *args):
    for item in worker.stream(function, *args):
        received.append(item)


# The first is what a child's end looks like from here, the others what a closed pipe does.
@pytest.mark.parametrize(
    "error",
    [EOFError("no more"), ConnectionResetError("no peer"), BrokenPipeError("no reader")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("items", [[], [1, 2]], ids=["at once", "later"])
def test_what_a_function_raises_is_not_taken_for_its_death(items, error):
    received = []
    with pytest.raises(type(error), match=str(error)):
        one_by_one(received, processes.items_then_raise, items, error)
    assert received == items
    assert multiprocessing.active_children() == []


def test_an_exception_comes_after_the_items_before_it():
    received = []
    with pytest.raises(ValueError, match=r"^no third$"):
        one_by_one(received, processes.items_then_raise, [1, 2], ValueError("no third"))
    assert received == [1, 2]


@pytest.mark.parametrize(("death", "argument", "message"), DEATHS, ids=DEATH_NAMES)
def test_a_death_comes_after_the_items_before_it(death, argument, message):
    received = []
    with pytest.raises(worker.ChildDiedError, match=f"^{message}$"):
        one_by_one(received, processes.items_then_call, [1, 2], death, argument)
    assert received == [1, 2]
    assert multiprocessing.active_children() == []


def test_a_child_killed_from_outside_between_two_items_is_found_dead():
    stream = worker.stream(processes.numbered, 3)
    _, process = next(stream)
    os.kill(process, signal.SIGKILL)
    with pytest.raises(
        worker.ChildDiedError, match=r"^the worker process was killed \(SIGKILL\), possibly"
    ):
        next(stream)


def test_an_item_that_cannot_be_sent_is_an_exception_after_the_items_before_it():
    received = []
    with pytest.raises((AttributeError, RuntimeError, TypeError), match="pickle"):
        one_by_one(received, eval, "iter([1, lambda: 1])")
    assert received == [1]


def test_a_consumer_that_stops_early_leaves_no_process():
    stream = worker.stream(processes.numbered, 3)
    _, process = next(stream)
    assert [child.pid for child in multiprocessing.active_children()] == [process]
    stream.close()
    assert multiprocessing.active_children() == []


def test_a_consumer_that_fails_leaves_no_process():
    def consume():
        for _ in worker.stream(processes.numbered, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert multiprocessing.active_children() == []


@pytest.fixture
def interruptible():
    """Where tests run in the background, they may ignore an interrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_while_an_item_is_made_leaves_no_process():
    stream = worker.stream(processes.item_then_interrupt, os.getpid())
    next(stream)
    (child,) = multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert multiprocessing.active_children() == []
    assert child.exitcode == -signal.SIGKILL  # it was not waited for


def test_a_child_leaves_an_interrupt_to_its_parent():
    stream = worker.stream(processes.numbered, 3)
    _, process = next(stream)
    os.kill(process, signal.SIGINT)
    assert list(stream) == [(1, process), (2, process)]


def test_an_item_that_would_run_code_on_arrival_is_an_error_and_no_death():
    with pytest.raises(RuntimeError, match=r"sent a helpers.processes.fail_on_arrival, which is"):
        list(worker.stream(processes.give_what_fails_on_arrival))
    assert multiprocessing.active_children() == []


def test_a_death_by_a_signal_without_a_name_has_its_number():
    with pytest.raises(worker.ChildDiedError, match=r"killed by signal 35$"):
        worker.call(signal.raise_signal, 35)


@pytest.fixture
def held(tmp_path):
    """Return a FIFO, and a function that waits until no process has it open any more."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def is_released():
        return bool(select([reader], [], [], 20)[0]) and os.read(reader, 1) == b""

    yield path, is_released
    os.close(reader)


def test_a_child_that_never_answers_is_ended_with_what_it_has_started(held):
    fifo, is_released = held
    expected = r"^no answer within 0.5 s, so its process was ended; --timeout SECONDS allows more$"
    with worker.time_limit(0.5), pytest.raises(worker.TimedOutError, match=expected):
        worker.call(endless.never_return, fifo)
    assert is_released()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_is_a_positive_number(seconds):
    with pytest.raises(UserError, match="a positive number of seconds"), worker.time_limit(seconds):
        pass


def test_a_child_that_has_returned_is_not_kept_by_its_threads_nor_what_it_does_at_exit(held):
    fifo, is_released = held
    assert worker.call(endless.return_and_stay, fifo) == 17
    assert is_released()


def test_a_copy_that_a_module_forks_is_ended(held, capfd):
    fifo, is_released = held
    assert worker.call(endless.fork_and_wait, fifo) != os.getpid()
    assert is_released()
    assert "a module forks the process" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is called")
def test_a_copy_that_c_code_forks_gives_no_answers():
    with worker.time_limit(20):
        assert list(worker.stream(endless.forked_by_c, 3)) == [1, 1, 1]


def test_a_child_is_ended_with_what_it_has_started_when_its_parent_is_killed(held):
    fifo, is_released = held
    code = (
        "import sys\n"
        f"sys.path.append({str(Path(endless.__file__).parents[1])!r})\n"
        "from helpers import endless\n"
        "from attnbench.system import worker\n"
        "worker.call(endless.never_return, sys.argv[1])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, fifo])
    with fifo.open():  # until the other end is open as well
        parent.kill()
    assert parent.wait() == -signal.SIGKILL
    assert is_released()


def test_what_a_child_prints_is_shown_up_to_64_kib(capfd):
    assert worker.call(endless.print_much) == 17
    shown = capfd.readouterr().err
    assert shown.startswith("x" * 2**10)
    assert shown.endswith("\nattnbench: further output is dropped\n")
    assert len(shown) < 2**16 + 100


def test_a_fork_server_that_was_killed_is_started_again(tmp_path):
    code = (
        "import os, signal\n"
        "from attnbench.system import worker\n"
        "if __name__ == '__main__':\n"
        "    os.kill(worker.call(os.getppid), signal.SIGKILL)\n"
        "    print(worker.call(divmod, 17, 5))\n"
    )
    (tmp_path / "kills.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, tmp_path / "kills.py"], check=True, capture_output=True, text=True
    )
    assert (shown.stdout, shown.stderr) == ("(3, 2)\n", "")


def test_a_fork_server_whose_pipe_a_module_writes_to_is_replaced_without_a_word(tmp_path):
    code = (
        "import os\n"
        "from multiprocessing import forkserver\n"
        "from attnbench.system import worker\n"
        "def write():\n"
        "    os.write(forkserver._forkserver._forkserver_alive_fd, b'x')\n"
        "    return os.getppid()\n"
        "if __name__ == '__main__':\n"
        "    first = worker.call(write)\n"
        "    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)\n"
        "    print(worker.call(os.getppid) != first)\n"
    )
    (tmp_path / "writes.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, tmp_path / "writes.py"], check=True, capture_output=True, text=True
    )
    assert (shown.stdout, shown.stderr) == ("True\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="only there the server asks to be told")
def test_a_fork_server_whose_starter_was_killed_before_it_could_ask_for_that_imports_nothing(
    tmp_path,
):
    """It would be told of a later end; of an earlier one says the pipe that the other one held."""
    (tmp_path / "endless.py").write_text("import threading\nthreading.Event().wait()\n")
    listener, pipe, held = os.memfd_create("listener"), *os.pipe()
    os.close(held)
    server = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from multiprocessing.forkserver import main; "
            f"main({listener}, {pipe}, ['attnbench.system.fork_server', 'endless'])",
        ],
        pass_fds=(listener, pipe),
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        timeout=60,
        check=False,
    )
    os.close(listener)
    os.close(pipe)
    assert server.returncode == 0


def stop_the_fork_server():
    os.kill(os.getppid(), signal.SIGSTOP)


def test_a_fork_server_that_a_module_stops_goes_on():
    worker.call(stop_the_fork_server)
    assert worker.call(divmod, 17, 5) == (3, 2)


def test_a_copy_whose_starter_ends_before_it_has_sent_work_says_nothing(tmp_path):
    code = (
        "import os\n"
        "from multiprocessing import forkserver\n"
        "from attnbench.system import worker\n"
        "if __name__ == '__main__':\n"
        "    worker.call(os.getpid)\n"
        "    answers, work = forkserver.connect_to_new_process([])\n"
        "    forkserver.read_signed(answers)  # its number\n"
        "    os.close(work)\n"
        "    print(forkserver.read_signed(answers))  # its status\n"
    )
    (tmp_path / "ends.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, tmp_path / "ends.py"], check=True, capture_output=True, text=True
    )
    assert (shown.stdout, shown.stderr) == ("1\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="semaphores are files on Linux alone")
def test_semaphores_of_a_child_are_removed_without_a_word():
    code = (
        "from attnbench.system import worker; from helpers import endless\n"
        "if __name__ == '__main__': print(worker.call(endless.leave_semaphore))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    name = done.stdout.strip().removeprefix("/")
    assert name.startswith("mp-")
    assert done.stderr == ""
    assert not Path("/dev/shm", f"sem.{name}").exists()


def test_what_the_tracker_of_semaphores_says_is_not_shown(monkeypatch, capfd):
    """A custom module that writes into every open file makes it print tracebacks."""
    monkeypatch.setattr(worker.resource_tracker, "ensure_running", lambda: os.write(2, b"hidden"))
    worker._start_tracker()
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"


def test_a_stream_that_something_holds_keeps_no_program_from_its_end():
    code = (
        "from itertools import count\n"
        "from attnbench.system import worker\n"
        "held = worker.stream(count)\n"
        "print(next(held))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
def test_a_copy_of_the_program_ends_no_stream_of_it():
    numbers = worker.stream(range, 2)
    assert next(numbers) == 0
    copy = os.fork()
    if not copy:
        worker._end_all()
        os._exit(0)
    os.waitpid(copy, 0)
    assert list(numbers) == [1]
