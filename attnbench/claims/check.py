"""Count networks, each built and counted once, and compare claims with the counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch
from torch import nn

from attnbench.claims.claim import Claim, Finding
from attnbench.claims.published.networks import NETWORKS
from attnbench.counting import EXTRA_RULES, RULES
from attnbench.counting.rule import Count
from attnbench.counting.twin import warmed_up
from attnbench.hosts.build import build, default_size
from attnbench.hosts.resnets import is_resnet
from attnbench.modules import AttentionSpec
from attnbench.records.image_size import Size, of, sides
from attnbench.records.variants import STAGES, Blocks
from attnbench.text import error_line


@dataclass
class NetworkCounts:
    """Counts by host, module and rule, computed on first use."""

    custom: Mapping[str, AttentionSpec] = field(default_factory=dict)
    """Modules that are not in the table, by the names that callers use."""

    stages: Collection[int] = STAGES
    blocks: Blocks = "all"
    """Where the modules stand in the hosts."""

    published: Mapping[tuple[str, str | None], Callable[[], nn.Module]] = field(
        default_factory=dict
    )
    """Networks as their authors wrote them, by host and module, in the place of the suite's own."""

    _networks: dict[tuple[str, str | None, Size], nn.Module] = field(default_factory=dict)
    _warm: dict[tuple[str, str | None, Size], nn.Module] = field(default_factory=dict)
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
        """Return a figure of :meth:`count`, or with ``added`` what the module adds to it.

        ``quantity`` is ``params``, ``operations``, or the name of one of the rule's details.

        Raises:
            KeyError: the rule, or that quantity of it, does not exist.
        """
        count = self.count(host, attention, rule, size)
        quantities = {"params": count.params, "operations": count.operations}
        figure = (quantities | dict(count.details or {}))[quantity]
        if figure is None:
            raise KeyError(quantity)
        if added:
            figure -= self.get(host, None, rule, quantity, added=False, size=size)
        return figure

    def count(self, host: str, attention: str | None, rule: str, size: Size | None = None) -> Count:
        """Return a network's count for one image, whose size is by default the host's own."""
        size = of(*default_size(host)) if size is None else size
        network, key = (host, attention), (host, attention, rule, size)
        module = self.custom.get(attention, attention) if attention else None
        # Where modules stand in a host without stages is found with images of that size.
        place = (*network, of(*default_size(host)) if is_resnet(host) else size)
        if place not in self._networks:
            with torch.device("meta"):
                self._networks[place] = self._built(host, module, size)
        if (*network, size) not in self._warm:
            built = self._networks[place]
            # Hosts and modules of the suite keep nothing from a forward.
            warm = attention in self.custom
            self._warm[*network, size] = warmed_up(built, (1, 3, *sides(size))) if warm else built
        if key not in self._counts:
            count, shape = (RULES | EXTRA_RULES)[rule].count, (1, 3, *sides(size))
            try:
                self._counts[key] = count(self._warm[*network, size], shape)
            except Exception as error:  # what fails without data is computed
                torch.manual_seed(0)
                images = torch.randn(shape)
                computed = count(warmed_up(self._built(host, module, size), images), images)
                self._counts[key] = replace(computed, computed=error_line(error))
        return self._counts[key]

    def _built(self, host: str, module: str | AttentionSpec | None, size: Size) -> nn.Module:
        name = module.name if isinstance(module, AttentionSpec) else module
        if as_published := self.published.get((host, name)):
            return as_published()
        return build(host, module, stages=self.stages, blocks=self.blocks, size=sides(size))


def check(claims: Iterable[Claim]) -> list[Finding]:
    """Compute the figure of every claim that has a rule; nothing is kept between calls."""
    counts, findings = NetworkCounts(published=NETWORKS), []
    for claim in (claim for claim in claims if claim.rule):
        quantity = "params" if claim.metric.endswith("params") else "operations"
        added, size = claim.metric.startswith("added "), claim.image_size
        start = perf_counter()
        figures = [
            counts.get(claim.host, claim.attention, rule, quantity, added=added, size=size)
            for rule in (claim.rule, claim.explained_by)
            if rule
        ]
        findings.append(Finding(claim, *figures, seconds=perf_counter() - start))
    return findings
