"""Count a network by every rule, on copies, with the reason where a rule cannot."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
)

from attnbench.counting.rule import WITHOUT_REMEDY, Count, Input, SparseError
from attnbench.counting.rules import RULES
from attnbench.counting.twin import copy_with, fake, has_data, tensors_of, warmed_up
from attnbench.text import error_line, error_text

DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException)


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


def count_all(model: nn.Module, given: Input, *, seed: int = 0) -> dict[str, Count]:
    """Count the second forward by every rule of the table; the keys are the rules' names.

    No weight is read. Where a rule fails because the forward depends on data, or on an operator
    that needs them, and the network holds weights, all rules count one forward on the CPU with
    noise of the seed, and ``Count.computed`` says why.

    Raises:
        NotCountedError: a rule failed; all the others have been tried.
    """
    counts, for_want_of_data, failed = _count(model, given)
    if for_want_of_data and all(has_data(tensor) for tensor in tensors_of(model)):
        reason = str(NotCountedError(counts, for_want_of_data))
        counts, for_want_of_data, failed = _count(model, _noise(given, seed))
        counts = {name: replace(count, computed=reason) for name, count in counts.items()}
    if for_want_of_data or failed:
        raise NotCountedError(counts, for_want_of_data | failed)
    return counts


def _count(
    model: nn.Module, given: Input
) -> tuple[dict[str, Count], dict[str, str], dict[str, str]]:
    """Return the counts, why rules failed that data may help, and why the others failed."""
    counts, for_want_of_data, failed, is_sparse = {}, {}, {}, False
    model = warmed_up(model, given)
    counted: nn.Module | None = None
    for name, rule in RULES.items():
        try:
            if counted is None:
                counted = copy_with(model, _detached)
            counts[name] = rule.count(counted, given)
            continue
        except DATA_DEPENDENT as error:
            why = f"the forward depends on the values in its tensors ({error_text(error)})"
            for_want_of_data[name] = why
        except WITHOUT_REMEDY as error:
            failed[name] = str(error)
            is_sparse = is_sparse or isinstance(error, SparseError)
        except Exception as error:
            for_want_of_data[name] = error_line(error)
        counted = None  # a rule that fails may leave its marks
    if is_sparse:  # packages fail at such tensors too, each in words of its own
        failed |= dict.fromkeys(for_want_of_data, str(SparseError()))
        for_want_of_data = {}
    return counts, for_want_of_data, failed


def _detached(tensor: Tensor) -> Tensor:
    """Return a tensor of the same data; a fake one has none, and its own detach is slow."""
    return fake(tensor) if isinstance(tensor, FakeTensor) else tensor.detach()


def _noise(given: Input, seed: int) -> torch.Tensor:
    if not isinstance(given, torch.Tensor):
        given = torch.empty(given, device="meta")
    noise = torch.randn(given.shape, generator=torch.Generator().manual_seed(seed), device="cpu")
    return torch.empty_like(given, device="cpu").copy_(noise)
