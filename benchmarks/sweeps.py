"""Measure what sweeps cost: ``python benchmarks/sweeps.py [--configurations N] [--slots W]``.

Three things, on a machine that does nothing else:

1. N configurations that take a known time each, on W slots of this machine that have joined a
   scheduler: how long they take, over the ideal of N / W times that, of which 1 / 0.9 is the most.
   What measures is a program that waits, so that the slots do not share a CPU.
2. The engine's own load: CPU seconds a second of scheduler, workers and driver while all slots wait
   for such a program.
3. With --ratio: the ratio of SA in ResNet-50 in a plain run, and measured under the engine; each
   should lie in the other's interval.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

MOST_OVER_IDEAL = 1 / 0.9

WAITS = """
import json, sys, time
from pathlib import Path
request = json.loads(sys.stdin.readline())
time.sleep(float(sys.argv[1]))
out = Path(request["out"])
out.mkdir(parents=True)
case = {"host": "resnet18", "batch_size": 1, "image_size": 32, "dtype": "float32", "blocks": "all",
        "channels_last": False, "mode": "inference", "compiled": False, "cuda_graph": False,
        "isolated": False, "stages": [1, 2, 3, 4], "device": "cpu", "threads": 1,
        "seed": request["options"]["seed"]}
plan = {"kind": "plan", "variants": ["plain", "control", "se"], "budget_s": 1.0, "target": 0.1}
end = {"kind": "end", "reason": "budget", "rounds": 0}
lines = [{"schema": 4, "case": case, "environment": {}, "results": plan}, {"results": end}]
(out / "records.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in lines))
print(json.dumps({"left_out": {}}), flush=True)
"""

WORKER = """
import sys
from dataclasses import replace
from attnbench.sweeps.device import process, slots
slots.with_threads = lambda slot, _: replace(slot, threads=1)
slots._gpus = list
process.COMMAND = [sys.executable, "-c", sys.argv[3], sys.argv[4]]
from attnbench.cli.app import main
main(["worker", sys.argv[1], "--name", sys.argv[2]])
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", type=int, default=24, help="N; 24")
    parser.add_argument("--slots", type=int, default=3, help="W; 3")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each configuration; 10")
    parser.add_argument("--ratio", action="store_true", help="also SA's ratio, which takes minutes")
    parser.add_argument("--budget", type=float, default=100.0, help="of --ratio, in seconds; 100")
    chosen = parser.parse_args()
    if min(chosen.configurations, chosen.slots) < 1 or chosen.seconds <= 0:
        parser.error("numbers and seconds are positive")
    with tempfile.TemporaryDirectory() as folder:
        from attnbench.system import machine_lock

        with machine_lock.alone():  # runs take the lock themselves
            against_the_ideal(Path(folder), chosen.configurations, chosen.slots, chosen.seconds)
        if chosen.ratio:
            ratios(Path(folder), chosen.budget)


def against_the_ideal(folder: Path, count: int, slots: int, seconds: float) -> None:
    """Print how long that many configurations take over the ideal, and the engine's load."""
    (folder / "many.toml").write_text(
        f"[[grid]]\nmodules = ['se']\nhost = 'resnet18'\nimage-size = 32\nbudget = {seconds}\n"
        f"device = 'cpu'\nthreads = 1\nseed = {[*range(count)]}\n"
    )
    with fleet(slots, seconds) as (address, processes):
        before_s = sum(map(cpu_s, processes))
        begun = perf_counter()
        command = ["attnbench", "sweep", str(folder / "many.toml"), "--scheduler", address]
        driver = subprocess.run(
            [sys.executable, "-m", *command, "--out", str(folder / "many")],
            check=False,
            capture_output=True,
            text=True,
        )
        took_s = perf_counter() - begun
        load = (sum(map(cpu_s, processes)) - before_s) / took_s
    if driver.returncode:
        sys.exit(driver.stderr)
    first, last = span(folder / "many" / "sweep.jsonl")
    ideal_s = -(-count // slots) * seconds
    over = (last - first) / ideal_s
    print(
        f"{count} configurations of {seconds:g} s on {slots} slots: {last - first:.1f} s, ideal "
        f"{ideal_s:.1f} s, {over:.3f} of it (at most {MOST_OVER_IDEAL:.3f}): "
        f"{'holds' if over <= MOST_OVER_IDEAL else 'does not hold'}"
    )
    print(f"with the driver's start and its report: {took_s:.1f} s")
    print(f"scheduler and {slots} workers: {load:.2%} of a core")


def span(events: Path) -> tuple[float, float]:
    """Return when the first configuration began and the last one ended, in seconds."""
    import json
    from datetime import datetime

    lines = [json.loads(line)["entry"] for line in events.read_text().splitlines()]
    times = [
        datetime.fromisoformat(line["time"]).timestamp()
        for line in lines
        if line["kind"] == "event"
    ]
    return times[0], times[-1]


@contextmanager
def fleet(slots: int, seconds: float) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """Yield the address of a scheduler that as many workers have joined, and the processes."""
    begun: list[subprocess.Popen[str]] = []
    try:
        begun.append(start("-m", "attnbench", "scheduler", "--port", "0"))
        address = until(begun[0].stdout, "Listening on ").split()[-1]
        for number in range(slots):
            begun.append(start("-c", WORKER, address, f"slot{number}", WAITS, str(seconds)))
        for worker in begun[1:]:
            until(worker.stderr, "joined ")
        yield address, begun
    finally:
        for process in begun:
            process.kill()
            process.communicate()


def start(*words: str) -> subprocess.Popen[str]:
    """Start a process of this Python."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *words], stdout=pipe, stderr=pipe, text=True)


def until(stream: Iterator[str] | None, words: str) -> str:
    """Return the first line that begins so."""
    for line in stream or ():
        if line.startswith(words):
            return line
    sys.exit(f"a process ended before it said '{words}'")


def cpu_s(process: subprocess.Popen[str]) -> float:
    """Return the CPU seconds of a process itself: proc_pid_stat(5)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ratios(folder: Path, budget_s: float) -> None:
    """Print the ratio of SA in a plain run and under the engine."""
    from attnbench import read

    plain = ["--modules", "sa", "--host", "resnet50", "--device", "cpu", "--budget", str(budget_s)]
    run = [sys.executable, "-m", "attnbench"]
    subprocess.run([*run, "run", *plain, "--out", str(folder / "plain")], check=True)
    scheduler = start("-m", "attnbench", "scheduler", "--port", "0")
    address = until(scheduler.stdout, "Listening on ").split()[-1]
    worker = start("-m", "attnbench", "worker", address, "--device", "cpu")
    try:
        until(worker.stderr, "joined ")
        shutil.rmtree(folder / "many", ignore_errors=True)
        there = ["--scheduler", address, "--out", str(folder / "engine")]
        subprocess.run([*run, "sweep", *plain, *there], check=True)
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.communicate()
    found = {}
    for name in ("plain", "engine"):
        table = read(folder / name)
        (row,) = (row for _, row in table.iterrows() if row["variant"] == "sa")
        found[name] = row
        print(f"{name}: SA {row['ratio']:.4f} [{row['ratio_low']:.4f}, {row['ratio_high']:.4f}]")
    one, other = found["plain"], found["engine"]
    both = (
        one["ratio_low"] <= other["ratio"] <= one["ratio_high"]
        and other["ratio_low"] <= one["ratio"] <= other["ratio_high"]
    )
    print(f"each lies {'' if both else 'not '}in the other's interval")


if __name__ == "__main__":
    main()
