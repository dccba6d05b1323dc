"""Fail every write of a command once: ``python benchmarks/attack_writes.py``.

What is counted and timed is simulated, so that a run takes a moment; records, tables, pictures and
pages are written as always. The writes of ``run``, ``report``, ``compare --save``, a record of an
evaluation and a summary of GitHub's are first counted: opening for writing, write, sync, rename,
mkdir, chmod, truncate, in their folder, and writes to standard output. Then each command is
repeated with the first of them failing, the second, and so on, once as on a full disk (a part of
the data is written), once with an input/output error, once on a file system that is read-only.
Counted are

* *tracebacks*: an exception that reached the user, or more than one line of a message;
* *status*: any but 1 or 2, or 0 where all was written after all (mkdir of a folder that exists);
* *half written*: a file that is neither absent nor as a command without a failure leaves it;
* *left behind*: a file that only a failed command leaves;
* *lost*: records before the failure that are not there after it, or cannot be read;
* *not resumed*: commands that fail again when the disk works again.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import errno
import io
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

FAILURES = ("tracebacks", "status", "half written", "left behind", "lost", "not resumed")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
SUMMARY = "summary.md"
ON_OPEN_FILES = ("write", "sync", "print")
RECORD_FILES = ("records.jsonl", "evaluations.jsonl")


def main() -> None:
    """Print the table; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3600.0, help="Begin none after that.")
    parser.add_argument("--seed", type=int, default=0, help="Nothing is drawn at random.")
    given = parser.parse_args()
    counts = attack(seconds=given.seconds)
    print(table(counts))
    sys.exit(int(failures(counts) > 0))


def failures(counts: dict[str, Counter[str]]) -> int:
    """Return the number of what must not happen."""
    return sum(count[key] for count in counts.values() for key in FAILURES)


def table(counts: dict[str, Counter[str]]) -> str:
    """Return the counts as text, a line a command."""
    columns = ("writes", "failed once", *FAILURES)
    lines = ["".join([f"{'':14}", *(f"{column:>14}" for column in columns)])]
    for name, count in counts.items():
        lines.append("".join([f"{name:14}", *(f"{count[column]:14,}" for column in columns)]))
    return "\n".join(lines)


@dataclass
class Disk:
    """The writes below a folder, one of which fails."""

    folder: Path
    failing: int | None = None
    error: int = errno.ENOSPC
    failed: bool = False
    kinds: list[str] = field(default_factory=list)
    locks: list[int] = field(default_factory=list)
    """Open files that a process would close as it ends."""

    def write(self, kind: str) -> bool:
        """Count one; return whether it is the one that fails."""
        self.kinds.append(kind)
        hit = len(self.kinds) == self.failing
        self.failed = self.failed or hit
        return hit

    def fail(self) -> None:
        """Raise the error, without a path as writes have none."""
        raise OSError(self.error, os.strerror(self.error))

    def holds(self, path: Any) -> bool:
        """Return whether a path is in the folder."""
        if not isinstance(path, str | Path):
            return False
        return str(path).startswith(str(self.folder))


