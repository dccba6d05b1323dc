"""What is stored: the records of runs and the evaluations, written and read back."""

from __future__ import annotations

from attnbench.records.evaluation import Evaluation
from attnbench.records.run import Run
from attnbench.records.schema import Case, Record

__all__ = ["Case", "Evaluation", "Record", "Run"]
