"""What the commands that speak with a scheduler share: its address, TLS, and Dask itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import option
from attnbench.errors import UserError

if TYPE_CHECKING:
    from distributed.security import Security

TlsCa = Annotated[
    Path | None,
    option("FILE", "TLS: certificate of the authority that signed all the others.", ""),
]
TlsCertificate = Annotated[Path | None, option("FILE", "TLS: certificate of this process.", "")]
TlsKey = Annotated[Path | None, option("FILE", "TLS: key of that certificate.", "")]

SchedulerFile = Annotated[
    Path | None,
    typer.Option(
        "--scheduler-file",
        metavar="FILE",
        help="File with the scheduler's address, in a folder that all machines share.",
    ),
]


def require_dask() -> None:
    """Refuse to go on without Dask.

    Raises:
        UserError: it is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            "sweeps over many machines need Dask: python -m pip install -e '.[dask]'"
        ) from error


def address_of(stated: str | None, file: Path | None) -> str | None:
    """Return the address of the scheduler that is stated; None where none is.

    Raises:
        UserError: both are stated, an address that cannot be, or a file that holds none.
    """
    if stated is not None and file is not None:
        raise UserError("state the scheduler by its address or by its file, not by both")
    if file is not None:
        try:
            known = json.loads(file.read_text(encoding="utf-8"))["address"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file} holds no scheduler's address: {error}") from error
        stated = str(known)
    if stated is None:
        return None
    protocol, _, place = stated.rpartition("://")
    port = place.rpartition(":")[2]
    if protocol not in {"", "tcp", "tls"} or not port.isdecimal() or not place.rpartition(":")[0]:
        raise UserError(
            f"'{stated}' is no address of a scheduler such as tcp://lab1:8786 or tls://lab1:8786"
        )
    return stated


def security_of(ca: Path | None, certificate: Path | None, key: Path | None) -> Security | None:
    """Return how connections are encrypted; None where they are not.

    Raises:
        UserError: only a part is stated, or a file cannot be read.
    """
    require_dask()
    from attnbench.sweeps.engine.security import Tls

    return Tls(ca, certificate, key).security()
