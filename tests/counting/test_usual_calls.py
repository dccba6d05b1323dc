"""The calls of benchmarks/operators.py count the same without data as with it."""

import warnings
from contextlib import nullcontext

import operators
import pytest
import torch
from torch import Tensor

from attnbench.counting.as_without_mode import TakenApart
from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS
from attnbench.counting.twin import fake, fake_mode

INPUTS = ("X", "V", "INDEX", "POINTS")

BY_VALUES = {"Tensor.nonzero", "Tensor.unique", "masked_select"}
"""What they return has as many elements as the values make it."""

WITH_WORKSPACE = {"nn.LSTM"}
"""In training its kernel returns a buffer whose size no shape tells; its gradient is listed as not
counted, so that nothing counts on the figures."""


def traced(call, monkeypatch, convert, mode, training):
    """Rows without module paths, what is not in the table, and the peak of one call."""
    with monkeypatch.context() as patched:
        for name in INPUTS:
            x = convert(getattr(operators, name))
            x = x.requires_grad_(training and x.is_floating_point())
            patched.setattr(operators, name, x)
        patched.setattr(operators, "ROW", operators.X[0, 0])
        recorded = Trace(OPERATORS)
        with mode, torch.inference_mode(not training), warnings.catch_warnings(), recorded:
            warnings.simplefilter("ignore")
            with TakenApart() if training else nullcontext():
                differentiate(call()) if training else call()
    rows = {operator: row for (_, operator), row in recorded.rows.items()}
    return rows, dict(recorded.not_counted), recorded.peak


def differentiate(out):
    for one in out if isinstance(out, tuple | list) else [out]:
        if isinstance(one, Tensor) and one.requires_grad and one.is_floating_point():
            one.sum().backward(retain_graph=True)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_fake_tensors_run_what_a_cpu_runs(monkeypatch, training):
    left = BY_VALUES | (WITH_WORKSPACE if training else set())
    calls = {name: call for name, call in operators.calls().items() if name not in left}
    assert len(calls) > 200
    for name, call in calls.items():
        without = traced(call, monkeypatch, fake, fake_mode(), training)
        assert without == traced(call, monkeypatch, Tensor.clone, nullcontext(), training), name


@pytest.mark.parametrize("name", sorted(WITH_WORKSPACE))
def test_what_has_a_workspace_is_not_taken_for_counted(monkeypatch, name):
    _, missing, _ = traced(operators.calls()[name], monkeypatch, fake, fake_mode(), training=True)
    assert missing
