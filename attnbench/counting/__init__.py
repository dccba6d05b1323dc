"""What a network costs by rule: one file a rule, one table of them.

Papers count "GFLOPs" by different rules, so a count is never shown without its rule.
"""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from attnbench.counting import executed, leaf, macs, mmdetection, packages, parameters, thop_0_0_23
from attnbench.counting.rule import Count, Rule, Shape

__all__ = ["EXTRA_RULES", "RULES", "Count", "NotCountedError", "Rule", "count_all"]

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
    """Some rules failed on a network; ``counts`` holds the counts of the others."""

    def __init__(self, counts: dict[str, Count], failed: dict[str, str]) -> None:
        super().__init__(counts, failed)
        self.counts, self.failed = counts, failed

    def __str__(self) -> str:
        """Return each distinct error once, after the names of the rules that raised it."""
        rules_by_error: dict[str, list[str]] = {}
        for rule, error in self.failed.items():
            rules_by_error.setdefault(error, []).append(rule)
        return "; ".join(f"by {', '.join(rules)}: {e}" for e, rules in rules_by_error.items())


def count_all(model: nn.Module, input_shape: Shape) -> dict[str, Count]:
    """Count the network by every rule of :data:`RULES`; the keys are the rules' names.

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
