"""What a module costs on this machine: rounds of timing, memory, self-test."""

from attnbench.measuring.runner import run
from attnbench.records.case import RunOptions

__all__ = ["RunOptions", "run"]
