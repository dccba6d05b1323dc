"""``attnbench selftest``: whether the suite's own intervals are right."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from attnbench.cli import options, output
from attnbench.cli.options import NoWait, Timeout, option
from attnbench.system import machine_lock, worker


def selftest(
    simulated: Annotated[int, option("RUNS", "Runs of each simulated machine.", min=20)] = 100,
    real: Annotated[int, option("RUNS", "Runs on this machine; 0 for none.", min=0)] = 20,
    device: options.DeviceName = "auto",
    timeout: Timeout = None,
    no_wait: NoWait = False,
) -> int:
    """Test how often the suite's intervals are right, and whether planted slowdowns are found.

    Exit status 1 where they are not, such as on a machine too busy to see 5%.
    """
    asked = options.device(device)  # or refuse it, before torch is imported
    if_busy = options.if_busy(no_wait=no_wait, share=False) or "wait"
    from attnbench.measuring.selftest import selftest as measured
    from attnbench.system import environment

    console = output.console()
    findings = measured.Findings()
    with worker.time_limit(timeout), ExitStack() as stack:
        if real:
            names = environment.lock_names_apart([measured.real_case(asked).device])
            stack.enter_context(machine_lock.alone(*names, if_busy=if_busy))
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
