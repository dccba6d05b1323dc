"""``attnbench`` with a program in the place of the one that measures, for tests of sweeps.

STUB_GPUS is a list of a GPU's labels in JSON: what the driver's library would tell. A driver says
on stderr how many lines of records it has, and writes no report.
"""

import json
import os
import sys
from dataclasses import replace

from attnbench.cli.app import main
from attnbench.cli.sweep import whole
from attnbench.sweeps.device import process, slots
from attnbench.sweeps.folder import SweepFolder

_put = SweepFolder.put


def put(self, name, offset, data):
    """Put, and tell."""
    _put(self, name, offset, data)
    print(f"has {len(self.records(name).splitlines())} lines", file=sys.stderr, flush=True)


if __name__ == "__main__":
    process.COMMAND = [sys.executable, "-m", "helpers.sweep_stub"]
    process.LOOK_S = 0.1
    slots._gpus = lambda: json.loads(os.environ.get("STUB_GPUS", "[]"))
    slots.with_threads = lambda slot, _: replace(slot, threads=1)  # without importing torch
    SweepFolder.put = put
    whole.report = lambda *_: None
    main(sys.argv[1:])
