"""The suite's preload for a worker of Dask's, with a stub in the place of the one that measures."""

import sys
from dataclasses import replace

from attnbench.sweeps.device import process, slots
from attnbench.sweeps.engine.slot import dask_setup as dask_setup

process.COMMAND = [sys.executable, "-m", "helpers.sweep_stub"]
slots._gpus = list
slots.with_threads = lambda slot, _: replace(slot, threads=1)  # without importing torch
