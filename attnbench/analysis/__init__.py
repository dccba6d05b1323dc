"""Answers from finished runs: what changed between runs, and which modules are within limits."""

from attnbench.analysis.compare import compare
from attnbench.analysis.pick import pick

__all__ = ["compare", "pick"]
