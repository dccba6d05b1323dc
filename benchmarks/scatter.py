"""Compare the scatter of a ratio by two methods: ``python benchmarks/scatter.py [--repeats N]``.

In turn (as benchmark.py of pytorch-image-models does): one network after the other, 10 forwards
to warm up, then the mean of 40. Interleaved (as this suite does): warm-up and interleaved rounds
of both and the control, for as many seconds as the first method took, in a process with the
settings of a run (memory kept, weights moved). The methods alternate, each in a fresh process;
printed is the scatter of SA over the plain ResNet-50 by both. Fewer than 15 repeats show little.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from math import exp, sqrt
from statistics import mean, median, stdev

FEWEST = 2

SETUP = """
import sys, time
import torch
from attnbench.measuring import timing, workload
from attnbench.records.schema import Case
from attnbench.stats import ratios
from attnbench.system import process_settings
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
process_settings.settle(case)
clock = timing.CpuClock()
steps = {name: workload.step(case, name) for name in ("plain", "control", "sa")}
blocks = {name: timing.warm_up(step, clock) for name, step in steps.items()}
rounds = []
for timed_round in timing.Rounds(steps, blocks, clock, seed=0):
    rounds.append(timed_round)
    if time.perf_counter() - start > float(sys.argv[1]):
        break
print(ratios.ratio(rounds, "sa").median, time.perf_counter() - start)
"""


def once(code: str, *arguments: str) -> tuple[float, float]:
    """Return the ratio and the seconds of one fresh process."""
    command = [sys.executable, "-c", SETUP + code, *arguments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ratio, seconds = map(float, printed.split())
    return ratio, seconds


def main() -> None:
    """Alternate the two methods and print both series and their scatter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="of each method; 15")
    repeats = parser.parse_args().repeats
    if repeats < FEWEST:
        parser.error(f"{FEWEST} repeats are the fewest that scatter")
    from attnbench.system import machine_lock

    in_turn, interleaved = [], []
    with machine_lock.alone():
        for _ in range(repeats):
            in_turn.append(once(IN_TURN))
            interleaved.append(once(INTERLEAVED, str(in_turn[-1][1])))
    scatter = {}
    for method, series in (("in turn", in_turn), ("interleaved", interleaved)):
        ratios = [ratio for ratio, _ in series]
        scatter[method] = stdev(ratios)
        print(
            f"{method:20} median {median(ratios):.3f}, "
            f"from {min(ratios):.3f} to {max(ratios):.3f}, "
            f"standard deviation {scatter[method]:.4f}, {mean(s for _, s in series):.1f} s each"
        )
        print(" " * 20, " ".join(f"{ratio:.3f}" for ratio in ratios))
    share = scatter["interleaved"] / scatter["in turn"]
    # The logarithm of a standard deviation of n normal samples has a variance of 1 / (2 (n - 1)).
    factor = exp(1.96 * sqrt(1 / (repeats - 1)))
    print(
        f"scatter, interleaved over in turn: {share:.2f} "
        f"[{share / factor:.2f}, {share * factor:.2f}], 95% ({repeats} repeats each)"
    )


if __name__ == "__main__":
    main()
