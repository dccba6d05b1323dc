"""Measure modules from a notebook: classes of its cells, and a result that shows itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from attnbench.errors import UserError
from attnbench.measuring import RunOptions, runner
from attnbench.measuring.events import Beginning, Event, Planned, Waiting
from attnbench.plugins import interactive
from attnbench.records.case import GRID, OPTIONS
from attnbench.records.run import Run
from attnbench.report.load import Loaded, load, read
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import overview
from attnbench.report.tables.table import Table

WIDTH = 100
"""Of the line of progress, so that it covers the one before."""


@dataclass(frozen=True)
class Measurement:
    """A finished call of :func:`measure`; in a notebook it shows its tables."""

    folder: Path
    """Of the records; ``attnbench report`` makes tables, plots and a page of it."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a network, raw and in base units, as of ``attnbench.read``."""
        return read(self.folder)

    @cached_property
    def _loaded(self) -> Loaded:
        return load(self.folder)

    def __repr__(self) -> str:
        parts = []
        for loaded in self._loaded.pooled.values():
            lines = [f"{loaded.run.case.described}.", *remarks(loaded)]
            parts.append("\n".join([*lines, "", _cells(overview(loaded)).to_string(index=False)]))
        return "\n\n".join([*parts, f"Records: {self.folder}"])

    def _repr_html_(self) -> str:
        parts = []
        for loaded in self._loaded.pooled.values():
            lines = [f"{loaded.run.case.described}.", *remarks(loaded)]
            parts += [f"<p>{'<br>'.join(map(escape, lines))}</p>"]
            parts += [_cells(overview(loaded)).to_html(index=False)]
        return "".join([*parts, f"<p>Records: <code>{escape(str(self.folder))}</code></p>"])


def measure(*modules: type | str, out: Path | str | None = None, **options: Any) -> Measurement:
    """Put modules into a host, count and time them, and return what was measured.

    A module is a class that takes ``channels``, as it stands in a cell or a file, or a name as
    ``attnbench run --module`` takes it. ``options`` are the fields of ``RunOptions``, with single
    values where one suffices. Without ``out`` a new folder under ``reports/``::

        attnbench.measure(Mine, "sa", host="resnet18", budget_s=60)

    Raises:
        UserError: as ``attnbench.run``, or an option that there is not.
        SettingsError: a class that cannot be loaded from a file; the message says why.
    """
    named = tuple(
        module if isinstance(module, str) else interactive.specification(module)
        for module in modules
    )
    values: dict[str, Any] = {
        name: (value,) if name in GRID and not isinstance(value, tuple | list) else value
        for name, value in options.items()
    }
    if unknown := sorted(set(options) - {field.name for field in fields(RunOptions)}):
        raise UserError(f"no option {unknown[0]}; known: {', '.join(OPTIONS)}")
    asked = RunOptions(modules=named or None, **values)
    measured = runner.run(asked, None if out is None else Path(out), _progress)
    print(file=sys.stderr)
    return Measurement(measured.folder)


def _cells(table: Table) -> pd.DataFrame:
    return pd.DataFrame(table.rows, columns=list(table.headings))


def _progress(run: Run, event: Planned | Waiting | Event) -> None:
    """Keep one line on stderr that says what is being done."""
    if isinstance(event, Waiting):
        text = f"waiting {event.left_s:.0f} s for the next repetition"
        if event.holder:
            text = f"waiting for {event.holder}"
        print(f"\r{text}".ljust(WIDTH), end="", file=sys.stderr, flush=True)
    if isinstance(event, Beginning):
        spent = f"{run.timed_s:.0f} of at most {run.plan.budget_s:.0f} s timed"
        what = " ".join(filter(None, [event.kind, event.variant]))
        print(f"\r{what} ({spent})".ljust(WIDTH), end="", file=sys.stderr, flush=True)
