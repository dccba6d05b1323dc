"""Kill runs at random moments and resume them: ``python benchmarks/attack_kills.py [--count 300]``.

Each run is ``attnbench run`` of a small network with children, fork server and records as always;
only the imports of the command itself are shared, so that there is time for many. A third of the
kills each hit the command (SIGKILL to its process group, SIGTERM, SIGINT), its current child alone
(counting, memory or timing), and its fork server alone. After a kill of the command it is started
again with the same ``--out``, until the run is finished. Counted are

* *lost*: a record that was on a whole line before the kill is not there, byte for byte, at the same
  place after it or at any later time;
* *unreadable*: records, or a table, picture or page that is not whole;
* *survivors*: processes that are left five seconds after the command has ended;
* *late*: an end by SIGTERM or SIGINT after more than two seconds; beside programs that leave this
  one a part of a core, after that many times as long as a moment's computing then takes;
* *status*: any but 143 and 130 after these, or but 0 and 1 of a run that has come to its end;
* *tracebacks*: in anything that was printed;
* *hangs*: a command without a new record for two minutes;
* *unfinished*: runs whose last start has not finished them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, process_time, sleep

KILLS_PER_RUN = 20
MARK = "ATTNBENCH_ATTACK"
"""A variable of the environment by which the processes of a command are found."""

LOCKS = "ATTNBENCH_LOCKS"
"""The variable that names the folder of a machine's locks."""

STARTS_PER_RUN = 4 * KILLS_PER_RUN
MOST_TEXT = 2_000
LOOK_S = 0.01
SURVIVE_S = 5.0
LATE_S = 2.0
SPIN_S = 0.2
HANG_S = 120.0

OPTIONS = (
    "run --modules se,eca,sge --host resnet18 --image-size 64 --batch-size 1 --threads 1 "
    "--wait-for-quiet 0"  # else the lanes would wait for each other
)
BUDGET_S = 6

COMMAND, CHILD, SERVER = "the command", "its child", "its fork server"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
"""Of which each kill of a command draws one."""

FAILURES = ("lost", "unreadable", "survivors", "late", "status", "tracebacks", "hangs")
ENDINGS = {".html": "</html>", ".svg": "</svg>"}


