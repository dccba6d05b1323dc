"""Call the command line with random arguments: ``python benchmarks/attack_arguments.py``.

With ``--each`` instead with every parameter of every command in turn as a path that is hard to use.

Each list names a command or none, and options with values that are valid, nearly valid or nasty.
What would measure, count or start a process is replaced by a refusal, so that only the reading and
checking of arguments is tried, and what commands do with files. Lists are tried in child processes,
some hundred in each. Printed is how the lists ended, and as faults

* *traceback*: another exception, or another exit status than one that is documented;
* *hang*: a list took more than 20 seconds of a core, or 200 of a busy machine;
* *lines*: a bad list is not told in one printable line on stderr, of at most 1,000 characters;
* *touched*: a file outside of the temporary folder was opened for writing, made or removed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import monotonic
from types import FunctionType
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
HANG_S = {signal.ITIMER_PROF: 20, signal.ITIMER_REAL: 200}
ALARMS = (signal.SIGPROF, signal.SIGALRM)
MOST_CHARACTERS = 1_000
FAULTS = ("traceback", "hang", "lines", "touched")
MOSTLY = 0.9
WOULD_MEASURE = "this would be measured"
STATUSES = {0, 1, 2, 3}
BAD_INPUT = 2

NASTY = (
    *("", " ", "-", "--", "---", "=", ",", ",,", ":", "'", '"', "\\", "%", "%s", "{}", "*", "?"),
    *(
        "0",
        "-0",
        "-1",
        "1e400",
        "-1e400",
        "nan",
        "-inf",
        "inf",
        "1_000",
        "0x10",
        "\u0661",
        "1.5",
        "½",
    ),
    *("9" * 30, "1e-400", "9" * 5000, "true", "None", "null", "x" * 10_000, "a," * 5_000),
    *("\n", "\t", "\x1b[2J", "\x7f", "\u202e", "\u2028", "\ufeff", "\udcff", "Ä", "注意", "👩"),
    *("~", "~nosuchuser", "~/x", ".", "..", "/", "//", "./-x", "missing", "missing/deep", "loop"),
    *("file.txt", "file.txt/x", "folder", "secret", "secret/x", "link", "dangling", "fifo"),
    *("run", "run/", "run/records.jsonl", "broken", "x" * 300, "x/" * 3_000, "/dev/null"),
    *("/dev/full", "/dev/null/x", "/proc/self/mem", "/proc/none", "@file.txt", "*.py", "file:///x"),
    *("[red]x[/]", "$(id)", "`id`", "; id", "::error::x", "##[error]x", "=1+1", "<b>", "&amp;"),
)

PATHS = (
    *("x" * 300, "x/" * 3_000, "\udcff", "\0", "secret/x", "loop", "loop/x", "fifo", "dangling"),
    *("~nosuchuser", "file.txt/x", "/proc/self/mem", "/dev/full"),
)
"""What no file can be made at, or read from as usual."""

MODULES = ("se", "SA", "all", "se,sa", "sa,groups=8", "mod.py:Gate", "timm:eca", "sk,r=16")
SPECS = (
    *("mod.py:Gate", "mod.py", "mod.py:", ":Gate", "mod.py:1", "mod.py:Gate,", "mod.py:Gate,x=1"),
    *("mod.py:Gate,site=here", "mod.py:Gate,channels=none", "mod.py:Gate,channels=1", "timm:"),
    *(
        "timm:none",
        "timm:se,x=(1,",
        "sa,groups=1/0",
        "sa,groups=1/3",
        "sa,=1",
        "sa,groups=",
        "plain",
    ),
    *("sa,groups=1,groups=2", "control", "sa,x=" + "[" * 500, "sa,x=" + "9" * 5000, "missing.py:A"),
    *("folder.py:A", "loop.py:A", "secret.py:A", "~nosuchuser/x.py:A", "__import__('os')", "se;sa"),
)
NUMBERS = ("1", "2", "1,8", "8,1,8", "64", "1,", ",1", "1;2", "1 2", "1.0", "+1", "1-3", "0", "-3")
FOLDERS = ("run", "folder", "missing", "new/deep", ".", "broken", "runs")
KNOWN: dict[str, tuple[str, ...]] = {
    "modules": MODULES,
    "module": SPECS,
    "host": ("resnet50", "ResNet18", "resnet5", "mobilenet", "retinanet", "sknet50", "fasterrcnn"),
    "device": ("cpu", "CPU", "cuda", "auto", "gpu", "cuda:0", "mps"),
    "batch_size": NUMBERS,
    "image_size": ("224", "32", "31", "800x1333", "800X1333", "32x", "x32", "32x32x32", *NUMBERS),
    "dtype": ("float32", "bfloat16,float16", "float", "fp16", "int8"),
    "mode": ("inference", "training", "inference,training", "train"),
    "stages": ("2,3,4", "c3-c5", "C5", "c5-c3", "c1", "0", "5", "1,1", "c"),
    "blocks": ("all", "last", "first"),
    "budget": ("3", "1e-9", "1e9", "60s", "0.5"),
    "timeout": ("3", "1e-9", "0", "600s", "1e308"),
    "threads": ("1", "2", "0", "100000", "-1"),
    "seed": ("0", "1", "-1", "18446744073709551616", "4294967296"),
    "out": FOLDERS,
    "only": ("sa-*", "*", "none", "[", "[!", "sa-[0-9"),
    "limits": ("limits.txt", "file.txt", "folder", "missing"),
    "run": FOLDERS,
    "between_runs": ("1%", "0.01", "1", "100%", "-1%", "%", "1 %"),
    "format_": ("text", "json", "junit", "github", "TEXT", "xml"),
    "format": ("text", "json", "JSON", "xml"),
    "old": FOLDERS,
    "new": FOLDERS,
    "save": ("base", "base", "../base", "a/b", ".", "..", "~", "CON"),
    "fail_above": ("3%", "0.03", "3", "101%"),
    "folder": FOLDERS,
    "folders": FOLDERS,
    "max_overhead": ("10%", "0.1", "3", "0%"),
    "max_added_params": ("0", "1000", "1e3", "-1"),
    "max_memory": ("5%", "0.05", "0"),
    "recipe": ("none", "sa", "original"),
    "weights": ("weights.pth", "file.txt", "folder", "missing"),
    "data": ("data", "folder", "missing", "file.txt"),
    "key": ("state_dict", "x"),
    "prefix": ("module.", "x"),
    "workers": ("0", "2", "-1", "1e9"),
    "simulated": ("20", "100", "19", "-1"),
    "real": ("0", "1", "-1"),
    "paper": ("added_params,ratio", "ratio,ratio", "none", "variant", ","),
}
"""Values by parameter: possible ones, and some that are near."""


class HangError(BaseException):
    """A list took too long."""


def _hang(*_: object) -> None:
    raise HangError


def parameters() -> dict[str, list[Any]]:
    """Return the parameters of every command, as they are declared."""
    import typer

    from attnbench.cli.app import app

    group: Any = typer.main.get_command(app)
    return {name: list(command.params) for name, command in group.commands.items()}


def value(random: Random, name: str, tame: float) -> str:
    """Return a value for a parameter: a possible one, such with a slip, or a nasty one."""
    known = KNOWN.get(name, NASTY)
    kinds = [lambda: known[0], lambda: random.choice(known)]
    others = [lambda: near(random, random.choice(known)), lambda: random.choice(NASTY)]
    return random.choice(kinds if random.random() < tame else others)()


def near(random: Random, text: str) -> str:
    """Return a text with a slip."""
    at, other = random.randrange(len(text) + 1), random.choice((" ", ",", "-", "é", "\x1b", "0"))
    return random.choice((text[:at] + other + text[at:], text[:at], text + text, text.swapcase()))


def arguments(random: Random, commands: dict[str, list[Any]]) -> list[str]:
    """Return a random list of arguments."""
    name = random.choice((*commands, "run", "run"))
    known = commands[name]
    positional = [parameter for parameter in known if parameter.param_type_name == "argument"]
    options = [parameter for parameter in known if parameter.param_type_name == "option"]
    tame = random.choice((0.5, 0.9, 1.0))
    words = [value(random, p.name, tame) for p in positional if random.random() < MOSTLY]
    required = [p for p in options if p.required and random.random() < MOSTLY]
    count = random.choice((0, 1, 1, 2, 3, 5)) if options else 0
    for option in (*required, *random.choices(options, k=count)):
        flag = random.choice((*option.opts, *option.secondary_opts))
        if option.is_flag and random.random() < MOSTLY:
            words.append(flag)
            continue
        text = value(random, option.name, tame)
        right, odd = ([flag, text], [f"{flag}={text}"]), ([flag], [near(random, flag), text])
        words += random.choice(right if random.random() < max(tame, MOSTLY) else odd)
    if random.random() > max(tame, MOSTLY):
        extra = ("--", "-", "--help", "--version", "-h", "--no-such", "@file.txt", "-x=1", "*")
        words.insert(random.randrange(len(words) + 1), random.choice((*extra, *NASTY)))
    first = [name] if name != "run" or random.choice((True, False)) else []
    if random.random() > max(tame, MOSTLY):
        first = [near(random, name)]
    return [*first, *words]


def each(commands: dict[str, list[Any]]) -> list[list[str]]:
    """Return lists of possible values, but for one parameter at a time, which is a path."""
    found = []
    for name, known in commands.items():
        values = {p.name: KNOWN.get(p.name, ("1",))[0] for p in known}
        positional = [p for p in known if p.param_type_name == "argument"]
        options = [p for p in known if p.param_type_name == "option" and not p.is_flag]
        needed = [word for p in options if p.required for word in (p.opts[0], values[p.name])]
        for path in PATHS:
            for odd in positional:
                words = [path if p is odd else values[p.name] for p in positional]
                found.append([name, *words, *needed])
            given = [name, *(values[p.name] for p in positional), *needed]
            found += [[*given, option.opts[0], path] for option in options]
    return found


def place(folder: Path) -> None:
    """Make the files and folders that the values name."""
    folder.mkdir(parents=True)
    run = ROOT / "tests" / "data" / "small-run"
    for name in ("run", "runs/one", "runs/two"):
        shutil.copytree(run, folder / name)
    for name in ("folder", "secret", "data/0", "folder.py", "broken"):
        (folder / name).mkdir(parents=True)
    for name in ("file.txt", "weights.pth", "broken/records.jsonl", "-x"):
        (folder / name).write_text("not what was looked for\n")
    (folder / "limits.txt").write_text("sa in resnet50: added params <= 800\n")
    (folder / "mod.py").write_text("class Gate: pass\n")
    (folder / "secret.py").write_text("")
    for name in ("secret", "secret.py"):
        (folder / name).chmod(0)
    for name, target in (
        *(("loop", "loop"), ("loop.py", "loop.py"), ("link", "run"), ("dangling", "nothing")),
    ):
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo")


class Touched:
    """An audit hook that notes what is written outside of a folder."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.found: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, values: tuple[Any, ...]) -> None:
        """Note an event."""
        if self.folder is None:
            return
        paths: tuple[Any, ...] = ()
        if event == "open":
            path, _, flags = values
            paths = (path,) if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else ()
        elif event in {"os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}:
            paths = values[:1]
        elif event in {"os.rename", "os.link", "os.symlink"}:
            paths = values[:2]
        elif event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}:
            self.found.append(event)
        for path in paths:
            if isinstance(path, int):
                continue
            full = os.path.realpath(os.fsdecode(path))
            inside = f"{full}/".startswith(f"{self.folder}/")
            if not inside and full != os.devnull and "__pycache__" not in full:
                self.found.append(f"{event} {full!a}")


