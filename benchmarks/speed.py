"""Time the commands: ``python benchmarks/speed.py [--main-job]``.

Each runs in a fresh process, in turn, several times; the median is printed with its ratio to
what cannot be avoided (starting Python, or importing torch), measured in the same rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

STATIC_TABLE = """
import torch
from attnbench.counting import count_all
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION
with torch.device("meta"):
    networks = [build("resnet50", name) for name in (None, *ATTENTION)]
for network in networks:
    count_all(network, (1, 3, 224, 224))
"""

REPORT = """
import sys, tempfile
from attnbench.cli.app import main
with tempfile.TemporaryDirectory() as folder:
    main(["report", "reports/2026-11-25-cpu-resnet50", "--out", folder])
"""

COMMANDS = {
    "start Python": ["-c", "pass"],
    "attnbench --help": ["-m", "attnbench", "--help"],
    "attnbench list": ["-m", "attnbench", "list"],
    "attnbench report": ["-c", REPORT],
    "import torch, torchvision": ["-c", "import torch, torchvision"],
    "static table: 8 networks, all rules": ["-c", STATIC_TABLE],
    "attnbench check": ["-m", "attnbench", "check"],
}
REPEATS = 3


def seconds(arguments: list[str]) -> float:
    """Return the wall time of one fresh process."""
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return perf_counter() - start


def main() -> None:
    """Time the commands in rounds and print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--main-job", action="store_true", help="time that, too")
    main_job = parser.parse_args().main_job
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    from attnbench.system import machine_lock

    with machine_lock.alone():  # the main job takes the lock itself
        for _ in range(REPEATS):
            for name, arguments in COMMANDS.items():
                taken[name].append(seconds(arguments))
    medians = {name: median(times) for name, times in taken.items()}
    for name, value in medians.items():
        print(
            f"{name:38} {value:7.2f} s"
            f" {value / medians['start Python']:8.1f} x Python"
            f" {value / medians['import torch, torchvision']:7.2f} x import torch"
        )
    if main_job:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "run")
            print(f"{'the main job':38} {seconds(['-m', 'attnbench', '--out', out]):7.2f} s")


if __name__ == "__main__":
    main()
