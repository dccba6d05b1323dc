"""Count networks, each built and counted once, and compare claims with the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from attnbench.claims.claim import Claim, Finding
from attnbench.counting import EXTRA_RULES, RULES
from attnbench.counting.rule import Count
from attnbench.hosts.build import build, default_size
from attnbench.modules import AttentionSpec
from attnbench.records.image_size import Size, of, sides


@dataclass
class NetworkCounts:
    """Counts by host, module and rule, computed on first use."""

    custom: Mapping[str, AttentionSpec] = field(default_factory=dict)
    """Modules that are not in the table, by the names that callers use."""

    _networks: dict[tuple[str, str | None], nn.Module] = field(default_factory=dict)
    _counts: dict[tuple[str, str | None, str, Size], Count] = field(default_factory=dict)

    def get(  # noqa: PLR0913  what a figure is of
        self,
        host: str,
        attention: str | None,
        rule: str,
        quantity: str,
        *,
        added: bool,
        size: Size | None = None,
    ) -> int:
        """Return a figure of a network for one image, or with ``added`` what the module adds.

        ``quantity`` is ``params``, ``operations``, or the name of one of the rule's details.
        ``size`` is the image's; None stands for the host's own (``hosts.build.default_size``).

        Raises:
            KeyError: the rule, or that quantity of it, does not exist.
        """
        size = of(*default_size(host)) if size is None else size
        figure = self._quantity((host, attention, rule, size), quantity)
        return figure - self._quantity((host, None, rule, size), quantity) if added else figure

    def unknown(self, host: str, attention: str | None, rule: str) -> dict[str, int]:
        """Return the operators that ``executed`` has no cost for; other rules list none."""
        if rule != "executed":
            return {}
        size = of(*default_size(host))
        return dict(self._count((host, attention, rule, size)).not_counted or {})

    def _quantity(self, key: tuple[str, str | None, str, Size], quantity: str) -> int:
        count = self._count(key)
        quantities = {"params": count.params, "operations": count.operations}
        figure = (quantities | dict(count.details or {}))[quantity]
        if figure is None:
            raise KeyError(quantity)
        return figure

    def _count(self, key: tuple[str, str | None, str, Size]) -> Count:
        host, attention, rule, size = key
        if key not in self._counts:
            count, shape = (RULES | EXTRA_RULES)[rule].count, (1, 3, *sides(size))
            network = self._network(host, attention)
            try:
                self._counts[key] = count(network, shape)
            except Exception:  # what fails without data is computed
                torch.manual_seed(0)
                network = build(host, self._module(attention))
                self._counts[key] = count(network, torch.randn(shape))
        return self._counts[key]

    def _network(self, host: str, attention: str | None) -> nn.Module:
        key = (host, attention)
        if key not in self._networks:
            with torch.device("meta"):
                self._networks[key] = build(host, self._module(attention))
        return self._networks[key]

    def _module(self, attention: str | None) -> str | AttentionSpec | None:
        return self.custom.get(attention, attention) if attention else None


def check(claims: Sequence[Claim]) -> list[Finding]:
    """Compute the figure of every claim that has a rule; nothing is kept between calls."""
    counts = NetworkCounts()

    def figure(claim: Claim, rule: str) -> int:
        return counts.get(
            claim.host,
            claim.attention,
            rule,
            "params" if claim.metric.endswith("params") else "operations",
            added=claim.metric.startswith("added "),
            size=claim.image_size,
        )

    return [
        Finding(
            claim,
            figure(claim, claim.rule),
            figure(claim, claim.explained_by) if claim.explained_by else None,
        )
        for claim in claims
        if claim.rule is not None
    ]
