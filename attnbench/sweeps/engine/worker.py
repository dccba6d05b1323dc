"""``attnbench worker``: join a scheduler with a slot for each device, and again when it returns."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from distributed import Worker
from distributed.security import Security

from attnbench import temporary
from attnbench.sweeps.device import slots
from attnbench.sweeps.device.slots import Slot
from attnbench.sweeps.engine import settings
from attnbench.sweeps.engine.slot import Offered, offer, plain_environment


def serve(
    address: str,
    here: Sequence[Slot],
    security: Security | None,
    tell: Callable[[str], object],
) -> None:
    """Offer slots to the scheduler at that address until the process is ended.

    Where there is no scheduler, or no longer, it waits for one.
    """
    settings.quiet()
    environ = plain_environment(os.environ, by_nanny=False)
    offered = [Offered(slots.with_threads(slot, environ), environ) for slot in here]
    with temporary.folder() as folder:
        asyncio.run(_serve(address, offered, security, tell, str(folder)))


async def _serve(
    address: str,
    offered: Sequence[Offered],
    security: Security | None,
    tell: Callable[[str], object],
    folder: str,
) -> None:
    while True:
        tell(f"waiting for the scheduler at {address}")
        joined = [_worker(address, one, security, folder) for one in offered]
        try:
            await asyncio.gather(*joined)
            tell(f"joined {address} with {', '.join(one.slot.shown for one in offered)}")
            finished = [asyncio.ensure_future(worker.finished()) for worker in joined]
            await asyncio.wait(finished, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for worker in joined:
                with suppress(Exception):  # it may have failed to start
                    await worker.close(reason="attnbench-worker-leaves")


def _worker(address: str, one: Offered, security: Security | None, folder: str) -> Worker:
    worker = Worker(
        address,
        nthreads=1,
        memory_limit=0,
        local_directory=folder,
        security=security,
        dashboard=False,
        dashboard_address=settings.STATUS_PAGES,
    )
    offer(worker, one)
    return worker
