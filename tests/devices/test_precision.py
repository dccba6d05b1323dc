import warnings
from types import SimpleNamespace

import pytest
import torch

from attnbench.devices.precision import set_tf32


@pytest.fixture
def backends(monkeypatch):
    """Stand-ins for the settings of torch, which a test makes."""

    def put(convolutions, products):
        monkeypatch.setattr(torch.backends, "cudnn", convolutions)
        monkeypatch.setattr(torch.backends.cuda, "matmul", products)

    return put


@pytest.mark.parametrize("allowed", [True, False])
def test_the_older_flags_are_set_where_they_are(backends, allowed):
    cudnn, matmul = (SimpleNamespace(allow_tf32=None, fp32_precision="none") for _ in range(2))
    backends(cudnn, matmul)
    set_tf32(convolutions=allowed, products=not allowed)
    assert (cudnn.allow_tf32, matmul.allow_tf32) == (allowed, not allowed)
    assert (cudnn.fp32_precision, matmul.fp32_precision) == ("none", "none")


def test_the_newer_ones_are_set_where_there_are_no_older_ones(backends):
    class New:
        __slots__ = ("fp32_precision",)

    cudnn, matmul = New(), New()
    backends(cudnn, matmul)
    set_tf32(convolutions=True, products=False)
    assert (cudnn.fp32_precision, matmul.fp32_precision) == ("tf32", "ieee")


def test_the_warning_of_torch_2_9_is_not_shown(backends):
    class Warns:
        allow_tf32 = property(
            lambda _: True,
            lambda *_: warnings.warn(
                "Please use the new API settings to control TF32", stacklevel=2
            ),
        )

    backends(Warns(), Warns())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        set_tf32(convolutions=True, products=False)
    assert seen == []


@pytest.mark.filterwarnings("ignore:Please use the new API settings")  # torch 2.9.0, of reading
def test_what_is_set_can_be_read_both_ways():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        set_tf32(convolutions=False, products=True)
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
            assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        set_tf32(convolutions=before[0], products=before[1])
