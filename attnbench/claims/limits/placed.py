"""The network that a limit is of, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnbench.claims.limits.file import METRICS, UNITS, Limit
from attnbench.claims.outcome import Outcome
from attnbench.plugins.spec import is_in_file
from attnbench.records.image_size import Size, sides
from attnbench.records.variants import STAGES, Blocks
from attnbench.stats.verdicts import reasons

if TYPE_CHECKING:
    from attnbench.plugins.resolve import ModuleReference


@dataclass(frozen=True)
class Placement:
    """Where the modules of limits stand, and the size of the image that they are counted for."""

    stages: Collection[int] = STAGES
    blocks: Blocks = "all"
    size: Size | None = None
    """None for the host's default."""

    def image(self, host: str) -> tuple[int, int]:
        """Return height and width of the image."""
        from attnbench.hosts.build import default_size

        return default_size(host) if self.size is None else sides(self.size)


def host_of(limit: Limit) -> str:
    """Return the host of a limit, its path relative to the folder here, not to that of the file."""
    return str(limit.folder / limit.host) if is_in_file(limit.host) else limit.host


def require_sound(module: ModuleReference, limits: Sequence[Limit], placement: Placement) -> None:
    """Check a custom module in the one host of these limits; the suite's own need no check.

    Raises:
        UserError: it cannot be measured.
        SettingsError: it does not fit into the host.
    """
    from attnbench.hosts import check_module
    from attnbench.hosts.placement.choice import Choice

    if not module.is_custom:
        return
    host = host_of(limits[0])
    choice = Choice(placement.stages, placement.blocks)
    check_module.check(module, host, [(1, 3, *placement.image(host))], choice=choice)


def judged(limit: Limit, figure: int) -> tuple[str, str]:
    """Return the verdict on a figure that is wholly known, and its code."""
    if figure <= limit.most:
        return "within", reasons.WITHIN
    return f"OVER by {figure - limit.most:,}", reasons.OVER


def outcome(
    limit: Limit, figure: int | None, verdict: str, code: str, seconds: float = 0.0
) -> Outcome:
    """Return the line of a check for a limit; ``figure`` is None where there is none."""
    rule, quantity = METRICS.get(limit.metric, (limit.runtime or "", limit.metric))
    return Outcome(
        kind="limit",
        name=limit.where,
        subject=limit.subject,
        stated=limit.most,
        computed=figure,
        unit=UNITS[quantity],
        stated_text=f"<= {limit.most:,}",
        computed_text="none" if figure is None else f"{figure:,}",
        rule=rule,
        verdict=verdict,
        code=code,
        expected="within",
        holds=code == reasons.WITHIN,
        file=str(limit.file),
        line=limit.line,
        seconds=seconds,
    )
