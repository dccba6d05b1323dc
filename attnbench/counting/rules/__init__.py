"""The rules by which a network is counted: one file a rule, and the two tables of them."""

from __future__ import annotations

from attnbench.counting.rule import Rule
from attnbench.counting.rules import (
    executed,
    leaf,
    macs,
    mmdetection,
    packages,
    parameters,
    thop_0_0_23,
)

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
