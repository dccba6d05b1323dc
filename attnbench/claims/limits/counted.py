"""Hold limits against what is counted of a network: the same figures on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

from attnbench.claims.check import NetworkCounts
from attnbench.claims.limits.file import METRICS, Limit
from attnbench.claims.limits.placed import Placement, host_of, judged, outcome, require_sound
from attnbench.claims.outcome import Outcome
from attnbench.counting.gaps import missed
from attnbench.errors import UserError
from attnbench.modules import SettingsError
from attnbench.plugins.resolve import ModuleReference
from attnbench.records.image_size import Size
from attnbench.stats.verdicts import reasons
from attnbench.text import error_text


def compared(
    module: ModuleReference, limits: Sequence[Limit], placement: Placement
) -> list[Outcome]:
    """Hold limits against the counts; a custom module is first checked in their one host.

    Raises:
        UserError: a host that cannot be, or a custom module that cannot be counted.
    """
    require_sound(module, limits, placement)
    custom = {module.name: module.load()} if module.is_custom else {}
    counts = NetworkCounts(custom, placement.stages, placement.blocks)
    outcomes = []
    for limit in limits:
        start, (rule, quantity) = perf_counter(), METRICS[limit.metric]
        size, added = placement.size, limit.added
        try:
            network = host_of(limit), limit.module
            figure = counts.get(*network, rule, quantity, added=added, size=size)
        except SettingsError as error:
            raise UserError(f"{limit.where}: {error}") from error
        except Exception as error:
            if not module.is_custom:
                raise
            why = error_text(error)
            raise UserError(f"{limit.where}: {limit.module} cannot be counted: {why}") from error
        verdict, code = judged(limit, figure)
        if doubt := _doubt(counts, limit, size):
            verdict, code = doubt, reasons.UNCOUNTED
        seconds = perf_counter() - start
        outcomes.append(outcome(limit, figure, verdict, code, seconds))
    return outcomes


def _doubt(counts: NetworkCounts, limit: Limit, size: Size | None) -> str | None:
    """Return why the figure may be too low, or another with another input; else None."""
    rule, quantity = METRICS[limit.metric]
    if quantity == "params":  # counted without a forward
        return None
    rule = "macs" if quantity == "macs" else rule  # the same figure, held to products
    host = host_of(limit)
    count = counts.count(host, limit.module, rule, size)
    gaps: dict[str, int] = {}
    if quantity != "peak_live_bytes":  # the tensors of an unknown operator are followed too
        gaps = missed(rule, count.not_counted)
    if limit.added and gaps:
        plain = counts.count(host, None, rule, size)
        gaps = Counter(gaps) - Counter(missed(rule, plain.not_counted))
    if gaps:
        listed = ", ".join(f"{name} x{times}" for name, times in gaps.items())
        return f"not fully counted: {listed}"
    # fvcore computes with data, where the other rules see that the forward depends on them.
    without_data = counts.count(host, limit.module, "macs", size) if rule == "fvcore" else count
    if without_data.computed:
        return "not the same for every input: its forward depends on data"
    return None
