"""The command line from a checkout: ``python run_bench.py`` runs the main job."""

import os
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  no installation has checked it
    found = ".".join(map(str, sys.version_info[:2]))
    print(
        "attnbench: this is Python " + found + ", and 3.11 or later is needed; run "
        "'make bench PYTHON=python3.11'",
        file=sys.stderr,
    )
    raise SystemExit(2)

# The package of this checkout, here and in child processes, whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from attnbench.__main__ import main

if __name__ == "__main__":
    outside = filter(None, [os.getenv("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], *outside])
    main()
