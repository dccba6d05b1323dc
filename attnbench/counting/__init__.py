"""Ways of counting what a network costs: one file a rule, one table of them.

Nobody's "GFLOPs" is the same as the next paper's; a count is never shown without its rule.
"""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from attnbench.counting import executed, leaf, macs, mmdetection, packages, parameters, thop_0_0_23
from attnbench.counting.rule import Count, Rule, Shape

__all__ = ["DERIVED", "RULES", "Count", "NotCountedError", "Rule", "Shape", "count_all"]

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        parameters.RULE,
        macs.RULE,
        leaf.RULE,
        packages.THOP,
        thop_0_0_23.RULE,
        packages.FVCORE,
        packages.TORCH,
        executed.RULE,
    )
}
"""The rules that every run counts by."""

EXTRA_RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        packages.FVCORE_TRAINING,
        parameters.STORED,
        macs.RESIDUALS,
        packages.FVCORE_BY_MEAN,
        mmdetection.RULE,
        mmdetection.LEARNABLE,
    )
}
"""Rules that no run needs, but a published figure or a comparison does."""


class NotCountedError(Exception):
    """Some rules failed on a network; ``counts`` is what the others say of it."""

    def __init__(self, counts: dict[str, Count], failed: dict[str, str]) -> None:
        super().__init__(counts, failed)
        self.counts, self.failed = counts, failed

    def __str__(self) -> str:
        """Each error once, behind the rules that it befell."""
        alike: dict[str, list[str]] = {}
        for rule, said in self.failed.items():
            alike.setdefault(said, []).append(rule)
        return "; ".join(f"by {', '.join(rules)}: {said}" for said, rules in alike.items())


def count_all(model: nn.Module, input_shape: Shape) -> dict[str, Count]:
    """The network under every rule, by the rule's name.

    Raises:
        NotCountedError: a rule failed; all the others have been tried.
    """
    untouched = deepcopy(model)
    counts, failed = {}, {}
    for name, rule in RULES.items():
        try:
            counts[name] = rule.count(model, input_shape)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
            model = deepcopy(untouched)  # a rule that fails may leave its marks
    if failed:
        raise NotCountedError(counts, failed)
    return counts
