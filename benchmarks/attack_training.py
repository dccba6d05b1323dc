"""Kill a training at random moments and resume it: ``python benchmarks/attack_training.py``.

First ``attnbench train`` runs once without being disturbed, deterministic and small: the plain
host, its control and one module on scikit-learn's digits. Then again in another folder, where it is
killed ``--count`` times with all its processes (SIGKILL, SIGTERM, SIGINT) and started again with
the same ``--out`` until it has come to its end. Another process reads the images, and checkpoints
are written all the time, so that kills meet both. Counted are

* *weights*: networks whose final weights differ from the undisturbed ones in any bit;
* *epochs*: epochs whose figures differ, are missing, or stand there twice;
* *faults*: records of a training that failed: none did;
* *leftovers*: files beside the checkpoints at the end;
* *status*: an end by SIGTERM or SIGINT without its exit status, or any but 0 at the end;
* *tracebacks*: in anything that was printed;
* *hangs*: a start that has not ended in ten times the undisturbed one's time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

OPTIONS = (
    "train --data digits --host shufflenet_v2_x0_5 --at stage4.*.branch2.*@BatchNorm2d "
    "--modules eca --recipe short --set epochs=4 --seeds 1 --device cpu --threads 1 "
    "--workers 1 --deterministic --save-minutes 0.005"
)
FAILURES = ("weights", "epochs", "faults", "leftovers", "status", "tracebacks", "hangs")
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
MOST_TIMES = 10
"""The undisturbed training's time; one that takes longer hangs."""


def main() -> None:
    """Train twice and compare; exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10, help="kills; 10")
    parser.add_argument("--seconds", type=float, default=1200.0, help="most time; 1200")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ends = monotonic() + given.seconds
    # A job in the background ignores it, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        begun = monotonic()
        status, printed = start(whole, given.seconds)
        whole_s = monotonic() - begun
        if status:
            sys.exit(f"the undisturbed training ended with status {status}:\n{printed}")
        counts: Counter[str] = Counter()
        random = Random(given.seed)
        while counts["kills"] < given.count and not counts["ended"] and monotonic() < ends:
            kill(killed, random, whole_s, counts)
        status, printed = start(killed, MOST_TIMES * whole_s)
        counts["hangs"] += status is None
        counts["status"] += status != 0
        counts["tracebacks"] += "Traceback" in printed
        counts += compare(whole, killed)
    print(f"{counts['kills']} of {given.count} kills before its end, each start resumed")
    print("\n".join(f"{name:10} {counts[name]}" for name in FAILURES))
    sys.exit(int(any(counts[name] for name in FAILURES)))


def start(out: Path, most_s: float) -> tuple[int | None, str]:
    """Run the command; return its status, None where it has not ended, and what it printed."""
    process = _begin(out)
    try:
        printed, _ = process.communicate(timeout=most_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        return None, printed
    return process.returncode, printed


def _begin(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "attnbench", *OPTIONS.split(), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill(out: Path, random: Random, whole_s: float, counts: Counter[str]) -> None:
    """Start the training, kill it at a random moment, and count how it ended."""
    sent = random.choice((signal.SIGKILL, *STATUS))
    process = _begin(out)
    sleep(random.uniform(0.1, whole_s / 2))
    if process.poll() is not None:  # it has come to its end before
        counts["ended"] = 1
        counts["status"] += process.returncode != 0
        process.communicate()
        return
    os.killpg(process.pid, sent)
    try:
        printed, _ = process.communicate(timeout=MOST_TIMES * whole_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, _ = process.communicate()
        counts["hangs"] += 1
    counts["kills"] += 1
    # A signal that comes while Python itself starts or ends has the system's own status.
    counts["status"] += process.returncode not in {STATUS[sent], -sent, 0}
    counts["tracebacks"] += "Traceback" in printed
    print(f"kill {counts['kills']}: {sent.name}, status {process.returncode}", flush=True)


def compare(whole: Path, killed: Path) -> Counter[str]:
    """Count the networks and epochs in which two folders of a training differ."""
    import torch

    counts: Counter[str] = Counter()
    for path in sorted((whole / "checkpoints").iterdir()):
        other = killed / "checkpoints" / path.name
        if not other.exists():
            counts["weights"] += 1
            continue
        one, two = (_timeless_state(torch.load(file, weights_only=True)) for file in (path, other))
        counts["weights"] += not _same(one, two)
    wanted, found = epochs(whole), epochs(killed)
    counts["faults"] = (killed / "trainings.jsonl").read_text(encoding="utf-8").count('"error":')
    counts["leftovers"] = sum(path.suffix != ".pth" for path in (killed / "checkpoints").iterdir())
    counts["epochs"] = sum(((wanted - found) + (found - wanted)).values())
    return counts


def _timeless_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's content without the seconds that its epochs took."""
    progress = {key: value for key, value in state["progress"].items() if key != "seconds"}
    epochs = [
        {key: value for key, value in epoch.items() if key != "seconds"}
        for epoch in progress["epochs"]
    ]
    return state | {"progress": progress | {"epochs": epochs}}


def _same(one: object, two: object) -> bool:
    """Return whether two files hold the same, tensors bit for bit."""
    import torch
    from torch.utils._pytree import tree_flatten

    (leaves, shape), (others, other_shape) = tree_flatten(one), tree_flatten(two)
    return shape == other_shape and all(
        torch.equal(leaf, other) if isinstance(leaf, torch.Tensor) else leaf == other
        for leaf, other in zip(leaves, others, strict=True)
    )


def epochs(folder: Path) -> Counter[str]:
    """Return the epochs of a folder, without what depends on time."""
    lines = [json.loads(line) for line in (folder / "trainings.jsonl").read_text().splitlines()]
    return Counter(json.dumps(_timeless(line), sort_keys=True) for line in lines if "epoch" in line)


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    epoch = {key: value for key, value in line["epoch"].items() if key != "seconds"}
    return {"variant": line["variant"], "seed": line["seed"], "epoch": epoch}


if __name__ == "__main__":
    main()
