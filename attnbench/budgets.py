"""Overheads as budgets: limits that a repository sets for its own module, one line each.

    # module in host: metric <= limit, ...
    sa in resnet50: added params <= 708, added executed kernels <= 192
    mine.py:Mine in resnet50: added params <= 1_000

A module is a name of the table or one of one's own, as ``attnbench.sources`` takes them (files
relative to the file of limits); loading one runs its code. Only what is the same on every machine
can be limited here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import UserError
from .modules import Attention, SettingsError
from .outcomes import Outcome
from .sources import is_own, lookup

METRICS: dict[str, tuple[str, str]] = {
    "params": ("learnable", "params"),
    "macs": ("macs", "operations"),
    "leaf operations": ("leaf", "operations"),
    "thop operations": ("thop", "operations"),
    "fvcore operations": ("fvcore", "operations"),
    "executed operations": ("executed", "operations"),
    "executed macs": ("executed", "macs"),
    "executed elementwise": ("executed", "elementwise"),
    "executed reductions": ("executed", "reductions"),
    "executed bytes read": ("executed", "bytes_read"),
    "executed bytes written": ("executed", "bytes_written"),
    "executed kernels": ("executed", "kernels"),
    "peak bytes": ("executed", "peak_live_bytes"),
}
"""A metric's rule of counting and the quantity of it; ``added`` in front: over the plain host."""

_LINE = re.compile(r"(?P<module>\S+) in (?P<host>\S+): *(?P<limits>.+)")
_LIMIT = re.compile(
    r"(?P<added>added )?(?P<metric>[a-z ]+?) *<= *(?P<most>[0-9]{1,3}(?:_?[0-9]{1,3}){0,5})"
)


@dataclass(frozen=True)
class Limit:
    """The most that one metric of one network may be; ``folder`` is where its file lies."""

    where: str
    folder: Path
    module: str
    host: str
    metric: str
    added: bool
    most: int

    @property
    def subject(self) -> str:
        """``sa in resnet50: added params``."""
        return f"{self.module} in {self.host}: {'added ' if self.added else ''}{self.metric}"


def read(path: Path) -> list[Limit]:
    """The limits of a file.

    Raises:
        UserError: no such file, no limit in it, or a line that is not understood.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"cannot read {path}: {reason}") from error
    limits = []
    for number, line in enumerate(lines, start=1):
        text = " ".join(line.partition("#")[0].split())
        if text:
            limits += _parse(text, f"{path}, line {number}", path.parent)
    if not limits:
        raise UserError(f"{path} sets no limit")
    return limits


def _parse(text: str, where: str, folder: Path) -> list[Limit]:
    line = _LINE.fullmatch(text)
    if line is None:
        raise UserError(f"{where}: not of the form 'sa in resnet50: added params <= 708'")
    limits = []
    for part in line["limits"].split(","):
        limit = _LIMIT.fullmatch(part.strip())
        if limit is None:
            raise UserError(f"{where}: '{part.strip()}' is not of the form 'added params <= 708'")
        if limit["metric"] not in METRICS:
            raise UserError(
                f"{where}: '{limit['metric']}' cannot be limited; only what is the same on every "
                f"machine can: {', '.join(METRICS)}, each with or without 'added'"
            )
        limits.append(
            Limit(
                where,
                folder,
                line["module"],
                line["host"],
                limit["metric"],
                limit["added"] is not None,
                int(limit["most"]),
            )
        )
    return limits


def check(limits: Sequence[Limit]) -> list[Outcome]:
    """Hold every limit against the code; for one image of 224x224, of a detector 800x1333.

    Raises:
        UserError: a line names a module or a host that does not exist or cannot be loaded.
    """
    from .figures import Figures

    each = {(limit.module, limit.host): limit for limit in limits if is_own(limit.module)}
    own = {limit.module: _load(limit) for limit in each.values()}
    figures, outcomes = Figures(own), []
    for limit in limits:
        rule, quantity = METRICS[limit.metric]
        try:
            figure = figures.get(limit.host, limit.module, rule, quantity, added=limit.added)
        except SettingsError as error:
            raise UserError(f"{limit.where}: {error}") from error
        except Exception as error:
            if limit.module not in own:
                raise
            raise UserError(f"{limit.where}: {limit.module} cannot be counted: {error}") from error
        unknown = figures.unknown(limit.host, limit.module, rule)
        within = figure <= limit.most and not unknown
        verdict = "within" if within else f"over by {figure - limit.most:,}"
        if unknown:
            listed = ", ".join(f"{name} x{times}" for name, times in unknown.items())
            verdict = f"not fully counted: {listed}"
        outcomes.append(
            Outcome(
                name=limit.where,
                subject=limit.subject,
                stated=f"<= {limit.most:,}",
                computed=f"{figure:,}",
                rule=rule,
                verdict=verdict,
                expected="within",
                holds=within,
            )
        )
    return outcomes


def _load(limit: Limit) -> Attention:
    """The limit's module, which has been tried in its host."""
    from . import trial
    from .hosts import default_size

    try:
        attention = lookup(limit.module, limit.folder)
    except SettingsError as error:
        raise UserError(f"{limit.where}: {error}") from error
    try:
        image = (1, 3, *default_size(limit.host))
        trial.demand_fit(attention, trial.places(attention, limit.host, image))
    except SettingsError as error:
        raise UserError(f"{limit.where}: {limit.module} is refused: {error}") from error
    return attention
