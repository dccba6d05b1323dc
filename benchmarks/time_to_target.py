"""Time to ±1% of every module, old rules against new: ``python benchmarks/time_to_target.py``.

Old: one process, which stops when every interval has reached the target; its interval knows rounds
alone. New: six processes, modules that sit out; its interval knows processes as well. Both runs
alternate, ``--repeats`` times each, with a budget that does not end them (``--budget``). Printed
for each run: seconds in timed rounds, seconds from its first record to its end, processes, rounds,
the widest half-width of a module, and why it ended; then the medians, side by side.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median
from time import perf_counter

METHODS = {"old: one process": 1, "new: six processes": 6}


def main() -> None:
    """Alternate both and print them side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="of each; 3")
    parser.add_argument("--budget", type=float, default=900.0, help="seconds of rounds; 900")
    parser.add_argument("--out", type=Path, help="where records are kept; else they are not")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("one repeat of each is the fewest")
    import attnbench
    from attnbench.records.run import Run
    from attnbench.stats import ratios

    def row(method: str, run: Run, whole_s: float) -> tuple[float, float]:
        known = [ratios.ratio(run.rounds, name) for name in run.modules]
        widest = max(ratio.half_width for ratio in known if ratio is not None)
        begun, ended = (
            datetime.fromisoformat(str(time)) for time in (run.started, run.moments[-1]["time"])
        )
        reason = run.end.reason if run.end else "unfinished"
        print(
            f"{method:20} {run.timed_s:8.1f} {(ended - begun).total_seconds():8.0f} "
            f"{whole_s:8.0f} {run.rounds[-1].process + 1:9} {len(run.rounds):6} {widest:8.2%} "
            f"{reason}",
            flush=True,
        )
        return run.timed_s, whole_s

    print(
        f"{'method':20} {'rounds/s':>8} {'run/s':>8} {'all/s':>8} {'processes':>9} {'rounds':>6} "
        f"{'widest':>8} end"
    )
    taken: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as temporary:
        for repeat in range(1, arguments.repeats + 1):
            for method, processes in METHODS.items():
                folder = (arguments.out or Path(temporary)) / f"{processes}-{repeat}"
                options = attnbench.RunOptions(processes=processes, budget_s=arguments.budget)
                start = perf_counter()
                (run,) = attnbench.run(options, folder).runs
                taken[method].append(row(method, run, perf_counter() - start))
    for what, place in (("in timed rounds", 0), ("in all", 1)):
        old, new = (median(seconds[place] for seconds in taken[method]) for method in METHODS)
        print(f"median seconds {what}: old {old:.0f}, new {new:.0f}: {new / old:.2f} of it")


if __name__ == "__main__":
    main()
