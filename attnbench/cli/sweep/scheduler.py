"""``attnbench scheduler``: where workers and sweeps meet."""

from __future__ import annotations

from typing import Annotated

from attnbench.cli import output
from attnbench.cli.options import option
from attnbench.cli.sweep import fleet
from attnbench.cli.sweep.fleet import SchedulerFile, TlsCa, TlsCertificate, TlsKey
from attnbench.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")

MOST_PORT = 65_535


def scheduler(  # noqa: PLR0913, PLR0917  an option each
    host: Annotated[
        str, option("ADDRESS", "Address to listen on; one that other machines reach needs TLS.")
    ] = LOOPBACK[0],
    port: Annotated[
        int, option("N", "Port to listen on; 0 takes a free one.", min=0, max=MOST_PORT)
    ] = 8786,
    without_tls: Annotated[
        bool, option(None, "Listen for other machines without TLS.", "", "--without-tls")
    ] = False,
    scheduler_file: SchedulerFile = None,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> int:
    """Serve the scheduler that workers and sweeps connect to, on loopback unless told.

    What reaches its port can run code on every machine that has joined.
    """
    security = fleet.security_of(tls_ca, tls_certificate, tls_key)
    if security is None and host not in LOOPBACK and not without_tls:
        raise UserError(
            f"on {host} what reaches the port could run code on every machine that joins: state "
            "--tls-ca, --tls-certificate and --tls-key, or --without-tls in a network that you "
            "trust"
        )
    from attnbench.sweeps.engine import scheduler as engine

    console = output.console()

    def tell(address: str) -> None:
        console.print(f"Listening on {address}")

    engine.serve(host, port, security, scheduler_file, tell)
    return 0
