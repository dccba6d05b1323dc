"""Damage records at random and read them: ``python benchmarks/attack_records.py [--count 2000]``.

Each mutation changes one file of a run, of an isolated run, of a grid, of evaluations, of average
precisions, of trainings or of a sweep: bytes, values, fields, whole lines, or lines of another.
What is left goes through ``report``, ``compare``, ``pick``, ``sweep status``, ``attnbench.read``
and the planning of ``run --out``, in this process.
Printed is for each kind of mutation how many files were refused (with a message), read, and

* *tracebacks*: any other exception;
* *hangs*: more than a minute of a core in one command, plots included, or ten of a busy machine;
* *silent*: figures that changed silently. That is: the mutation left every stored value as it was
  (it removed, doubled, moved or cut lines or fields, or brought a line of another run), the file
  was read, its run says that it is finished, and a cell of its table holds another figure than the
  same cell of the whole file did. A cell that has become empty is no wrong figure. A value that was
  replaced by another possible one cannot be noticed, nor can a line of another run that stands
  where this one had nothing; these are no failures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from math import inf, isfinite, isnan
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

if __name__ == "__main__":  # before the imports below, which take seconds
    PARSER = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    PARSER.add_argument("--count", type=int, default=2_000, help="Mutations.")
    PARSER.add_argument("--seconds", type=float, default=3600.0, help="Begin none after that.")
    PARSER.add_argument("--seed", type=int, default=0)
    PARSER.add_argument("--plots", type=int, default=10, help="Draw plots of every N-th.")
    ARGUMENTS = PARSER.parse_args()

import pandas as pd
import typer
from damage.records import OFTEN_DRAWN, mutated

import attnbench
from attnbench.cli import app
from attnbench.errors import UserError
from attnbench.measuring import planning
from attnbench.records import evaluation, precision, store
from attnbench.records import run as run_records
from attnbench.records.case import RunOptions
from attnbench.records.trainings import store as training_store
from attnbench.report.plots import render
from attnbench.report.plots.style import RC
from attnbench.sweeps import folder as sweep_folder
from attnbench.system import environment

ROOT = Path(__file__).parents[1]
HANG_S = {signal.ITIMER_PROF: 60, signal.ITIMER_REAL: 600}
ALARMS = (signal.SIGPROF, signal.SIGALRM)
PROGRESS_EVERY = 100


def compact(line: Any) -> str:
    """Return a line as the suite writes it."""
    return json.dumps(line, separators=(",", ":"))


def small(folder: Path, most_rounds: int = 8) -> bytes:
    """Return a run's file with its first rounds, finished."""
    lines = [json.loads(line) for line in (folder / store.FILE_NAME).read_text().splitlines()]
    kept, rounds = [], 0
    for line in lines:
        results = line.get("results", {})
        kind = results.get("kind")
        if kind == "export":  # as it is written since there is a total
            results["nodes"] = sum(results["operators"].values())
        rounds += kind == "round"
        if kind == "end":
            line["results"]["rounds"] = min(rounds, most_rounds)
        if kind != "round" or rounds <= most_rounds:
            kept.append(line)
    return "".join(f"{compact(line)}\n" for line in kept).encode()


