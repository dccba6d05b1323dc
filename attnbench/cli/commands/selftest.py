"""``attnbench selftest``: whether the suite's own intervals are right."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

from attnbench.cli import options, output
from attnbench.cli.options import Timeout, option
from attnbench.system import machine_lock, worker


def selftest(
    simulated: Annotated[int, option("RUNS", "Runs of each simulated machine.", min=20)] = 100,
    real: Annotated[int, option("RUNS", "Runs on this machine; 0 for none.", min=0)] = 20,
    device: options.DeviceName = "auto",
    timeout: Timeout = None,
) -> int:
    """Test how often the suite's intervals are right, and whether planted slowdowns are found.

    Exit status 1 where they are not, such as on a machine too busy to see 5%.
    """
    asked = options.device(device)  # or refuse it, before torch is imported
    from attnbench.measuring.selftest import selftest as measured

    console = output.console()
    findings = measured.Findings()
    with worker.time_limit(timeout), machine_lock.alone() if real else nullcontext():
        for line in measured.run(simulated, real, asked, findings):
            console.print(line)
    console.print(output.table(findings.caption, measured.HEADINGS, findings.rows, ("what",)))
    output.complain(*findings.faults)
    if findings.faults:
        return 1
    if real:
        console.print("Every machine meets its requirements: the simulated ones, and this one.")
    else:
        console.print("The simulated machines meet their requirements; this one was not tried.")
    return 0
