"""Overheads as budgets: limits that a repository sets for its own module, one line each.

    # module in host: metric <= limit, ...
    sa in resnet50: added params <= 708, added executed kernels <= 192
    mine.py:Mine in resnet50: added params <= 1_000
    "my gates/mine.py:Mine,sizes=(3, 5)" in resnet50: added params <= 1_000

A module is a name of the table or one of one's own, as ``attnbench.plugins.resolve`` takes them
(files relative to the file of limits), in quotes where it holds spaces or ``#``; loading one runs
its code. Only what is the same on every machine can be limited here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.claims.outcome import Outcome
from attnbench.errors import UserError
from attnbench.modules import AttentionSpec, SettingsError
from attnbench.plugins.resolve import is_custom, lookup, require_known
from attnbench.system import worker

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

_LINE = re.compile(
    r'(?:"(?P<quoted>[^"]+)"|(?P<module>[^\s"]+))\s+in\s+(?P<host>\S+):\s*(?P<limits>.+)'
)
_COMMENT = re.compile(r'^((?:"[^"]*"|[^"#])*)#.*$')
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
        text = _COMMENT.sub(r"\1", line).strip()
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
        stated = " ".join(part.split())
        limit = _LIMIT.fullmatch(stated)
        if limit is None:
            raise UserError(f"{where}: '{stated}' is not of the form 'added params <= 708'")
        if limit["metric"] not in METRICS:
            raise UserError(
                f"{where}: '{limit['metric']}' cannot be limited; only what is the same on every "
                f"machine can: {', '.join(METRICS)}, each with or without 'added'"
            )
        limits.append(
            Limit(
                where,
                folder,
                line["quoted"] or line["module"],
                line["host"],
                limit["metric"],
                limit["added"] is not None,
                int(limit["most"]),
            )
        )
    return limits


def check(limits: Sequence[Limit]) -> list[Outcome]:
    """Hold every limit against the code; for one image of 224x224, of a detector 800x1333.

    Modules that nobody here has seen are loaded, tried and counted in a process of their own each,
    which they may end.

    Raises:
        UserError: a line names a module or a host that does not exist or cannot be loaded.
    """
    found: dict[Limit, Outcome] = {}
    together: dict[tuple[str, str] | None, list[Limit]] = {}
    for limit in limits:
        try:
            require_known(limit.module)
        except SettingsError as error:
            raise UserError(f"{limit.where}: {error}") from error
        key = (limit.module, limit.host) if is_custom(limit.module) else None
        together.setdefault(key, []).append(limit)
    for key, each in together.items():
        outcomes = _held(each, {}) if key is None else _apart(each)
        found |= zip(each, outcomes, strict=True)
    return [found[limit] for limit in limits]


def _apart(limits: Sequence[Limit]) -> list[Outcome]:
    """Limits of one module in one host."""
    first = limits[0]
    try:
        return worker.call(_tried, limits)
    except SettingsError as error:
        raise UserError(f"{first.where}: {error}") from error
    except RuntimeError as error:
        raise UserError(f"{first.where}: {first.module} is refused: {error}") from error


def _tried(limits: Sequence[Limit]) -> list[Outcome]:
    from attnbench.hosts import check_module
    from attnbench.hosts.build import default_size

    first = limits[0]
    image = (1, 3, *default_size(first.host))
    check_module.check(first.module, first.host, [image], folder=first.folder)
    return _held(limits, {first.module: lookup(first.module, first.folder)})


def _held(limits: Sequence[Limit], own: Mapping[str, AttentionSpec]) -> list[Outcome]:
    from attnbench.claims.check import NetworkCounts

    figures, outcomes = NetworkCounts(own), []
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
