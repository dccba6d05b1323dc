import json
import os
import stat
import subprocess
import sys

import pytest

from attnbench.errors import UserError
from attnbench.system import machine_lock
from attnbench.system.locks import lock_file
from attnbench.system.machine_lock import Turn, begin

GPU, OTHER_GPU = "GPU-0a1b", "GPU-2c3d"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Locks of this test alone. One process stands for several: a lock is of an open file."""
    monkeypatch.setenv(machine_lock.FOLDER, str(tmp_path))
    return tmp_path


@pytest.fixture
def turns():
    """Return a function that makes turns, which end with the test."""
    made = []

    def make(*devices):
        made.append(Turn(devices))
        return made[-1]

    yield make
    for turn in made:
        turn.end()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ((), (), False),
        ((GPU,), (GPU,), False),
        ((GPU,), (OTHER_GPU,), True),
        ((), (GPU,), False),  # a GPU waits for the host that issues its work
        ((GPU,), (), False),
    ],
)
def test_who_may_measure_beside_whom(turns, first, second, together):
    one, two = turns(*first), turns(*second)
    assert one.take() is None
    holder = two.take()
    assert (holder is None) == together
    if not together:
        assert holder.pid == os.getpid()
        one.end()
        assert two.take() is None


@pytest.mark.parametrize(
    ("training", "timed", "waits"),
    [
        ((), (), True),
        ((), (GPU,), True),  # all cores train: none would be left to issue a GPU's work
        ((GPU,), (GPU,), True),
        ((GPU,), (OTHER_GPU,), False),
        ((GPU,), (), False),  # a week on a GPU keeps nothing on the CPU waiting
    ],
)
def test_what_is_timed_waits_for_a_training_on_its_device_alone(turns, training, timed, waits):
    one, two = turns(*training), turns(*timed)
    one.work = "trains"
    assert one.take() is None
    one.leave_cores()
    holder = two.take()
    assert (holder is not None) == waits
    if holder is None:  # and sees it, as it feeds its GPU with the cores
        holder = two.beside()
    assert holder.described.endswith(", which trains on this machine")
    one.end()
    assert two.take() is None
    assert two.beside() is None


@pytest.mark.parametrize("timed", [(), (GPU,)])
def test_a_training_waits_while_its_cores_or_gpu_are_timed(turns, timed):
    one, two = turns(*timed), turns(GPU)
    one.take()
    assert two.take().work == "measures"
    one.end()
    assert two.take() is None


def test_a_training_that_shares_does_not_keep_others_waiting(turns):
    one, two, three = turns(), turns(), turns()
    one.take()
    two.work = "trains"
    list(begin(two, "share"))
    one.end()
    assert three.take() is None
    assert three.beside().work == "trains"


def test_a_turn_that_is_taken_again_is_still_one(turns):
    one, two = turns(), turns()
    assert one.take() is one.take() is None
    one.end()
    assert two.take() is None


def test_what_waits_is_told_for_whom_and_goes_on_when_that_ends(turns):
    one, two = turns(), turns()
    one.take()
    waiting = begin(two, "wait")
    assert f"process {os.getpid()} (attnbench" in str(next(waiting))
    assert str(next(waiting)).startswith("process ")
    one.end()
    assert next(waiting, None) is None
    assert one.take() is not None


def test_waiting_can_be_refused(turns):
    one, two = turns(), turns()
    one.take()
    with pytest.raises(UserError, match=r"process \d+ .* measures on this machine; --no-wait"):
        next(begin(two, "refuse"))
    one.end()
    assert next(begin(two, "refuse"), None) is None


def test_both_see_that_they_share(turns):
    one, two = turns(), turns()
    one.take()
    assert one.beside() is None
    assert next(begin(two, "share"), None) is None
    assert one.beside() is not None
    assert two.beside() is not None
    two.end()
    assert one.beside() is None


def test_what_shares_takes_over_when_the_other_ends(turns):
    one, two, three = turns(), turns(), turns()
    one.take()
    list(begin(two, "share"))
    one.end()
    assert two.beside() is None  # and it has the lock now
    assert three.take() is not None
    list(begin(three, "share"))
    assert two.beside() is not None


def test_two_that_share_see_each_other_when_the_first_has_ended(turns):
    one, two, three = turns(), turns(), turns()
    one.take()
    list(begin(two, "share"))
    list(begin(three, "share"))
    one.end()
    assert two.beside() is not None
    assert three.beside() is not None


def test_the_lock_of_a_process_that_was_killed_is_free(turns):
    code = "import os, signal; from attnbench.system.machine_lock import Turn; "
    code += "Turn().take(); os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert turns().take() is None


def test_every_user_can_open_the_files(turns, folder):
    before = os.umask(0o077)
    try:
        turns().take()
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "\0", json.dumps({"pid": [], "command": 1, "since": 2}), "{" * 5000],
)
def test_what_stands_in_the_file_may_be_anything(turns, folder, text):
    one, two = turns(), turns()
    one.take()
    (folder / "attnbench-machine.lock").write_text(text)
    assert two.take() == lock_file.UNKNOWN


def test_words_of_the_file_are_shown_as_text(turns, folder):
    one, two = turns(), turns()
    one.take()
    for work in ("trains", ["a\x1b[2J"], "a\nb"):
        words = {"pid": 3, "command": "a\x1b[2J\n::error::", "since": "now", "work": work}
        (folder / "attnbench-machine.lock").write_text(json.dumps(words))
        assert two.take().described.isprintable()
        assert two.take().work == ("trains" if work == "trains" else "measures")


def test_a_folder_that_cannot_be_written_to_is_named(turns, folder, monkeypatch):
    monkeypatch.setenv(machine_lock.FOLDER, str(folder / "missing"))
    with pytest.raises(UserError, match=r"missing.*ATTNBENCH_LOCKS names another folder"):
        turns().take()


def test_a_body_has_the_machine_alone(turns, capsys, monkeypatch):
    one, two = turns(), turns()
    one.take()
    monkeypatch.setattr(machine_lock, "sleep", lambda _: one.end())
    with machine_lock.alone():
        assert two.take() is not None
    assert capsys.readouterr().err.count("waiting for process") == 1
    assert two.take() is None


def test_a_body_that_is_timed_says_who_trains_elsewhere_on_the_machine(turns, capsys):
    one = turns(GPU)
    one.work = "trains"
    one.take()
    one.leave_cores()
    with machine_lock.alone():
        assert "beside process " in capsys.readouterr().err
    with machine_lock.alone(OTHER_GPU, work="evaluates"):
        cores = turns()
        assert cores.take() is None  # which were left
        cores.end()
        assert turns(OTHER_GPU).take().work == "evaluates"
    assert capsys.readouterr().err == ""


def test_a_body_may_refuse_to_wait(turns):
    turns().take()
    with pytest.raises(UserError, match="--no-wait"), machine_lock.alone(if_busy="refuse"):
        pytest.fail("it has the machine")
