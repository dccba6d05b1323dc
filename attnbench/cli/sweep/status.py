"""``attnbench sweep status DIR``: how far a sweep is, read from its folder."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from attnbench import formatting
from attnbench.cli import output
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.run import read
from attnbench.sweeps.folder import Happened, Plan, Planned, SweepFolder

HEADINGS = ("configuration", "state", "where", "since", "rounds", "what failed")


def show(path: Path, console: Console) -> int:
    """Print a row for each configuration and a sentence; return 1 where one has failed.

    Raises:
        UserError: the folder holds no sweep.
    """
    folder = SweepFolder(path)
    lines = folder.lines()
    plans = [line for line in lines if isinstance(line, Plan)]
    if not plans:
        raise UserError(f"{path} holds a sweep that has not begun")
    last = {line.name: line for line in lines if isinstance(line, Happened)}
    driven, planned = folder.is_driven, plans[-1]
    rows = [_row(folder, known, last.get(known.name), driven) for known in planned.configurations]
    console.print(output.table(f"The sweep in {path}", HEADINGS, rows, HEADINGS))
    counted = Counter(row[1] for row in rows)
    listed = ", ".join(f"{number} {state}" for state, number in counted.items())
    left = [
        known
        for known, row in zip(planned.configurations, rows, strict=True)
        if row[1] in {"waiting", "running", "interrupted", "lost"}
    ]
    text = f"{listed} of {len(rows)}"
    if left:
        alone = formatting.seconds(sum(known.seconds for known in left))
        text += f"; what is left takes at most about {alone} on one device"
    console.print(f"{text}.")
    if left and not driven:
        console.print("Nothing drives it now: start it again with the same --out, and it goes on.")
    return 1 if any(row[1] == "failed" or row[5] != formatting.NOTHING for row in rows) else 0


def _row(
    folder: SweepFolder, known: Planned, event: Happened | None, driven: bool
) -> tuple[str, ...]:
    state: str = event.state if event else "waiting"
    if folder.is_whole(known.name):
        state = "done"
    elif state in {"running", "lost"} and not driven:
        state = "interrupted"
    elif state == "lost":
        state = "waiting"
    told = event is not None and state == event.state
    return (
        known.described,
        state,
        (event.where if event and told else None) or known.wanted,
        _clock(event.time) if event and told else formatting.NOTHING,
        _rounds(folder, known.name),
        (event.message if event and state in {"done", "failed"} else None) or formatting.NOTHING,
    )


def _clock(time: str) -> str:
    with suppress(ValueError):
        return f"{datetime.fromisoformat(time).astimezone():%d %b %H:%M}"
    return time


def _rounds(folder: SweepFolder, name: str) -> str:
    for place in (folder.whole(name), folder.unfinished(name)):
        if store.holds_a_file(place):
            with suppress(UserError):  # its first line is being written
                return str(len(read(place).rounds))
    return "0"
