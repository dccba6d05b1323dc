"""What a network costs by rule.

Papers count "GFLOPs" by different rules, so a count is never shown without its rule.
"""

from attnbench.counting.network import NotCountedError, count_all
from attnbench.counting.rule import Count, Rule
from attnbench.counting.rules import EXTRA_RULES, RULES

__all__ = ["EXTRA_RULES", "RULES", "Count", "NotCountedError", "Rule", "count_all"]
