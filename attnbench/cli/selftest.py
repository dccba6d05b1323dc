"""``attnbench selftest``: whether the suite's own intervals are right."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.cli import output
from attnbench.cli.options import Device


def selftest(
    simulated: Annotated[
        int, typer.Option(metavar="RUNS", help="Runs of each simulated machine.", min=20)
    ] = 100,
    real: Annotated[
        int, typer.Option(metavar="RUNS", help="Runs on this machine; 0 for none.", min=0)
    ] = 20,
    device: Annotated[
        Device | None, typer.Option(show_default="auto", help="Where the real runs are timed.")
    ] = None,
) -> int:
    """Test how often the suite's intervals are right, and whether planted slowdowns are found."""
    from attnbench.measuring import selftest as measured

    console = output.console()
    findings = measured.Findings()
    for line in measured.run(simulated, real, device, findings):
        console.print(line)
    console.print(output.table(findings.caption, measured.HEADINGS, findings.rows, ("what",)))
    for fault in findings.faults:
        output.complain(fault)
    if not findings.faults:
        console.print("Every machine meets its requirements.")
    return 1 if findings.faults else 0
