"""Measure hostile modules: ``python benchmarks/attack_modules.py [NAME...] [--seconds 1200]``.

Each module of ``hostile_modules.toml`` that may be refused is listed by ``attnbench list``. Where
its trial passes it is measured beside SE in a tiny run, as all others are at once; two at a time.
Printed is how each ended, and as faults

* *hang*: a command did not end in time, though each of its steps is allowed a few seconds only;
* *traceback*: one on the terminal, or no line that says what is wrong;
* *survivor*: a process that the module started is still there when the command has ended;
* *victims*: the counts, memory or rounds of SE and of the plain host are not those of a run without
  the module, in a run that does not say that they are not to be trusted; or a file has changed that
  is not the module's;
* *ending*: another ending than the table expects.

All bounds follow what a run without hostile modules took. Modules with a fault are tried once more,
alone, with bounds from such a run right before; a fault that is then gone was one of a busy machine
and is counted as *not repeated*.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnbench.records.run import Run

TABLE = Path(__file__).with_name("hostile_modules.toml")

MODULE = """\
import atexit, ctypes, gc, os, signal, sys, threading, time
import torch
from torch import nn
from torch.nn import functional as F

STATE = {{"n": 0}}

{top}

class Gate(nn.Module{meta}):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
{init}
    def forward(self, x):
        STATE["n"] += 1
{forward}
        return x * self.scale.view(1, -1, 1, 1)
{body}
{after}
"""

HOST = ("--host", "resnet18", "--image-size", "32", "--threads", "1", "--seed", "1")
AT_ONCE = ("--wait-for-quiet", "0")
"""Else the lanes would wait for each other."""

WITHOUT_TABLES = """
from attnbench.cli.answers import report
report.show = lambda *_: None
from attnbench.__main__ import main
main()
"""
"""The command line, but for the tables and plots after a run, which take as long as the run."""

LEAST_STEP_S = 10
"""The timeout of a step is what a whole run without hostile modules takes, which has many, or this.
"""

BAD_INPUT = 2
"""The status of a command that was asked for what cannot be done."""

LIMIT_S = 600
"""Of a command, all its steps together; longer where these are."""

STEPS = 20
"""So many steps of the longest time are allowed for a command."""

BATCH = 4
"""Modules that are listed by one command; a fault of it counts for each of them."""

VICTIM = "victim.txt"

TOKEN = "ATTNBENCH_ATTACK"
"""A variable of the environment that all processes of one attack inherit."""

LOCKS = "ATTNBENCH_LOCKS"
"""The variable that names the folder of a machine's locks."""

FAULTS = ("hang", "traceback", "survivor", "victims", "ending")


@dataclass
class Done:
    """A command that has ended."""

    status: int | None
    shown: str
    errors: str
    survivors: list[str]


@dataclass
class Result:
    """How a module ended, and what went wrong."""

    name: str
    ending: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    says: str = ""
    seconds: float = 0.0
    repeated: bool = True
    """Whether it ended so the first time; else it had a fault then that it has no more."""


def modules() -> dict[str, dict[str, str]]:
    """Return the table."""
    with TABLE.open("rb") as file:
        return tomllib.load(file)


def code(parts: Mapping[str, str]) -> str:
    """Return the file of a module."""
    inner = {name: textwrap.indent(parts.get(name, ""), " " * 8) for name in ("init", "forward")}
    body = textwrap.indent(parts.get("body", ""), " " * 4)
    meta = f", metaclass={parts['meta']}" if "meta" in parts else ""
    top, after = parts.get("top", ""), parts.get("after", "")
    return MODULE.format(top=top, meta=meta, body=body, after=after, **inner)