def _refuse(*_: object, **__: object) -> Any:
    from attnbench.errors import UserError

    raise UserError(WOULD_MEASURE)


STUBBED = (
    *("attnbench.measuring.run", "attnbench.claims.check.check"),
    "attnbench.claims.limits.check.check",
    *("attnbench.hosts.check_module.in_subprocess", "attnbench.system.doctor.activity.watch"),
    "attnbench.system.machine_lock.alone",
    *("attnbench.measuring.selftest.selftest.run", "attnbench.accuracy.evaluate.evaluate"),
    *("attnbench.system.environment.describe_apart", "attnbench.system.worker._stream"),
    "attnbench.training.runner.run",
    *("attnbench.sweeps.local.drive", "attnbench.sweeps.engine.driver.connected"),
    *("attnbench.sweeps.engine.scheduler.serve", "attnbench.sweeps.engine.worker.serve"),
)
"""Functions that would measure, count, train, wait, serve, or start a process."""


@contextlib.contextmanager
def stubbed() -> Iterator[None]:
    """Replace these, and the drawing of plots, which takes long."""
    with contextlib.ExitStack() as stack:
        for name in STUBBED:
            assert isinstance(pkgutil.resolve_name(name), FunctionType), f"{name} is no function"
            stack.enter_context(mock.patch(name, _refuse))
        stack.enter_context(mock.patch("attnbench.report.plots.render.drawn", return_value=[]))
        yield


