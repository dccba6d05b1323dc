"""How far a ratio scatters between processes: ``python benchmarks/processes.py [PROCESSES]``.

What an interval of one run cannot see is what differs between processes: where memory lies, and
whether the C library gives it back. This runs the same rounds in several fresh processes, in turn
in three ways: memory as it comes; kept (``process_settings.keep_memory``); kept, and the weights
moved every few rounds (``process_settings.MOVE_EVERY``), which is what a run does. For SA over the
plain ResNet-50 it prints every process's ratio, their standard deviation, and the one that the
processes' own intervals promise.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import mean, stdev

ROUNDS = 60

ONE_PROCESS = """
import sys
import torch
from attnbench.stats import ratios
from attnbench.system import process_settings
from attnbench.measuring import timing
from attnbench.measuring import workload
from attnbench.records.schema import Case
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
found = ratios.ratio(rounds, "sa")
print(found.median, found.half_width)
"""


def main() -> None:
    """Alternate the ways and print their series."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    found: dict[str, list[tuple[float, float]]] = {
        way: [] for way in ("as it comes", "kept", "kept and moved")
    }
    for _ in range(processes):
        for way, series in found.items():
            command = [sys.executable, "-c", ONE_PROCESS, way, str(ROUNDS)]
            shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            ratio, half_width = map(float, shown.split())
            series.append((ratio, half_width))
    for way, series in found.items():
        listed = " ".join(f"{ratio:.3f}" for ratio, _ in series)
        promised = mean(half_width for _, half_width in series) / 1.96
        print(f"memory {way:15} SA / plain: {listed}")
        print(f"{'':22} scatter {stdev(r for r, _ in series):.4f}, promised {promised:.4f}")


if __name__ == "__main__":
    main()