def targets(folder: Path, most_runs: int | None = None) -> list[tuple[Path, bytes]]:
    """Store whole files under a folder; return each that is to be damaged, and its content."""
    published = sorted((ROOT / "reports").glob("*/records.jsonl"))
    sources = [ROOT / "tests" / "data" / "small-run", *(path.parent for path in published)]
    sources = sources[:most_runs]
    files = []
    for number, source in enumerate(sources):
        files.append((folder / str(number) / store.FILE_NAME, small(source)))
    facts = environment.describe("cpu")
    first, *later, _ = small(sources[0]).splitlines()
    here = compact(json.loads(first) | {"environment": facts}).encode()  # it can be resumed
    files.append((folder / "here" / store.FILE_NAME, b"\n".join((here, *later, b""))))
    known = evaluation.Evaluation(
        host="resnet50",
        module="sa",
        weights=evaluation.Weights(name="sa_resnet50.pth.tar", sha256="a" * 64),
        data=evaluation.Data(name="val", sha256="b" * 64, folders=1000, order="sorted"),
        classes=1000,
        images=50_000,
        top1_right=38_941,
        top1_tied=3,
        top5_right=46_900,
        preprocessing=evaluation.Preprocessing(
            resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        dtype="float32",
        device="cpu",
        channels_last=False,
        batch_size=32,
        threads=2,
        environment=facts,
    )
    line = compact(asdict(known)).encode() + b"\n"
    plain = line.replace(b'"module":"sa"', b'"module":null')
    evaluated = folder / "evaluated" / evaluation.FILE_NAME
    beside = folder / "0" / evaluation.FILE_NAME
    files += [(evaluated, line + plain), (beside, line)]
    files += [(folder / "others" / name, content) for name, content in others(facts).items()]
    for path, content in files:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return files


def others(facts: dict[str, Any]) -> dict[str, bytes]:
    """Return a file of average precisions, one of trainings and one of a sweep, by their names."""
    share = dict.fromkeys(("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"), 0.25)
    data = {"name": "val", "annotations": "val.json", "sha256": "b" * 64}
    found = {
        "schema": 1,
        "host": "fasterrcnn_resnet50_fpn",
        "module": "se",
        "weights": {"name": "se.pth", "sha256": "a" * 64},
        "data": {**data, "images": 10, "objects": 40, "categories": 3},
        "box": share,
        "mask": share | {"ap_small": None},
        "shorter": 800,
        "longer": 1333,
        "device": "cpu",
        "threads": 2,
        "environment": facts,
    }
    known = {"described": "resnet18, inference", "wanted": "cpu", "seconds": 100.0}
    time = "2026-11-26T12:19:37.000+00:00"
    plan: dict[str, Any] = {"kind": "plan", "time": time}
    plan["configurations"] = [{"name": name, **known} for name in ("a-1", "b-2")]
    events = [
        {"kind": "event", "time": time, "name": name, "state": state, "message": "ValueError: x"}
        for name, state in (("a-1", "running"), ("a-1", "failed"), ("b-2", "running"))
    ]
    lines = {
        precision.FILE_NAME: [found, found | {"module": None}],
        sweep_folder.FILE_NAME: [{"schema": 1, "entry": entry} for entry in (plan, *events)],
    }
    written = {
        name: "".join(f"{compact(line)}\n" for line in known).encode()
        for name, known in lines.items()
    }
    trained = min((ROOT / "reports").glob("*/trainings.jsonl"))
    return written | {trained.name: trained.read_bytes()}


def figures(folder: Path) -> dict[tuple[Any, str], float] | None:
    """Return every figure of a finished run's table by its row and column."""
    if not run_records.read(folder).finished:
        return None
    table = attnbench.read(folder)
    names = ["variant"] if "variant" in table else ["module", "stage"]
    cells = table.select_dtypes("number").drop(columns="stage", errors="ignore")
    return {
        (tuple(table.loc[row, names]), column): float(cells.loc[row, column])
        for row in table.index
        for column in cells
        if not isnan(cells.loc[row, column])
    }


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Catch what is printed."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        yield text


class HangError(Exception):
    """A command took too long."""


def _hang(*_: object) -> None:
    raise HangError


def command(*words: str) -> int:
    """Run a command line in this process; return its status.

    Raises:
        Exception: whatever would have been a traceback, control characters in its output too.
    """
    with quiet() as text:
        try:
            app.main(list(words))
        except SystemExit as ended:
            status = int(ended.code or 0)
    shown = text.getvalue()
    if found := [char for char in shown if not char.isprintable() and char != "\n"]:
        raise ValueError(f"{words[0]} printed {found[0]!a}")
    lines = [line.strip() for line in shown.split("\n")]
    ours = "::error title=attnbench "
    if any("##[" in x or (x.startswith("::") and not x.startswith(ours)) for x in lines):
        raise ValueError(f"{words[0]} printed a command of GitHub's")
    if status not in (0, 1, 2) or "Traceback" in shown:
        raise ValueError(f"{words[0]} ended with {status}")
    return status


def planned(folder: Path) -> None:
    """Plan as ``run --out`` does; nothing is measured."""
    with quiet(), contextlib.suppress(UserError):
        planning.prepare(RunOptions(), folder)


Attempts = dict[str, Callable[[], object]]
"""What is done with a damaged folder, by name."""


def attempts(folder: Path, whole: Path, out: Path) -> Attempts:
    """Return every command that reads records."""
    return {
        "report": lambda: command("report", str(folder), "--out", str(out)),
        "joint report": lambda: command("report", str(whole), str(folder), "--out", str(out)),
        "run": lambda: planned(folder),
        **quick_attempts(folder, whole, out),
    }


def quick_attempts(folder: Path, whole: Path, _: Path) -> Attempts:
    """Return the commands that write nothing."""
    limits = ("--max-overhead", "20%", "--max-memory", "5%")
    as_github = ("--force", "--format", "github")
    return {
        "read": lambda: _ignoring(lambda: attnbench.read(folder)),
        "evaluations": lambda: _ignoring(lambda: evaluation.read(folder)),
        "compare": lambda: command("compare", str(whole), str(folder), "--force"),
        "compare for GitHub": lambda: command("compare", str(folder), str(whole), *as_github),
        "pick": lambda: command("pick", str(folder), *limits),
        "sweep": lambda: command("sweep", "status", str(folder)),
    }


def _ignoring(read: Callable[[], object]) -> None:
    with contextlib.suppress(UserError):
        table = read()
        for column in table.select_dtypes("number") if isinstance(table, pd.DataFrame) else ():
            ends = column.endswith(("_low", "_high", "_low_s", "_high_s"))
            if not ends and not all(isfinite(v) for v in table[column].dropna()):
                raise ValueError(f"{column} is infinite")


def changed(
    folder: Path, before: dict[tuple[Any, str], float] | None
) -> tuple[tuple[Any, str], float, float] | None:
    """Return a figure that is another now, with both values."""
    with contextlib.suppress(UserError):
        after = figures(folder)
        for cell, now in (after or {}).items():
            if before is not None and cell in before and before[cell] != now:
                return cell, before[cell], now
    return None


def tried(attempt: Callable[[], object], say: Callable[[str], object]) -> tuple[str | None, Any]:
    """Return what went wrong in an attempt, or None, and what it returned."""
    for timer, seconds in HANG_S.items():
        signal.setitimer(timer, seconds)
    try:
        return None, attempt()
    except HangError:
        return "hangs", None
    except Exception:
        say(traceback.format_exc(limit=-4))
        return "tracebacks", None
    finally:
        for timer in HANG_S:
            signal.setitimer(timer, 0)


def attack(  # noqa: PLR0913  all that a test may change
    count: int,
    seed: int,
    *,
    every_plot: int = 1,
    commands: Callable[[Path, Path, Path], Attempts] = attempts,
    most_runs: int | None = None,
    say: Callable[[str], object] = print,
    seconds: float = inf,
) -> pd.DataFrame:
    """Make that many mutations; return a row a kind: how many, refused, read, and the failures.

    Every ``every_plot``-th is reported with its plots, which take longest; of other texts more.
    After that many seconds none is begun.
    """
    random = Random(seed)
    counts: dict[str, Counter[str]] = {}
    handlers = {number: signal.signal(number, _hang) for number in ALARMS}
    drawn, dots, get_command = render.drawn, RC["savefig.dpi"], typer.main.get_command
    RC["savefig.dpi"] = 20
    typer.main.get_command = cache(get_command)  # else its options are read again at every call
    deadline = monotonic() + seconds
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            files, whole = targets(folder, most_runs), folder / "whole"
            contents = [content for _, content in files]
            shutil.copytree(folder / "0", whole)
            runs = [path for path, _ in files if path.name == store.FILE_NAME]
            before = {path: figures(path.parent) for path in runs}
            for number in range(count):
                if monotonic() > deadline:
                    break
                if number % PROGRESS_EVERY == 0:
                    print(f"{number:,} of {count:,}", file=sys.stderr, flush=True)
                path, content = random.choice(files)
                name, damage, keeps = mutated(random, content, random.choice(contents))
                path.write_bytes(damage)
                known = counts.setdefault(name, Counter())
                known["mutations"] += 1
                often = max(every_plot // 5, 1) if name in OFTEN_DRAWN else every_plot
                draws = number % often == 0
                render.drawn = drawn if draws else lambda *_: []
                todo = commands(path.parent, whole, folder / "out")
                known["refused" if _refused(path) else "read"] += 1
                if path in before and keeps:
                    todo["changed figures"] = partial(changed, path.parent, before[path])
                for what, attempt in todo.items():
                    fault, found = tried(attempt, say)
                    if fault is None and what == "changed figures" and found:
                        fault = "silent"
                    if fault is not None:
                        known[fault] += 1
                        say(f"{fault}: {seed=} {number=} {name} in {path.parent}: {what} {found}")
                path.write_bytes(content)
    finally:
        render.drawn, RC["savefig.dpi"], typer.main.get_command = drawn, dots, get_command
        for number, handler in handlers.items():
            signal.signal(number, handler)
    columns = ["mutations", "refused", "read", "tracebacks", "hangs", "silent"]
    table = pd.DataFrame.from_dict(counts, orient="index", columns=columns).fillna(0).astype(int)
    return pd.concat([table.sort_index(), table.sum().to_frame("all").T])


READERS: dict[str, Callable[[Path], object]] = {
    store.FILE_NAME: run_records.read,
    evaluation.FILE_NAME: evaluation.read,
    precision.FILE_NAME: precision.read,
    training_store.FILE_NAME: training_store.read,
    sweep_folder.FILE_NAME: lambda folder: sweep_folder.SweepFolder(folder).lines(),
}
"""What reads a folder's file, by its name."""


def _refused(path: Path) -> bool:
    try:
        READERS[path.name](path.parent)
    except UserError:
        return True
    except Exception:  # counted where the commands meet it
        return False
    return False


def main() -> None:
    """Print the table; exit with 1 where anything failed."""
    table = attack(
        ARGUMENTS.count, ARGUMENTS.seed, every_plot=ARGUMENTS.plots, seconds=ARGUMENTS.seconds
    )
    print(table.to_string())
    sys.exit(int(table.loc["all", ["tracebacks", "hangs", "silent"]].sum() > 0))


if __name__ == "__main__":
    main()
