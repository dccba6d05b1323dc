"""The command line: its commands, and what they all share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import EACCES, EDQUOT, EIO, ELOOP, ENAMETOOLONG, ENOSPC, ENOTDIR, EPERM
from functools import cache
from typing import Annotated, Any

import typer

from attnbench._version import __version__
from attnbench.cli import interrupts, output
from attnbench.cli.answers.compare import compare
from attnbench.cli.answers.explain import explain
from attnbench.cli.answers.history import history
from attnbench.cli.answers.pick import pick
from attnbench.cli.answers.plan import plan
from attnbench.cli.answers.report import report_command
from attnbench.cli.commands.check import check
from attnbench.cli.commands.doctor import doctor_command
from attnbench.cli.commands.evaluate import evaluate
from attnbench.cli.commands.export import export
from attnbench.cli.commands.list_modules import list_modules
from attnbench.cli.commands.places import places
from attnbench.cli.commands.run import run
from attnbench.cli.commands.same import same
from attnbench.cli.commands.selftest import selftest
from attnbench.cli.commands.train import train
from attnbench.cli.help_page import HelpOfAll, HelpPage
from attnbench.cli.sweep.scheduler import scheduler
from attnbench.cli.sweep.sweep import sweep
from attnbench.cli.sweep.worker import worker
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.text import printable, shortened

app = typer.Typer(
    cls=HelpOfAll,
    help="Measure what an attention module really costs: counts, times, tables and plots. "
    "Without a command: run.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

COMMANDS: dict[str, Callable[..., int | None]] = {
    "run": run,
    "list": list_modules,
    "check": check,
    "evaluate": evaluate,
    "train": train,
    "compare": compare,
    "history": history,
    "pick": pick,
    "plan": plan,
    "selftest": selftest,
    "report": report_command,
    "doctor": doctor_command,
    "same": same,
    "explain": explain,
    "sweep": sweep,
    "scheduler": scheduler,
    "worker": worker,
    "places": places,
    "export": export,
}
"""Commands in the order of help."""

for _name, _command in COMMANDS.items():
    # A sweep's options are those of run, which it reads itself.
    _settings = {"ignore_unknown_options": True} if _name == "sweep" else {}
    app.command(_name, cls=HelpPage, context_settings=_settings)(_command)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"attnbench {__version__}")
        raise typer.Exit


MOST_OF_USAGE = 500
"""Characters of a message about how a command is used."""

UNUSABLE = {EACCES, ELOOP, ENAMETOOLONG, ENOTDIR, EPERM}
"""Errors of a path about which not even that can be asked whether something is there."""

PLAINER = {
    ": Value error, ": ": ",
    "Input should be a valid number, unable to parse string as a number": "a number is needed, "
    "such as 60 or 0.5, without a unit",
    "Input should be a valid integer, unable to parse string as an integer": "a whole number is "
    "needed, such as 1000",
    "Input should be ": "it must be ",
}
"""What the library that reads options says of a value, and what this command line says."""

# Typer exports no base class of its usage errors, and their module has moved between versions.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit status 2, no traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no dash or bar
    of_all = {"--help", "--version"}
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in of_all):
        arguments = ["run", *arguments]
    try:
        status = _status(arguments)
    except (UserError, SettingsError, _USAGE_ERROR) as error:
        message = getattr(error, "format_message", error.__str__)()  # names the option
        usage = isinstance(error, _USAGE_ERROR)  # which quotes what was written, however long
        shown = printable(_plainer(message), MOST_OF_USAGE) if usage else shortened(message)
        output.complain(shown)
        status = 2
    except OSError as error:
        if error.errno not in UNUSABLE or not isinstance(error.filename, str):
            raise
        output.complain(shortened(f"cannot use {printable(error.filename)}: {error.strerror}"))
        status = 2
    except KeyboardInterrupt:
        output.complain("interrupted")
        status = interrupts.STATUS
    raise SystemExit(status)


def _plainer(message: str) -> str:
    for theirs, ours in PLAINER.items():
        message = message.replace(theirs, ours)
    return message


@cache
def built() -> Any:  # a class of Typer's whose module has moved between versions
    """Return all commands with their options, which are read from their functions once."""
    return typer.main.get_command(app)


def _status(arguments: list[str]) -> int | None:
    """Run a command; return its exit status. Standard output that cannot be written to ends it."""
    try:
        try:
            # Not by the command's main(), which takes an EOFError of any code for an interrupt.
            command = built()
            with command.make_context("attnbench", arguments) as context:
                status: int | None = command.invoke(context)
        except typer.Exit as stop:
            status = stop.exit_code
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _drop_stdout()
        return 128 + 13  # as shells have it for a process that SIGPIPE ended
    except OSError as error:
        if error.errno not in {ENOSPC, EDQUOT, EIO} or error.filename is not None:
            raise
        _drop_stdout()
        output.complain(f"cannot write to standard output: {error.strerror}")
        return 1


def _drop_stdout() -> None:
    """Send to nowhere what is still to be written: the interpreter would fail to, as it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
