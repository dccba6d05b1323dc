"""Exact figures of networks, each network built and counted once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from .counting import DERIVED, RULES
from .counting.rule import Count, Shape
from .hosts import build
from .modules import Attention


@dataclass
class Figures:
    """Counts by host, module and rule, made when first asked for."""

    input_shape: Shape
    own: Mapping[str, Attention] = field(default_factory=dict)
    """Modules that are not in the table, by the names that callers give them."""

    _networks: dict[tuple[str, str | None], nn.Module] = field(default_factory=dict)
    _counts: dict[tuple[str, str | None, str], Count] = field(default_factory=dict)

    def get(
        self, host: str, attention: str | None, rule: str, quantity: str, *, added: bool
    ) -> int:
        """One figure of a network, or what the module adds to it.

        ``quantity`` is ``params``, ``operations``, or the name of one of the rule's details.

        Raises:
            KeyError: the rule, or that quantity of it, does not exist.
        """
        figure = self._one(host, attention, rule, quantity)
        return figure - self._one(host, None, rule, quantity) if added else figure

    def unknown(self, host: str, attention: str | None, rule: str) -> dict[str, int]:
        """Operators that a rule cannot cost, where it is one that should know them all."""
        if rule != "executed":
            return {}
        return dict(self._count(host, attention, rule).not_counted or {})

    def _one(self, host: str, attention: str | None, rule: str, quantity: str) -> int:
        count = self._count(host, attention, rule)
        amounts = {"params": count.params, "operations": count.operations}
        figure = (amounts | dict(count.details or {}))[quantity]
        if figure is None:
            raise KeyError(quantity)
        return figure

    def _count(self, host: str, attention: str | None, rule: str) -> Count:
        key = (host, attention, rule)
        if key not in self._counts:
            network = self._network(host, attention)
            self._counts[key] = (RULES | DERIVED)[rule].count(network, self.input_shape)
        return self._counts[key]

    def _network(self, host: str, attention: str | None) -> nn.Module:
        key = (host, attention)
        if key not in self._networks:
            with torch.device("meta"):
                found = self.own.get(attention, attention) if attention else None
                self._networks[key] = build(host, found)
        return self._networks[key]
