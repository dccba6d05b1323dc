"""Attack the suite in every way and print what failed: ``python benchmarks/attack.py``.

    python benchmarks/attack.py --only kills,records --seconds 900

Each part is a script of its own, with further options:

* *kills*: runs killed at random moments and resumed (``attack_kills.py``);
* *records*: damaged records, read by every command (``attack_records.py``);
* *writes*: every write of a command failed once (``attack_writes.py``);
* *arguments*: random argument lists (``attack_arguments.py``);
* *modules*: hostile modules (``attack_modules.py``).

Parts run one after the other, each for at most the given seconds; its table is printed, and at the
end which part failed. A part that has not ended two minutes after its time is ended, and failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

PARTS = ("kills", "records", "writes", "arguments", "modules")
GRACE_S = 120.0


def main() -> None:
    """Run the parts; exit with 1 where one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="Parts, comma-separated.")
    parser.add_argument("--seconds", type=float, default=1200.0, help="Most time of each part.")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    parts = [part.strip() for part in given.only.split(",")]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"no part is named '{unknown[0]}'; parts: {', '.join(PARTS)}")
    ends = {part: attack(part, given.seconds, given.seed) for part in parts}
    print("\n".join(f"{part:10} {end}" for part, end in ends.items()))
    sys.exit(int(any(end != "passed" for end in ends.values())))


def attack(part: str, seconds: float, seed: int) -> str:
    """Run one part's script, which prints its table; return how it ended."""
    script = Path(__file__).with_name(f"attack_{part}.py")
    print(f"{part}, seed {seed}", flush=True)
    start = monotonic()
    process = subprocess.Popen(
        [sys.executable, str(script), "--seconds", str(seconds), "--seed", str(seed)],
        start_new_session=True,
    )
    try:
        status = process.wait(seconds + GRACE_S)
    except subprocess.TimeoutExpired:
        return f"FAILED: it has not ended after {monotonic() - start:.0f} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    print(f"{part}: {monotonic() - start:.0f} s\n", flush=True)
    return "passed" if status == 0 else f"FAILED: status {status}"


if __name__ == "__main__":
    main()
