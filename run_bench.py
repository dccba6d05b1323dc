"""The command line from a checkout: ``python run_bench.py`` runs the main job."""

import os
import sys
from pathlib import Path

# The package of this checkout, here and in child processes, whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from attnbench.__main__ import main

if __name__ == "__main__":
    outside = filter(None, [os.getenv("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], *outside])
    main()
