"""One ratio measured again and again, in timm's way and in ours: ``python benchmarks/scatter.py``.

In timm's way (benchmark.py of pytorch-image-models): each network in turn, 10 forwards to warm
up, then the mean of 40. In ours: warm-up and interleaved rounds of both and the control, for the
seconds that timm's way took, in a process that is settled as a run's is (memory kept, weights
moved). Both in a fresh process each time, in turn; the scatter of SA over the plain ResNet-50 is
printed for both. ``--repeats N``, at least 15 to say something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from math import exp, sqrt
from statistics import mean, median, stdev

SETUP = """
import sys, time
import torch
from attnbench.stats import ratios
from attnbench.system import process_settings
from attnbench.measuring import timing
from attnbench.measuring import workload
from attnbench.records.schema import Case
case = Case(host="resnet50", batch_size=1, image_size=224, dtype="float32", channels_last=False,
            mode="inference", device="cpu", threads=torch.get_num_threads(), seed=0)
torch.set_num_threads(case.threads)
"""

IN_TURN = """
start, means = time.perf_counter(), {}
for name in ("plain", "sa"):
    step = workload.step(case, name)
    for _ in range(10):
        step()
    begin = time.perf_counter()
    for _ in range(40):
        step()
    means[name] = (time.perf_counter() - begin) / 40
print(means["sa"] / means["plain"], time.perf_counter() - start)
"""

INTERLEAVED = """
start = time.perf_counter()
settings.settle(case)
clock = timing.CpuClock()
steps = {name: workload.step(case, name) for name in ("plain", "control", "sa")}
blocks = {name: timing.warm_up(step, clock) for name, step in steps.items()}
rounds = []
for each in timing.Rounds(steps, blocks, clock, seed=0):
    rounds.append(each)
    if time.perf_counter() - start > float(sys.argv[1]):
        break
print(statistics.ratio(rounds, "sa").median, time.perf_counter() - start)
"""


def once(code: str, *arguments: str) -> tuple[float, float]:
    """The ratio and the seconds of one fresh process."""
    command = [sys.executable, "-c", SETUP + code, *arguments]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ratio, seconds = map(float, shown.split())
    return ratio, seconds


def main() -> None:
    """Alternate the two ways and print both series and their scatter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    in_turn, interleaved = [], []
    for _ in range(repeats):
        in_turn.append(once(IN_TURN))
        interleaved.append(once(INTERLEAVED, str(in_turn[-1][1])))
    scatter = {}
    for way, found in (("one after the other", in_turn), ("interleaved", interleaved)):
        ratios = [ratio for ratio, _ in found]
        scatter[way] = stdev(ratios)
        print(
            f"{way:20} median {median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}, "
            f"standard deviation {scatter[way]:.4f}, {mean(s for _, s in found):.1f} s each"
        )
        print(" " * 20, " ".join(f"{ratio:.3f}" for ratio in ratios))
    share = scatter["interleaved"] / scatter["one after the other"]
    # The logarithm of a standard deviation of n normal samples has a variance of 1 / (2 (n - 1)).
    doubt = exp(1.96 * sqrt(1 / (repeats - 1)))
    print(
        f"scatter, interleaved over one after the other: {share:.2f} "
        f"[{share / doubt:.2f}, {share * doubt:.2f}], 95% ({repeats} repeats each)"
    )


if __name__ == "__main__":
    main()