def called(words: list[str]) -> tuple[int | None, str, str]:
    """Call the command line; return its status, what it printed, and what went wrong."""
    from attnbench.cli import app

    out, errors, status, fault = io.StringIO(), io.StringIO(), None, ""
    for timer, seconds in HANG_S.items():
        signal.setitimer(timer, seconds)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            app.main(list(words))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        fault = "" if status in STATUSES else f"traceback: status {status}"
    except HangError:
        fault = "hang"
    except BaseException:
        fault = f"traceback: {traceback.format_exc(limit=-3)}"
    finally:
        for timer in HANG_S:
            signal.setitimer(timer, 0)
    return status, errors.getvalue(), fault


def line_fault(status: int | None, shown: str) -> str:
    """Return what is wrong with what was printed on stderr, or nothing."""
    lines = shown.splitlines()
    if [char for char in shown if not char.isprintable() and char != "\n"]:
        return "lines: control characters"
    if status == BAD_INPUT and len(lines) != 1:
        return f"lines: {len(lines)}"
    if any(len(line) > MOST_CHARACTERS for line in lines):
        return f"lines: {max(map(len, lines))} characters"
    return ""


def batch(
    seed: int | None, first: int, count: int, folder: Path, step: int = 1
) -> list[tuple[str, list[str]]]:
    """Try lists in this process, from a folder that is made; return endings and faults.

    Without a seed those of :func:`each`. Of the lists every ``step``-th is tried.
    """
    place(folder)
    before, handlers = Path.cwd(), {number: signal.signal(number, _hang) for number in ALARMS}
    touched, commands, results = Touched(), parameters(), []
    one_by_one = each(commands) if seed is None else []
    home = {"HOME": str(folder), "MPLCONFIGDIR": str(folder)}
    home |= {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    try:
        os.chdir(folder)
        with stubbed(), mock.patch.dict(os.environ, home):
            for number in range(first, first + count * step, step):
                if seed is None:
                    words = one_by_one[number]
                else:
                    words = arguments(Random(f"{seed} {number}"), commands)
                touched.folder = folder.resolve()
                status, shown, fault = called(words)
                touched.folder = None
                faults = [fault, line_fault(status, shown)]
                faults += [f"touched: {what}" for what in touched.found]
                touched.found = []
                found = [f"{f}\n    {number}: {str(words)[:600]!a}" for f in faults if f]
                accepted = WOULD_MEASURE in shown
                results.append(("accepted" if accepted else f"status {status}", found))
    finally:
        touched.folder = None
        os.chdir(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name in ("secret", "secret.py"):
            (folder / name).chmod(0o700)
    return results


def attack(
    seconds: float,
    seed: int | None,
    count: int = 1_000,
    *,
    at_once: int = 250,
    say: Callable[[str], object] = print,
) -> dict[str, int]:
    """Try that many lists in child processes, or as many as the time allows; return the table.

    Without a seed the first of :func:`each`.
    """
    deadline, counts = monotonic() + seconds, Counter[str]()
    faults = dict.fromkeys(FAULTS, 0)
    with tempfile.TemporaryDirectory() as temporary:
        for first in range(0, count, at_once):
            left_s = deadline - monotonic()
            if left_s <= 0:
                break
            size = min(at_once, count - first)
            words = [str(Path(temporary) / str(first)), json.dumps([seed, first, size])]
            command = [sys.executable, __file__, "--batch", *words]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=left_s, check=False
                )
                results = json.loads(done.stdout.splitlines()[-1])
            except subprocess.TimeoutExpired:
                break
            except (ValueError, IndexError):
                say(f"a batch ended with status {done.returncode}: {done.stderr[-2000:]}")
                faults["traceback"] += 1
                continue
            for ended, found in results:
                counts[ended] += 1
                for fault in found:
                    say(fault)
                    faults[fault.partition(":")[0].partition("\n")[0]] += 1
    return {"lists": sum(counts.values()), **dict(sorted(counts.items())), **faults}


def main() -> None:
    """Print the table; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="One path at a time, nothing random.")
    parser.add_argument("--batch", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch:
        folder, numbers = given.batch
        print(json.dumps(batch(*json.loads(numbers), Path(folder))))
        return
    if given.each:
        table = attack(given.seconds, None, len(each(parameters())))
    else:
        table = attack(given.seconds, given.seed, given.count)
    print("\n".join(f"{name:>12} {count:5}" for name, count in table.items()))
    sys.exit(int(any(table[fault] for fault in FAULTS)))


if __name__ == "__main__":
    main()
