"""Measure the scatter of a ratio between processes: ``python benchmarks/processes.py [PROCESSES]``.

The interval of one run cannot show what differs between processes: where memory lies, and whether
the C library returns it to the system. This times the same rounds in several fresh processes,
alternating three settings: memory as by default; kept (``process_settings.keep_memory``); kept,
with the weights moved every few rounds (``process_settings.MOVE_EVERY``), as in a run. For SA over
the plain ResNet-50 it prints every process's ratio, their standard deviation, and the standard
deviation that the processes' own intervals state.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import mean, stdev

ROUNDS = 60
FEWEST = 2

ONE_PROCESS = """
import sys
import torch
from attnbench.measuring import timing, workload
from attnbench.records.schema import Case
from attnbench.stats import ratios
from attnbench.system import process_settings
case = Case(host="resnet50", batch_size=1, image_size=224, dtype="float32", channels_last=False,
            mode="inference", device="cpu", threads=torch.get_num_threads(), seed=0)
if "kept" in sys.argv[1]:
    process_settings.keep_memory()
clock = timing.CpuClock()
steps = {name: workload.step(case, name) for name in ("plain", "control", "sa")}
blocks = {name: timing.warm_up(step, clock) for name, step in steps.items()}
if "moved" not in sys.argv[1]:
    steps = {name: timing.Step(step.parts) for name, step in steps.items()}
series = iter(timing.Rounds(steps, blocks, clock, seed=0))
rounds = [next(series) for _ in range(int(sys.argv[2]))]
interval = ratios.ratio(rounds, "sa")
print(interval.median, interval.half_width)
"""


def one_process(setting: str) -> tuple[float, float]:
    """Return the ratio of SA in a fresh process, and the half-width that the process states."""
    command = [sys.executable, "-c", ONE_PROCESS, setting, str(ROUNDS)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ratio, half_width = map(float, printed.split())
    return ratio, half_width


def main() -> None:
    """Alternate the settings and print their series."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("processes", type=int, nargs="?", default=6, help="of each setting; 6")
    processes = parser.parse_args().processes
    if processes < FEWEST:
        parser.error(f"{FEWEST} processes are the fewest that scatter")
    series: dict[str, list[tuple[float, float]]] = {
        setting: [] for setting in ("default", "kept", "kept and moved")
    }
    from attnbench.system import machine_lock

    with machine_lock.alone():
        for _ in range(processes):
            for setting, measured in series.items():
                measured.append(one_process(setting))
    for setting, measured in series.items():
        listed = " ".join(f"{ratio:.3f}" for ratio, _ in measured)
        stated = mean(half_width for _, half_width in measured) / 1.96
        print(f"memory {setting:15} SA / plain: {listed}")
        print(f"{'':22} scatter {stdev(ratio for ratio, _ in measured):.4f}, stated {stated:.4f}")


if __name__ == "__main__":
    main()