def main() -> None:
    """Print the table; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300, help="Kills.")
    parser.add_argument("--seconds", type=float, default=3600.0, help="Begin none after that.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=2, help="Runs at a time.")
    given = parser.parse_args()
    counts = attack(given.count, given.seed, given.seconds, given.lanes)
    print(table(counts))
    sys.exit(int(failures(counts) > 0))


def attack(count: int, seed: int, seconds: float, lanes: int) -> Counter[str]:
    """Kill that many times, in several processes; return what was counted."""
    # No TemporaryDirectory: the commands, which are forks, would remove it as they end.
    temporary = Path(tempfile.mkdtemp())
    try:
        return _attack([temporary / str(number) for number in range(lanes)], count, seed, seconds)
    finally:
        shutil.rmtree(temporary)


def _attack(folders: list[Path], count: int, seed: int, seconds: float) -> Counter[str]:
    processes = []
    for number, folder in enumerate(folders):
        folder.mkdir()
        share = count // len(folders) + (number < count % len(folders))
        process = os.fork()
        if not process:
            status = 1
            try:
                _lane(folder, share, Random(seed * 1000 + number), monotonic() + seconds)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        processes.append(process)
    ends = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    counts: Counter[str] = Counter()
    for folder in folders:
        with suppress(FileNotFoundError):
            counts.update(json.loads((folder / "counts.json").read_text()))
    counts["lanes broken"] = sum(status != 0 for status in ends)
    return counts


def stretch() -> float:
    """Return how many times as long as alone on a core computing takes at the moment."""
    begun_s, spent_s = monotonic(), process_time()
    while process_time() - spent_s < SPIN_S:
        pass
    return max((monotonic() - begun_s) / (process_time() - spent_s), 1.0)


def failures(counts: Counter[str]) -> int:
    """Return the number of what must not happen."""
    return sum(counts[key] for key in (*FAILURES, "unfinished", "lanes broken"))


def table(counts: Counter[str]) -> str:
    """Return the counts as text, a line each."""
    kills = counts["kills"]
    lines = [f"{'kills':32} {kills:6,}"]
    for group in ("of", "while"):
        lines += [
            f"  {key:30} {value:6,}  {value / max(kills, 1):4.0%}"
            for key, value in sorted(counts.items())
            if key.startswith(f"{group} ")
        ]
    others = ("runs", "starts", "records", "slowest end after a signal (ms)", "late for load alone")
    lines += [f"{key:32} {counts[key]:6,}" for key in others]
    lines += [f"{key:32} {counts[key]:6,}" for key in (*FAILURES, "unfinished", "lanes broken")]
    return "\n".join(lines)


@dataclass
class Lane:
    """Runs one after the other, each killed and resumed until it is finished."""

    folder: Path
    random: Random
    counts: Counter[str] = field(default_factory=Counter)

    def say(self, fault: str, where: object) -> None:
        """Count a failure and print what was seen."""
        self.counts[fault] += 1
        print(f"{fault}: {where}", file=sys.stderr, flush=True)


def _lane(folder: Path, kills: int, random: Random, deadline: float) -> None:
    _import_the_command()
    lane = Lane(folder, random)
    counts = lane.counts
    while counts["kills"] < kills and monotonic() < deadline:
        run = KilledRun(lane, folder / f"run{counts['runs']}")
        counts["runs"] += 1
        before = counts["starts"]
        most = min(counts["kills"] + KILLS_PER_RUN, kills)
        while counts["kills"] < most and monotonic() < deadline and not run.finished():
            run.live(most)
            if (starts := counts["starts"] - before) >= STARTS_PER_RUN:
                lane.say("unfinished", f"after {starts} starts")
                break
        if not run.finished():
            run.live(0)
        if not run.finished():
            lane.say("unfinished", run.out)
        counts["records"] += len(run.known.splitlines())
        shutil.rmtree(run.out)
        (folder / "counts.json").write_text(json.dumps(counts))
        print(f"{counts['kills']} of {kills} kills", file=sys.stderr, flush=True)


def _catches(process: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1) or "State:\tZ" in status


def _import_the_command() -> None:
    """Import what ``attnbench run`` does, once for all; none of it starts a thread."""
    import attnbench.__main__
    import attnbench.cli.app
    import attnbench.measuring.runner
    import attnbench.records.run
    import attnbench.report.write  # noqa: F401


class KilledRun:
    """A run's folder with what is known to be in its records, and its current command."""

    def __init__(self, lane: Lane, out: Path) -> None:
        self.lane, self.out = lane, out
        self.records = out / "records.jsonl"
        self.printed = lane.folder / "printed"
        self.known = b""
        self.process = 0
        self.newest = 0.0
        self.at_birth = 0

    def finished(self) -> bool:
        """Return whether the run has ended and cannot be resumed, or its plain host has failed."""
        from attnbench.records import run as run_records

        if b'"kind":"end"' not in self.known:
            return False
        run = run_records.read(self.out)
        return run.finished or run.failed("plain", "latency")

    def live(self, most: int) -> None:
        """Start the command and kill until it has ended, or until that many kills were made."""
        lane, random = self.lane, self.lane.random
        self._start()
        status = None
        while status is None and lane.counts["kills"] < most:
            status = self._await(*self._moment())
            if status is None:
                kind = random.choice((COMMAND, CHILD, SERVER))
                before = self._phase()
                if kind == COMMAND:
                    status = self._kill_command(before)
                elif victim := self._victim(kind):
                    with suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                        self._count(f"of {kind} (SIGKILL)", before)
            self._check()
        if status is None:
            status = self._await(None, HANG_S * 5)
        if status is None:
            lane.say("hangs", self._text())
            os.killpg(self.process, signal.SIGKILL)
            self._ended(wait=True)
        elif status not in self.allowed:
            lane.say("status", f"{status} {self._text()}")
        self._check()
        self._look_for_survivors()
        if "Traceback" in self._text():
            lane.say("tracebacks", self._text().partition("Traceback")[2][:MOST_TEXT])

    def _start(self) -> None:
        mark = f"{os.getpid()} {self.lane.counts['starts']}"
        self.lane.counts["starts"] += 1
        self.mark, self.allowed = mark, {0, 1}
        self.printed.write_bytes(b"")
        self.process = os.fork()
        if not self.process:
            os.setsid()
            os.environ[MARK] = mark
            os.environ[LOCKS] = str(self.lane.folder)  # lanes measure at the same time
            with self.printed.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.argv[1:] = [*OPTIONS.split(), "--budget", str(BUDGET_S), "--out", str(self.out)]
            status = 1
            try:
                from attnbench import __main__ as command

                command.main()
            except SystemExit as end:
                status = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                import multiprocessing.util

                with suppress(Exception):
                    multiprocessing.util._exit_function()
                sys.stdout.flush()
                os._exit(status)
        self.newest = monotonic()
        self.at_birth = self._lines()
        while not _catches(self.process, signal.SIGTERM):  # it is at the command's first line
            sleep(LOOK_S / 10)

    def _moment(self) -> tuple[int | None, float]:
        """Draw after how many new records, and then after what time, the next kill comes."""
        random = self.lane.random
        if random.random() < 1 / 3:
            return None, random.uniform(0.0, 8.0)
        return random.choice((1, 1, 2, 3, 6)), random.choice((0.0, random.uniform(0.0, 0.5)))

    def _await(self, records: int | None, seconds: float) -> int | None:
        """Wait for that many more records, and that long; return the status of an end before."""
        until = None if records is None else self._lines() + records
        deadline = monotonic() + (seconds if until is None else HANG_S)
        while monotonic() < deadline:
            if (status := self._ended()) is not None:
                return status
            self._check()
            if until is not None and self._lines() >= until:
                until, deadline = None, monotonic() + seconds
            if monotonic() - self.newest > HANG_S:
                return None
            sleep(LOOK_S)
        return None

    def _ended(self, *, wait: bool = False) -> int | None:
        process, status = os.waitpid(self.process, 0 if wait else os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if process else None

    def _kill_command(self, phase: str) -> int | None:
        number = self.lane.random.choice(SIGNALS)
        start = monotonic()
        self._count(f"of {COMMAND} ({signal.Signals(number).name})", phase)
        if number == signal.SIGKILL:
            self.allowed = {-number}
            os.killpg(self.process, number)
            return self._ended(wait=True)
        self.allowed = {128 + number}
        os.kill(self.process, number)
        while (status := self._ended()) is None and monotonic() - start < HANG_S:
            sleep(LOOK_S)
        took_s = monotonic() - start
        slowest = "slowest end after a signal (ms)"
        self.lane.counts[slowest] = max(self.lane.counts[slowest], round(1e3 * took_s))
        if took_s > LATE_S:  # of a machine that was there for it
            late = took_s > LATE_S * (share := stretch())
            what = "late" if late else "late for load alone"
            text = f"{took_s:.2f} s {phase}; all takes {share:.1f} times as long, {os.getloadavg()}"
            self.lane.say(what, text)
        if phase == "while it ends":  # it may have been done already
            self.allowed |= {0, 1}
        return status

    def _count(self, what: str, phase: str) -> None:
        self.lane.counts.update(("kills", what, phase))

    def _phase(self) -> str:
        """Return what the command does, by its newest record and its children."""
        kinds = [json.loads(line).get("results") or {} for line in self.known.splitlines()]
        new = [result.get("kind", "failure") for result in kinds][self.at_birth :]
        if "end" in new:
            return "while it ends"
        if "round" in new:
            return "while rounds are timed"
        if self._victim(CHILD, "spawn"):
            return "while it starts and warms up"
        if new or self.at_birth:
            return "while it plans, counts and measures memory"
        return "while it begins"

    def _marked(self) -> dict[int, tuple[int, str]]:
        """Return the parents and command lines of the processes that the command has started."""
        found = {}
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with suppress(OSError):
                    if f"{MARK}={self.mark}\0".encode() in (path / "environ").read_bytes():
                        stat = (path / "stat").read_text().rpartition(")")[2].split()
                        line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        if stat[0] != "Z":
                            found[int(path.name)] = (int(stat[1]), line)
        return found

    def _victim(self, kind: str, word: str = "") -> int | None:
        """Return the fork server, or a child: forked by that, or spawned for the rounds."""
        marked = self._marked()
        servers = {
            pid
            for pid, (parent, line) in marked.items()
            if "forkserver import main" in line and parent == self.process
        }
        if kind == SERVER:
            return next(iter(servers), None)
        for pid, (parent, line) in marked.items():
            spawned = "spawn_main" in line and parent == self.process
            if spawned or (parent in servers and not word and "resource_tracker" not in line):
                return pid
        return None

    def _lines(self) -> int:
        return self.known.count(b"\n")

    def _check(self) -> None:
        """Compare the records with what is known of them, and learn the new ones."""
        with suppress(FileNotFoundError):
            content = self.records.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if not whole.startswith(self.known):
                self.lane.say("lost", self.records)
            if len(whole) > len(self.known):
                self.newest = monotonic()
            self.known = whole

    def _look_for_survivors(self) -> None:
        """Once the command has ended: nothing runs, and its records and outputs are whole."""
        from attnbench.errors import UserError
        from attnbench.records import store

        deadline = monotonic() + SURVIVE_S
        while (left := self._marked()) and monotonic() < deadline:
            sleep(LOOK_S)
        if left:
            self.lane.say("survivors", left)
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._check()
        try:
            if self.records.exists() and len(store.read(self.out)) < self._lines():
                self.lane.say("lost", "records that cannot be read")
        except UserError as error:
            self.lane.say("unreadable", error)
        for path in self.out.glob("[!.]*") if self.out.exists() else ():
            ending = ENDINGS.get(path.suffix, "").encode()
            content = path.read_bytes()
            if path != self.records and not (content and content.rstrip().endswith(ending)):
                self.lane.say("unreadable", path)

    def _text(self) -> str:
        return self.printed.read_text(errors="replace")


if __name__ == "__main__":
    main()
