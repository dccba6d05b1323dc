"""``attnbench worker``: offer this machine's devices to sweeps."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from attnbench.cli import output
from attnbench.cli.options import option
from attnbench.cli.sweep import fleet
from attnbench.cli.sweep.fleet import SchedulerFile, TlsCa, TlsCertificate, TlsKey
from attnbench.errors import UserError
from attnbench.sweeps.device import slots

SlotDevice = StrEnum("SlotDevice", ["AUTO", "CPU", "CUDA"])


def worker(  # noqa: PLR0913, PLR0917  an option each
    address: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="The scheduler's, such as tcp://lab1:8786."),
    ] = None,
    scheduler_file: SchedulerFile = None,
    name: Annotated[
        str | None, option("NAME", "The machine's label `name`.", "its host name")
    ] = None,
    device: Annotated[
        SlotDevice, option(None, "auto: each GPU, or the CPU where there is none.")
    ] = SlotDevice.AUTO,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> int:
    """Offer this machine's devices to the sweeps of a scheduler, one configuration at a time each.

    Joining a scheduler means running its code: join those of people you trust alone.

    A scheduler that is not there yet, or returns, is waited for.
    """
    security = fleet.security_of(tls_ca, tls_certificate, tls_key)
    found = fleet.address_of(address, scheduler_file)
    if found is None:
        raise UserError("worker of which scheduler? State its ADDRESS, or --scheduler-file")
    here = slots.here(name, None if device is SlotDevice.AUTO else device.value)
    if not here:
        raise UserError("no GPU that may be used; --device cpu offers the CPU")
    from attnbench.sweeps.engine import worker as engine

    console = output.console(stderr=True)
    for slot in here:
        listed = ", ".join(f"{label} = {value}" for label, value in slot.labels.items())
        console.print(f"Offers {slot.shown}: {listed}")
    engine.serve(found, here, security, console.print)
    return 0
