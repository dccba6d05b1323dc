"""``attnbench doctor``: what on this machine would disturb a run, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from attnbench.cli import output
from attnbench.cli.options import choice, formats
from attnbench.system.doctor import activity, findings

FORMATS = ("text", "json")


def doctor_command(
    format: Annotated[str, formats(FORMATS)] = "text",
) -> int:
    """Examine this machine for two seconds; status 1 where something would disturb a run."""
    as_json = choice(format, "--format", FORMATS) == "json"
    machine = activity.Machine()
    found = findings.examine(machine, activity.watch(machine))
    warnings = [finding for finding in found if finding.state == "warning"]
    if as_json:
        coded = [asdict(finding) | {"code": finding.state} for finding in found]
        print(output.json_text({"findings": coded, "warnings": len(warnings)}))
    else:
        rows = [(f.what, f.state, f.found, f.advice) for f in found]
        headings = ("what", "state", "found", "what to do")
        output.console().print(output.table("This machine", headings, rows, headings))
        print(_conclusion(len(warnings)))
    return 1 if warnings else 0


def _conclusion(warnings: int) -> str:
    if not warnings:
        return "Nothing found that would disturb a run."
    things = "1 thing" if warnings == 1 else f"{warnings} things"
    return f"{things} would disturb a run. Its control and flags will show how much."
