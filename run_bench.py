"""The command line from a checkout: ``python run_bench.py`` runs the main job."""

from importlib.util import find_spec
from pathlib import Path

import attnbench

if find_spec("attnbench.modules") is None:  # a checkout that was never installed
    attnbench.__path__.append(str(Path(__file__).parent))

from attnbench.cli.app import main

if __name__ == "__main__":
    main()
