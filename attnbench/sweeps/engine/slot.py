"""A worker of Dask's as a slot: its labels, its resource, and the task that it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import dask
from distributed import Worker, get_worker
from distributed.core import Status

from attnbench import temporary
from attnbench.records import store
from attnbench.sweeps.device import process, slots
from attnbench.sweeps.device.process import NotWantedError
from attnbench.sweeps.device.slots import Slot
from attnbench.sweeps.engine import settings
from attnbench.sweeps.plan.shipped import Shipped

RESOURCE = "attnbench-slot"
"""The abstract resource of which a slot has one, and a configuration takes one."""

EXTRA = "attnbench"
"""The name of what a worker tells of its slot when it registers."""

PRE_SPAWN = "distributed.nanny.pre-spawn-environ"


@dataclass(frozen=True)
class Offered:
    """A slot with the environment of the processes that measure on it."""

    slot: Slot
    environ: Mapping[str, str]


_OFFERED: WeakKeyDictionary[Worker, Offered] = WeakKeyDictionary()
"""What each worker of this process offers."""


def offer(worker: Worker, offered: Offered) -> None:
    """Make a slot of a worker that has not registered yet."""
    _OFFERED[worker] = offered
    told = {key: value for key, value in asdict(offered.slot).items() if key != "address"}
    worker.startup_information[EXTRA] = lambda _: told
    worker.state.total_resources[RESOURCE] = 1
    worker.state.available_resources[RESOURCE] = 1


def plain_environment(environ: Mapping[str, str], *, by_nanny: bool) -> dict[str, str]:
    """Return an environment without what Dask's nanny sets for its workers.

    It would have torch compute with one thread, and the C library return memory to the system. A
    variable of another value is the user's own, and stays.
    """
    if not by_nanny:
        return dict(environ)
    engine = {key: str(value) for key, value in dask.config.get(PRE_SPAWN).items()}
    engine["PYTHONHASHSEED"] = "6640"  # nanny.py
    return {key: value for key, value in environ.items() if engine.get(key) != value}


def known(identity: Mapping[str, Any], address: str) -> Slot | None:
    """Return the slot of a worker as the scheduler knows it; None where it is none of ours."""
    told = identity.get(EXTRA)
    return None if told is None else Slot(**{**told, "address": address})


def measure(  # noqa: PLR0913, PLR0917  all that goes to the machine
    topic: str,
    attempt: str,
    name: str,
    request: Mapping[str, Any],
    files: Mapping[str, bytes],
    begun: bytes,
) -> dict[str, Any]:
    """Measure a configuration on this worker's slot; return how that ended, and all records.

    ``begun`` is what was measured of it before. Records go to the topic as they are made. The
    process ends where the task is not wanted any more: its driver, or the scheduler, is gone.
    """
    worker = get_worker()
    offered = _OFFERED[worker]
    task = worker.get_current_task()
    with temporary.folder() as place:
        out = place / name
        records = out / store.FILE_NAME
        sent = len(begun)
        if begun:
            out.mkdir()
            records.write_bytes(begun)

        def told(what: str) -> None:
            nonlocal sent
            new = _lines(records, sent)
            if new:
                message = {"attempt": attempt, "name": name, "offset": sent, "data": new}
                worker.log_event(topic, message)
                sent += len(new)
            elif what.startswith("waiting"):
                worker.log_event(topic, {"attempt": attempt, "name": name, "waiting": what})

        def wanted() -> bool:
            state = worker.state.tasks.get(task)
            return (
                state is not None and state.state == "executing" and worker.status == Status.running
            )

        try:
            answer = process.measure(
                request,
                Shipped(place, files),
                out,
                offered.slot.gpu_uuid,
                offered.environ,
                told=told,
                wanted=wanted,
            )
        except NotWantedError:
            return {}
        return {"answer": asdict(answer), "records": _lines(records, 0)}


def _lines(path: Path, offset: int) -> bytes:
    """Return the whole lines of a file from there on; nothing where there is no file yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


async def dask_setup(worker: Worker) -> None:
    """Make a slot of a worker that Dask itself has started, with this module as its preload.

    It offers the first GPU that the process may use, or the CPU.
    """
    settings.apply()
    environ = plain_environment(os.environ, by_nanny=worker.nanny is not None)
    first = slots.here()[0]
    offer(worker, Offered(slots.with_threads(first, environ), environ))
