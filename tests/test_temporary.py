"""What each end of a process leaves of its temporary folders, in a folder that only it uses."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attnbench import temporary
from attnbench.errors import UserError
from attnbench.system import worker

PROGRAM = """
import os, signal
from multiprocessing import util
from attnbench import temporary
from attnbench.cli import interrupts
interrupts.GRACE_S = 0.1
with interrupts.handled(), temporary.folder() as place:
    place.joinpath("file").write_text("bytes")
    temporary.keep_sockets()
    print("ready", flush=True)
    {body}
"""

SWALLOW = """
    while True:
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
"""


def as_started_by_a_terminal() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def short() -> Iterator[Path]:
    """Make a folder whose path is short enough for the address of a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def start(short: Path) -> Callable[[str], Any]:
    """Start a program that has a temporary folder and a folder of sockets."""

    def started(body: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.replace("{body}", body)],
            env=os.environ | {"TMPDIR": str(short)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=as_started_by_a_terminal,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    return started


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("body", "number", "status"),
    [
        ("pass", None, 0),
        ("raise SystemExit(2)", None, 2),
        ("raise ValueError", None, 1),
        ("signal.pause()", signal.SIGINT, 130),
        ("signal.pause()", signal.SIGTERM, 143),
        ("signal.pause()", signal.SIGHUP, 129),
        (SWALLOW, signal.SIGTERM, 143),
        ("copy = os.fork(); copy and os.wait() and place.joinpath('file').read_text()", None, 0),
    ],
    ids=["end", "refusal", "error", "SIGINT", "SIGTERM", "SIGHUP", "too late", "a copy"],
)
def test_no_end_leaves_anything(
    start: Callable[[str], Any], short: Path, body: str, number: int | None, status: int
) -> None:
    with start(body) as process:
        if number is not None:
            assert len(left(short)) == 1
            process.send_signal(number)
    assert (process.returncode, left(short)) == (status, [])


def test_what_a_killed_process_has_left_goes_with_the_next_and_a_living_ones_stays(
    start: Callable[[str], Any], short: Path
) -> None:
    with start("signal.pause()") as living, start("signal.pause()") as killed:
        both = left(short)
        killed.kill()
        killed.wait()
        assert left(short) == both
        with start("pass") as third:
            pass
        assert third.returncode == 0
        (only,) = left(short)
        assert only.startswith(f"attnbench-{living.pid}-")
        living.terminate()
    assert left(short) == []


def test_folders_that_are_not_of_a_process_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "mine"
    for place in (elsewhere, tmp_path / "attnbench-slots", tmp_path / "attnbench-12-unlocked"):
        place.mkdir()
        (place / "file").touch()
    (elsewhere / temporary.IN_USE).touch()
    (tmp_path / "attnbench-13-a-link").symlink_to(elsewhere)
    temporary.remove_dead()
    assert len(left(tmp_path)) == 4
    assert left(elsewhere) == ["file", temporary.IN_USE]


def test_where_none_can_be_made_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(temporary._Own, "path", tmp_path / "gone")
    with pytest.raises(
        UserError, match="no temporary folder can be made: No such file or directory; TMPDIR"
    ):
        temporary.made()


def test_sockets_lie_elsewhere_where_their_path_would_be_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """103 bytes are the most on macOS, of which 32 are their own: 71 are left for the folder."""
    places: list[str] = []
    monkeypatch.setattr(
        temporary.util, "get_temp_dir", lambda: places.append(tempfile.gettempdir()) or "sockets"
    )
    monkeypatch.setattr(temporary._Own, "sockets", None)
    for name in ("x" * 70, "x" * 71):
        monkeypatch.setattr(temporary._Own, "path", Path("/") / name)
        temporary.keep_sockets()
    assert places == ["/" + "x" * 70, tempfile.gettempdir()]


def fill(end: Callable[[], object]) -> None:
    temporary.made().joinpath("file").touch()
    end()


@pytest.mark.parametrize("end", [os.abort, int, sys.exit], ids=["crash", "return", "exit"])
def test_a_child_leaves_nothing_however_it_ends(end: Callable[[], object]) -> None:
    before = left(temporary.of_process())
    try:
        worker.call(fill, end)
    except worker.ChildDiedError:
        assert end is not int
    assert left(temporary.of_process()) == sorted({*before, *sockets()})


def test_a_child_that_does_not_return_leaves_nothing() -> None:
    before = left(temporary.of_process())
    with worker.time_limit(0.3), pytest.raises(worker.TimedOutError):
        worker.call(fill, signal.pause)
    assert left(temporary.of_process()) == sorted({*before, *sockets()})


def sockets() -> list[str]:
    return [name for name in left(temporary.of_process()) if name.startswith("pymp-")]