class File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, disk: Disk, kind: str = "write") -> None:
        self._file, self._disk, self._kind = file, disk, kind

    def write(self, data: Any) -> Any:
        if self._disk.write(self._kind):
            if self._kind == "write":
                self._file.write(data[: len(data) // 2])
            self._disk.fail()
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> File:
        self._file.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.__exit__(*raised)


@contextlib.contextmanager
def watched(disk: Disk) -> Iterator[None]:
    """Count the writes of the body, and fail the one that is to fail."""
    opened, fds = io.open, set()
    os_open, sendfile = os.open, os.sendfile

    def open_file(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        writes = set(mode) & set("wax+")
        ours = writes and (disk.holds(file) or (isinstance(file, int) and file in fds))
        if ours and not isinstance(file, int) and disk.write("open"):
            raise OSError(disk.error, os.strerror(disk.error), str(file))
        new = opened(file, mode, *args, **options)
        if ours:
            fds.add(new.fileno())
        return File(new, disk) if ours else new

    def open_number(path: Any, flags: int, *args: Any, **options: Any) -> int:
        ours = flags & (os.O_WRONLY | os.O_RDWR) and disk.holds(path)
        if ours and disk.write("open"):
            raise OSError(disk.error, os.strerror(disk.error), str(path))
        number = os_open(path, flags, *args, **options)
        if ours:
            fds.add(number)
            if flags & os.O_APPEND:
                disk.locks.append(number)
        return number

    def send(out: int, *args: Any) -> int:
        if out in fds and disk.write("write"):
            disk.fail()
        return sendfile(out, *args)

    def sync(number: int) -> None:
        if number in fds and disk.write("sync"):
            disk.fail()

    def failing(name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def counted(path: Any, *args: Any, **options: Any) -> Any:
            if disk.holds(path) and disk.write(name):
                raise OSError(disk.error, os.strerror(disk.error), str(path))
            return call(path, *args, **options)

        return counted

    with ExitStack() as stack:
        for owner, name, function in (
            (io, "open", open_file),
            (builtins, "open", open_file),
            (os, "open", open_number),
            (os, "fsync", sync),
            (os, "sendfile", send),
            *((os, name, failing(name)) for name in ("mkdir", "replace", "rename", "chmod")),
            (os, "truncate", failing("truncate")),
        ):
            stack.enter_context(mock.patch.object(owner, name, function))
        yield


def command(disk: Disk, *words: str) -> tuple[int, str]:
    """Run a command line; return its status, and what it wrote to stderr."""
    from attnbench.cli import app

    shown, said = io.StringIO(), io.StringIO()
    with (
        watched(disk),
        mock.patch.object(sys, "stdout", File(shown, disk, "print")),
        mock.patch.object(sys, "stderr", said),
    ):
        try:
            app.main(list(words))
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
        except Exception:
            return -1, traceback.format_exc()
    return 0, said.getvalue()


@contextlib.contextmanager
def simulated() -> Iterator[None]:
    """Replace what takes time: counts, memory, steps, the pictures' drawing and the clock."""
    import typer

    from attnbench.measuring import planning, timing
    from attnbench.measuring.latency import warm_up
    from attnbench.measuring.selftest.simulated import Machine
    from attnbench.measuring.steps import counting
    from attnbench.records import store
    from attnbench.records.schema import Count, Memory
    from attnbench.report.plots import render
    from attnbench.system import process_settings, worker

    machine = Machine()
    replaced = (
        (worker, "call", lambda *_: Memory(peak_live_bytes=2**20)),
        (worker, "stream", lambda function, *args: function(*args)),
        (counting, "count_network", lambda *_: {"params": Count(params=7)}),
        (warm_up, "step", lambda *_: machine.step(0.03)),
        (timing, "clock_for", lambda _: machine),
        (process_settings, "settle", lambda _: None),
        (render, "drawn", lambda *_: [render.Drawing("plot", "A plot", "", "", "<svg/>", b"PNG")]),
        (planning, "_tried", lambda *_: ({}, {})),
        (store, "_LOCKED", {}),
    )
    with ExitStack() as stack:
        # Its options are read once, not for every command.
        stack.enter_context(
            mock.patch.object(typer.main, "get_command", cache(typer.main.get_command))
        )
        for owner, name, function in replaced:
            stack.enter_context(mock.patch.object(owner, name, function))
        yield


Work = Callable[[Path, Disk], tuple[int, str]]
"""What a command does in a folder on a disk; returns its status and messages."""


def run(folder: Path, disk: Disk) -> tuple[int, str]:
    """Count and time a module, store the records, write tables and pages."""
    from attnbench.records import store

    options = "run --modules se --host resnet18 --image-size 32 --batch-size 1 --budget 0.3"
    options += " --wait-for-quiet 0"  # else a busy machine is told of, in a line of its own
    try:
        return command(disk, *options.split(), "--out", str(folder / "run"))
    finally:
        store._LOCKED.clear()
        for number in disk.locks:
            os.close(number)


def report(folder: Path, disk: Disk) -> tuple[int, str]:
    """Write the tables and pages of a stored run."""
    out = folder / "out"
    return command(disk, "report", str(folder.parent / "whole" / "run"), "--out", str(out))


def save(folder: Path, disk: Disk) -> tuple[int, str]:
    """Save a run as a baseline, in the folder ``baselines``."""
    from attnbench.analysis import baselines

    stored = str(folder.parent / "whole" / "run")
    shutil.rmtree(folder / "baselines" / "saved", ignore_errors=True)
    with mock.patch.object(baselines, "FOLDER", folder / "baselines"):
        return command(disk, "compare", stored, "--save", "saved")


def summary(folder: Path, disk: Disk) -> tuple[int, str]:
    """Compare a run with itself for GitHub, which reads a summary."""
    stored = str(folder.parent / "whole" / "run")
    with mock.patch.dict(os.environ, GITHUB_STEP_SUMMARY=str(folder / SUMMARY)):
        options = "--force --allow-no-verdict --format github"
        return command(disk, "compare", stored, stored, *options.split())


def evaluation(folder: Path, disk: Disk) -> tuple[int, str]:
    """Append the record of an evaluation twice."""
    from attnbench.errors import UserError
    from attnbench.records import evaluation as evaluations
    from attnbench.records import run as run_records

    environment = run_records.read(folder.parent / "whole" / "run").environment
    known = evaluations.Evaluation(
        host="resnet50",
        module="sa",
        weights=evaluations.Weights(name="sa.pth", sha256="a" * 64),
        data=evaluations.Data(name="val", sha256="b" * 64, folders=1000, order="sorted"),
        classes=1000,
        images=50_000,
        top1_right=38_941,
        top1_tied=3,
        top5_right=46_900,
        preprocessing=evaluations.Preprocessing(
            resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        dtype="float32",
        device="cpu",
        channels_last=False,
        batch_size=32,
        threads=2,
        environment=environment,
    )
    said = ""
    with watched(disk):
        for _ in range(2):
            try:
                evaluations.append(folder / "evaluated", known)
            except UserError as error:
                said = f"{error}\n"
            except Exception:
                return -1, traceback.format_exc()
    return (2 if said else 0), said


WORK: dict[str, Work] = {
    "run": run,
    "report": report,
    "compare --save": save,
    "summary": summary,
    "evaluation": evaluation,
}


def attack(
    *, seconds: float = inf, errors: tuple[int, ...] = ERRORS, only: tuple[str, ...] = tuple(WORK)
) -> dict[str, Counter[str]]:
    """Fail every write of the commands once; return what was counted of each."""
    deadline = monotonic() + seconds
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as temporary, simulated():
        base = Path(temporary)
        (base / "whole").mkdir()
        status, said = run(base / "whole", Disk(base))
        if status:
            raise RuntimeError(f"without a failure the run ends with {status}: {said}")
        for name in only:
            counts[name] = _fail_each(WORK[name], base, errors, deadline)
    return counts


def _fail_each(work: Work, base: Path, errors: tuple[int, ...], deadline: float) -> Counter[str]:
    count: Counter[str] = Counter()
    reference, disk = base / "reference", Disk(base / "reference")
    reference.mkdir()
    status, said = work(reference, disk)
    if status:
        raise RuntimeError(f"it fails on a disk that works: {status} {said}")
    count["writes"] = len(disk.kinds)
    for error in errors:
        for number, kind in enumerate(disk.kinds, start=1):
            # A file system that is read-only says so when a file is opened, made or renamed.
            if monotonic() > deadline or (error == errno.EROFS and kind in ON_OPEN_FILES):
                continue
            for fault, where in _fail_one(work, base / "failing", reference, number, error):
                count[fault] += 1
                text = f"{fault}: {work.__name__}, write {number}, {os.strerror(error)}: {where}"
                print(text, file=sys.stderr, flush=True)
            count["failed once"] += 1
    shutil.rmtree(reference)
    return count


def _fail_one(
    work: Work, folder: Path, reference: Path, number: int, error: int
) -> Iterator[tuple[str, object]]:
    """Yield what is wrong after that write has failed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    disk = Disk(folder, number, error)
    status, said = work(folder, disk)
    if status == -1 or "Traceback" in said or said.count("\n") > 1:
        yield "tracebacks", said
    elif status not in ({0, 1, 2} if not said else {1, 2}):
        yield "status", f"{status} {said}"
    elif disk.failed and status == 0 and not _same_files(folder, reference):
        yield "status", f"0, though files are missing; {disk.kinds[number - 1]}"
    yield from _not_whole(folder, reference)
    before = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    status, said = work(folder, Disk(folder))
    if status:
        yield "not resumed", f"{status} {said}"
    yield from _not_whole(folder, reference)
    for path, content in before.items():
        if not path.read_bytes().startswith(content):
            yield "lost", path


def _same_files(folder: Path, reference: Path) -> bool:
    def names(of: Path) -> set[Path]:
        return {path.relative_to(of) for path in of.rglob("*")}

    return names(folder) == names(reference)


def _not_whole(folder: Path, reference: Path) -> Iterator[tuple[str, object]]:
    from attnbench.errors import UserError
    from attnbench.records import evaluation as evaluations
    from attnbench.records import store

    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        like = reference / path.relative_to(folder)
        if path.name in RECORD_FILES:
            if content and not content.endswith(b"\n"):
                yield "half written", path
            try:
                read = store if path.name == store.FILE_NAME else evaluations
                if len(read.read(path.parent)) < content.count(b"\n"):
                    yield "lost", path
            except UserError as error:
                yield "lost", error
        elif path.name == SUMMARY and not content:
            continue  # GitHub makes it empty
        elif path.name.startswith(".") or not like.exists():
            yield "left behind", path
        # Times of day and load may differ, and with them a few bytes.
        elif len(content) < len(like.read_bytes()) - 300 or content[-8:] != like.read_bytes()[-8:]:
            yield "half written", path


if __name__ == "__main__":
    main()
