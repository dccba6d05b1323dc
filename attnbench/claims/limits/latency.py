"""The limits of a module's latency: ``sa in resnet50: latency ratio <= 1.10, latency <= 50 ms``.

``latency ratio`` is to the plain host, ``latency`` that of one image, as in the tables of a run.
Neither is the same on every machine, so both are judged by runs (``analysis/latency_limits.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attnbench.errors import UserError

Quantity = Literal["latency ratio", "latency"]
EXAMPLES: dict[Quantity, str] = {
    "latency ratio": "latency ratio <= 1.10",
    "latency": "latency <= 50 ms",
}
"""What can be limited, each as it is written."""

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

_LIMIT = re.compile(
    r"(?P<quantity>latency(?: ratio)?) ?<= ?"
    r"(?P<most>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?P<unit>[a-z]+)?"
)


@dataclass(frozen=True)
class LatencyLimit:
    """The most that a module's latency may be: ``most`` in ``unit``, as it is written."""

    file: Path
    line: int
    module: str
    host: str
    quantity: Quantity
    most: float
    written: str

    @property
    def where(self) -> str:
        """``limits.txt, line 3``."""
        return f"{self.file}, line {self.line}"

    @property
    def unit(self) -> str:
        """The unit of ``most``: seconds, or 1 for a ratio."""
        return "1" if self.quantity == "latency ratio" else "s"


def is_latency(text: str) -> bool:
    """Return whether a limit speaks of latency, rightly written or not."""
    return re.match(r"(added )?latency\b", text) is not None


def parse(text: str, file: Path, line: int, module: str, host: str) -> LatencyLimit:
    """Parse one limit, such as ``latency <= 50 ms``.

    Raises:
        UserError: it is written otherwise, has the wrong unit or none, or is zero.
    """
    stated = _LIMIT.fullmatch(text)
    forms = " or ".join(f"'{example}'" for example in EXAMPLES.values())
    where = f"{file}, line {line}"
    if stated is None:
        share = re.fullmatch(r"latency(?: ratio)? ?<= ?([0-9]{1,4}(?:\.[0-9]{1,2})?) ?%", text)
        ratio = f"; as a ratio that is {1 + float(share[1]) / 100:.4g}" if share else ""
        raise UserError(f"{where}: '{text}' is not of the form {forms}{ratio}")
    quantity: Quantity = "latency" if stated["quantity"] == "latency" else "latency ratio"
    units = list(SECONDS) if quantity == "latency" else [None]
    if stated["unit"] not in units:
        wanted = ", ".join(SECONDS) if quantity == "latency" else "no unit, as it is a ratio"
        raise UserError(f"{where}: '{text}' needs {wanted}: {EXAMPLES[quantity]}")
    most = float(stated["most"])
    if most == 0:
        raise UserError(f"{where}: '{text}' can never hold")
    written = f"<= {stated['most']} {stated['unit'] or ''}".strip()
    scale = SECONDS[stated["unit"]] if stated["unit"] else 1.0
    return LatencyLimit(file, line, module, host, quantity, most * scale, written)
