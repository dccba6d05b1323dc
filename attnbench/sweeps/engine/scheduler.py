"""A scheduler of Dask's that listens where it is told to, and on loopback unless told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from distributed import Scheduler
from distributed.security import Security

from attnbench.errors import UserError
from attnbench.sweeps.engine import settings

LOOPBACK = "127.0.0.1"

PORT = 8786
"""Dask's own."""


def serve(
    host: str,
    port: int,
    security: Security | None,
    file: Path | None,
    tell: Callable[[str], object],
) -> None:
    """Serve until the process is ended; ``tell`` is called with the address once it listens.

    ``file`` is written for workers and drivers that find the scheduler by a file.

    Raises:
        UserError: it cannot listen there.
    """
    settings.quiet()
    try:
        asyncio.run(_serve(host, port, security, file, tell))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot listen on {host}:{port}: {reason}") from error


async def _serve(
    host: str,
    port: int,
    security: Security | None,
    file: Path | None,
    tell: Callable[[str], object],
) -> None:
    protocol = "tcp" if security is None else "tls"
    scheduler = Scheduler(
        host=host,
        port=port,
        protocol=protocol,
        security=security,
        dashboard=False,
        dashboard_address=settings.STATUS_PAGES,
        scheduler_file=None if file is None else str(file),
    )
    async with scheduler:
        tell(scheduler.address)
        await scheduler.finished()
