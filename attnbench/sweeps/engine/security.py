"""TLS, as Dask has it: who shows no certificate of your authority joins nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distributed.security import Security

from attnbench.errors import UserError


@dataclass(frozen=True)
class Tls:
    """The authority's certificate, and one's own with its key; all three or none."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def security(self) -> Security | None:
        """Return what Dask takes; None without TLS.

        Raises:
            UserError: only a part is stated, or a file cannot be read.
        """
        stated = {
            "--tls-ca": self.ca,
            "--tls-certificate": self.certificate,
            "--tls-key": self.key,
        }
        missing = [flag for flag, path in stated.items() if path is None]
        if len(missing) == len(stated):
            return None
        if missing:
            raise UserError(
                f"TLS takes --tls-ca, --tls-certificate and --tls-key: {missing[0]} is missing"
            )
        for flag, path in stated.items():
            try:
                assert path is not None
                path.read_bytes()
            except OSError as error:
                raise UserError(f"{flag}: cannot read {path}: {error.strerror}") from error
        files = {"ca_file": str(self.ca)}
        for role in ("scheduler", "worker", "client"):
            files |= {f"{role}_cert": str(self.certificate), f"{role}_key": str(self.key)}
        named = {f"tls_{name}": path for name, path in files.items()}
        return Security(require_encryption=True, **named)