def command(folder: Path, *words: str, limit_s: float = LIMIT_S) -> Done:
    """Run a command line in a folder, in a session of its own."""
    token = uuid.uuid4().hex
    path = os.pathsep.join(filter(None, [str(TABLE.parents[1]), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {TOKEN: token, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    environment[LOCKS] = str(folder)  # lanes measure at the same time
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_TABLES, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
    left = _left(token, 0.0 if status is None else 3.0)
    survivors = []
    for survivor in left:
        with suppress(OSError):
            survivors.append(Path(f"/proc/{survivor}/cmdline").read_text().replace("\0", " "))
            os.kill(survivor, signal.SIGKILL)
    process.wait()
    out_text, error_text = (
        (folder / name).read_text(errors="backslashreplace") for name in ("stdout", "stderr")
    )
    return Done(status, out_text, error_text, [] if status is None else survivors)


def _left(token: str, patience_s: float) -> list[int]:
    """Return the processes of that token; while there is patience, such that are about to end."""
    deadline = monotonic() + patience_s
    while (left := list(_processes(token))) and monotonic() < deadline:
        sleep(0.1)
    return left


def _processes(token: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{TOKEN}={token}".encode() in (path / "environ").read_bytes():
                yield int(path.name)


def read(folder: Path) -> Run | None:
    """Return the run in a folder, if there is one that can be read."""
    from attnbench.errors import UserError
    from attnbench.records import run

    with suppress(UserError):
        return run.read(folder)
    return None


def figures(run: Run) -> dict[tuple[str, str], Any]:
    """Return what a module must not change of the others: counts, and memory that is exact."""
    kept = ("plain", "se")
    counts = {(v, "counts"): {k: asdict(c) for k, c in run.counts[v].items()} for v in kept}
    return counts | {(v, "memory"): run.memory[v].peak_live_bytes for v in kept}


def median_s(run: Run) -> float:
    """Return the plain host's seconds a step."""
    blocks = [block for each in run.rounds for block in each.blocks if block.variant == "plain"]
    times = sorted(block.seconds / block.steps for block in blocks)
    return times[len(times) // 2] if times else 0.0


def written(folder: Path, name: str) -> str:
    """Write a module's file, in a folder of its own; return how it is specified."""
    folder.mkdir()
    file = folder / "hostile.py"
    file.write_text(code(modules()[name]))
    (folder / VICTIM).write_text("untouched")
    return f"{file}:Gate"


def listed(base: Path, names: list[str], step_s: int) -> list[Result]:
    """List several modules in one command; return of each how it ended, refused or nothing yet."""
    folder = base / f"list-{names[0]}"
    folder.mkdir()
    specs = {name: written(base / name, name) for name in names}
    words = [word for spec in specs.values() for word in ("--module", spec)]
    done = command(folder, "list", *words, "--timeout", str(step_s), limit_s=_limit_s(step_s))
    results = [Result(name) for name in names]
    lines = {line for line in done.errors.splitlines() if line.startswith("attnbench: ")}
    for result in results:
        _judge(result, done)
        if f"attnbench: {specs[result.name]} is refused; the table says why" in lines:
            result.ending = "refused"
        elif done.status not in {0, 1}:
            result.ending = "lost"
    return results


def measured(base: Path, result: Result, without: Run, step_s: int, budget_s: float = 1.0) -> None:
    """Measure a module that was listed, beside SE; its result then says how that ended."""
    begun_s, folder = monotonic(), base / result.name
    spec, out = f"{folder / 'hostile.py'}:Gate", folder / "out-1"
    (folder / "hostile.py").write_text(code(modules()[result.name]))
    words = ("--modules", "se", "--module", spec, *HOST, *AT_ONCE, "--budget", str(budget_s))
    more = ("--timeout", str(step_s), "--out", str(out))
    done = command(folder, "run", *words, *more, limit_s=_limit_s(step_s))
    _judge(result, done)
    run = read(out)
    result.ending = ending(run, done, spec)
    if run is not None and result.ending in {"failed", "measured"}:
        _compare(result, run, without)
    result.seconds = monotonic() - begun_s


def _limit_s(step_s: int) -> float:
    return max(LIMIT_S, STEPS * step_s)


def _judge(result: Result, done: Done) -> None:
    result.faults["hang"] += done.status is None
    result.faults["survivor"] += bool(done.survivors)
    ours = [line for line in done.errors.splitlines() if line.startswith("attnbench: ")]
    silent = bool(done.status) and not [line for line in ours if "trying" not in line]
    traceback = "Traceback (most recent" in done.shown + done.errors
    # A module that ends its process prints what it likes there; it is marked by what ended it.
    result.faults["traceback"] += traceback or silent
    result.says = " | ".join([*ours[-1:], *done.survivors])[:300]
    if traceback:
        result.says += " | " + done.errors[-600:]


def ending(run: Run | None, done: Done, spec: str) -> str:
    """Return the word of the table for how a run ended."""
    if run is None:
        return "refused" if done.status == BAD_INPUT else "stopped"
    if spec not in run.plan.variants:
        return "refused"
    if run.end is None or run.end.reason == "failed" or "records" in done.errors:
        return "stopped"
    return "failed" if spec in run.failures else "measured"


def _compare(result: Result, run: Run, without: Run) -> None:
    """Find victims in a run that ended well."""
    same = figures(run) == figures(without)
    timed = run.rounds and all(
        {"plain", "se"} <= {block.variant for block in each.blocks} for each in run.rounds
    )
    # Machines that do other work as well vary by themselves, and their rounds are flagged.
    steady = median_s(run) < 4 * median_s(without) and median_s(without) < 4 * median_s(run)
    result.faults["victims"] += not (same and timed and steady)


def attack(  # noqa: PLR0913  all that a caller may change
    seconds: float,
    seed: int,
    names: list[str] | None = None,
    *,
    lanes: int = 2,
    lists: bool = True,
    at_once: int = BATCH,
    say: Callable[[str], object] = print,
) -> list[Result]:
    """Attack by these modules, or those of the table in random order, until the time is over.

    Without ``lists`` all are measured at once, as those are that may not be refused: the run tries
    them as well.
    """
    chosen = names or random.Random(seed).sample(sorted(modules()), len(modules()))
    deadline = monotonic() + seconds
    with tempfile.TemporaryDirectory() as temporary:
        base, begun_s = Path(temporary), monotonic()
        done = command(
            base, "run", "--modules", "se", *HOST, *AT_ONCE, "--budget", "1", "--out", "out"
        )
        if (without := read(base / "out")) is None:
            raise SystemExit(f"the run without hostile modules failed: {done.errors}")
        step_s = round(max(monotonic() - begun_s, LEAST_STEP_S))

        def finished(result: Result) -> Result:
            if not result.ending:
                measured(base, result, without, step_s)
            if (base / result.name / VICTIM).read_text() != "untouched":
                result.faults["victims"] += 1
            if result.ending not in modules()[result.name]["ends"].split():
                result.faults["ending"] += 1
            faults = ", ".join(fault for fault, count in result.faults.items() if count)
            say(f"{result.seconds:4.0f} s  {result.name}: {result.ending}; {faults or 'no fault'}")
            if faults:
                say(f"        {result.says}")
            return result

        def of_batch(names: list[str]) -> list[Result]:
            if monotonic() > deadline:
                return []
            if lists and may_be_refused(names[0]):
                return [finished(result) for result in listed(base, names, step_s)]
            for name in names:
                written(base / name, name)
            return [finished(Result(name)) for name in names]

        with ThreadPoolExecutor(lanes) as pool:
            batches = pool.map(of_batch, batches_of(chosen, at_once if lists else 1))
            return [result for batch in batches for result in batch]


def may_be_refused(name: str) -> bool:
    """Return whether the table expects that, perhaps beside other endings."""
    return "refused" in modules()[name]["ends"].split()


def batches_of(names: list[str], size: int) -> list[list[str]]:
    """Return batches of that many modules that may be refused, and the others one by one.

    In the order of the names, each batch where its first module stands.
    """
    refused = [name for name in names if may_be_refused(name)]
    first = {refused[at]: refused[at : at + size] for at in range(0, len(refused), size)}
    taken = {*refused} - first.keys()
    return [first.get(name, [name]) for name in names if name not in taken]


def repeated(results: list[Result], try_again: Callable[[list[str]], list[Result]]) -> list[Result]:
    """Try those with a fault again; return all, these as they then ended."""
    names = [result.name for result in results if any(result.faults.values())]
    if not names:
        return results
    again = {result.name: result for result in try_again(names)}
    for result in results:
        if result.name in again and not any(again[result.name].faults.values()):
            again[result.name].repeated = False
    return [again.get(result.name, result) for result in results]


def table(results: list[Result]) -> dict[str, int]:
    """Return how many modules were tried, how many ended how, and the faults."""
    endings = Counter(result.ending for result in results)
    faults = {fault: sum(result.faults[fault] > 0 for result in results) for fault in FAULTS}
    gone = sum(not result.repeated for result in results)
    counts = {"modules": len(results), **dict(sorted(endings.items())), **faults}
    return counts | {"not repeated": gone}


def main() -> None:
    """Print the table; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="Of the table; all by default.")
    parser.add_argument("--seconds", type=float, default=1_200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--run-only", action="store_true", help="Do not list them before.")
    given = parser.parse_args()
    how = {"lanes": given.lanes, "lists": not given.run_only}
    results = attack(given.seconds, given.seed, given.names, **how)

    def again(names: list[str]) -> list[Result]:
        print(f"again, alone: {', '.join(names)}")
        return attack(given.seconds, given.seed, names, lanes=1, lists=how["lists"], at_once=1)

    counts = table(repeated(results, again))
    print("\n".join(f"{name:>12} {count:4}" for name, count in counts.items()))
    sys.exit(int(any(counts[fault] for fault in FAULTS)))


if __name__ == "__main__":
    main()
