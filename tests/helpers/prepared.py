"""Programs that would import torch for seconds, in a process that has imported it already."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from attnbench.system import worker


def completed(function: Callable[..., object], *args: object) -> CompletedProcess[str]:
    """Call a function in a new process that is forked from the prepared one.

    It has this process's environment; returns the exit status and what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = (Path(folder), dict(os.environ), function, args)
        process = worker._prepared().Process(target=_there, args=known)
        process.start()
        process.join()
        out, err = (Path(folder, name).read_text() for name in ("out", "err"))
    return CompletedProcess([function, *args], process.exitcode, out, err)


def run_beside(folder: Path, code: str) -> None:
    """Run a program whose package is that in the folder, of which nothing is imported yet."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "attnbench"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    exec(code, {"__name__": "__main__"})


def _there(
    folder: Path, environ: dict[str, str], function: Callable[..., object], args: tuple[object, ...]
) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_CREAT | os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(environ)
    function(*args)
