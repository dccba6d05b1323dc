"""How far a ratio scatters between processes: ``python benchmarks/processes.py [PROCESSES]``.

An interval of one run speaks of one process. This runs the same rounds in several fresh ones,
in turn with and without memory kept (``attnbench.allocator``), and prints the ratio of SA to
the plain ResNet-50 in each, and the standard deviation of both series.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import stdev

ROUNDS = 40

ONE_PROCESS = """
import sys
import torch
from attnbench import allocator, statistics, timing, workload
from attnbench.records import Case
case = Case(host="resnet50", batch_size=1, image_size=224, dtype="float32", channels_last=False,
            mode="inference", device="cpu", threads=torch.get_num_threads(), seed=0)
if sys.argv[1] == "kept":
    allocator.keep_memory()
clock = timing.CpuClock()
steps = {name: workload.step(case, name) for name in ("plain", "sa")}
blocks = {name: timing.warm_up(step, clock) for name, step in steps.items()}
series = iter(timing.Rounds(steps, blocks, clock, seed=0))
rounds = [next(series) for _ in range(int(sys.argv[2]))]
print(statistics.ratio(rounds, "sa").median)
"""


def main() -> None:
    """Alternate the two ways and print both series."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    ratios: dict[str, list[float]] = {"kept": [], "as it comes": []}
    for _ in range(processes):
        for way, found in ratios.items():
            command = [sys.executable, "-c", ONE_PROCESS, way, str(ROUNDS)]
            found.append(float(subprocess.run(command, check=True, capture_output=True).stdout))
    for way, found in ratios.items():
        listed = " ".join(f"{ratio:.3f}" for ratio in found)
        print(f"memory {way:12} SA / plain: {listed}   standard deviation {stdev(found):.3f}")


if __name__ == "__main__":
    main()
