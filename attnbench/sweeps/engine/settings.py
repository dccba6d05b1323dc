"""Settings of Dask in the processes of a sweep: little work beside what is measured."""

from __future__ import annotations

import logging

import dask

STATUS_PAGES = "127.0.0.1:0"
"""Where a process serves its pages over HTTP: Dask's default is every interface."""

SETTINGS = {
    "distributed.worker.profile.enabled": False,  # it would look at all threads every 10 ms
    "distributed.admin.system-monitor.interval": "30s",
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.scheduler.work-stealing": False,  # a configuration is sent to one slot
    "distributed.scheduler.active-memory-manager.start": False,
}


def apply() -> None:
    """Apply the settings to this process."""
    dask.config.set(SETTINGS)


def quiet() -> None:
    """Apply the settings to this process, and let Dask write of nothing: the suite does."""
    apply()
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
