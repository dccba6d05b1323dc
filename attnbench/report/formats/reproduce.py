"""What is needed to repeat a run: its command, and the machine and software it ran on."""

from __future__ import annotations

import shlex
from dataclasses import asdict

from attnbench.records.case import OPTIONS
from attnbench.records.run import Run


def command(run: Run) -> str:
    """Return the command that measures the same configuration; every setting is stated.

    Those whose value is empty are left out: ``--at`` where the module has its own sites.
    """
    custom = [name for name in run.modules if set(name) & {",", ":"}]
    listed = [name for name in run.modules if name not in custom]
    words, switches = ["attnbench", "run"], []
    words += ["--modules", ",".join(listed)] if listed else []
    words += [word for name in custom for word in ("--module", name)]
    values = asdict(run.case)
    values |= {"budget_s": run.plan.budget_s, "processes": run.plan.processes}
    values |= {"energy": run.plan.energy_rounds}
    for name, option in OPTIONS.items():
        if name not in values:  # the timeout is part of no record
            continue
        value = values[name]
        if isinstance(value, bool):
            switches += [option.flag] if value else []
        elif text := option.text(value):
            words += [option.flag, text]
    return shlex.join([*words, *switches])


def environment(run: Run) -> list[tuple[str, str]]:
    """List the facts of machine and software at the beginning of the run that are known."""
    return [(key, str(value)) for key, value in run.environment.items() if value is not None]
