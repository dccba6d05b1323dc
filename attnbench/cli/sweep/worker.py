"""``attnbench worker``: offer this machine's devices to sweeps."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.cli import options, output
from attnbench.cli.options import option
from attnbench.cli.sweep import fleet
from attnbench.cli.sweep.fleet import SchedulerFile, TlsCa, TlsCertificate, TlsKey
from attnbench.errors import UserError
from attnbench.records.device import kind_of, number_of
from attnbench.sweeps.device import slots

DEVICES = ("cpu", "cuda")
"""What sweeps measure on."""


def worker(  # noqa: PLR0913, PLR0917  an option each
    address: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="The scheduler's address, such as tcp://lab1:8786."),
    ] = None,
    scheduler_file: SchedulerFile = None,
    name: Annotated[
        str | None,
        option("NAME", "The label `name` of this machine, for --on of sweeps.", "its host name"),
    ] = None,
    device: Annotated[
        str,
        option(
            "NAME",
            "auto: each GPU, or the CPU where there is none; cpu; cuda: each GPU; cuda:1: the "
            "second of several.",
        ),
    ] = "auto",
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
    here = slots.here(name, *_offered(device))
    if not here:
        which = "GPU" if ":" not in device else f"GPU {device.strip().lower()}"
        raise UserError(f"no {which} that may be used; --device cpu offers the CPU")
    from attnbench.sweeps.engine import worker as engine

    console = output.console(stderr=True)
    for slot in here:
        listed = ", ".join(f"{label} = {value}" for label, value in slot.labels.items())
        console.print(f"Offers {slot.shown}: {listed}")
    engine.serve(found, here, security, console.print)
    return 0


def _offered(word: str) -> tuple[str | None, int | None]:
    """Return the kind of the devices that are offered, and the number of one; None for all."""
    device = options.device(word)
    if device is None:
        return None, None
    kind = kind_of(device)
    if kind not in DEVICES:
        raise UserError(f"a sweep measures on {' and '.join(DEVICES)}, not {kind}")
    return kind, number_of(device) if ":" in word else None
