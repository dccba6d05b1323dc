"""What a rule left at zero: by its definition, or because it did not know it."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import DeformConv2d

from attnbench.counting.dispatch import Trace
from attnbench.counting.gaps import FUNCTIONS, may_multiply, missed
from attnbench.counting.operators import OPERATORS

PRODUCTS_BY_NAME = """
    aten.convolution aten.bmm aten.baddbmm aten.mv aten.vdot aten.mkldnn_rnn_layer
    aten._native_multi_head_attention aten._scaled_dot_product_flash_attention_for_cpu
    torchvision.deform_conv2d aten._fft_r2c aten._trilinear aten.linalg_svd mine.operator
    aten::scaled_dot_product_attention aten::fft_rfft2 torchvision::deform_conv2d aten::baddbmm
    prim::PythonOp.Mine
"""
OTHERS_BY_NAME = """
    aten.add aten.sigmoid aten._softmax aten.mean aten.upsample_bilinear2d aten.im2col aten.topk
    aten.native_group_norm aten::mul aten::softmax aten::max_pool2d aten::unflatten aten::add_
    aten::mT aten::real aten::reshape
"""


@pytest.mark.parametrize("operator", PRODUCTS_BY_NAME.split())
def test_a_product_or_an_unknown_operator_may_be_missed(operator):
    assert may_multiply(operator)


@pytest.mark.parametrize("operator", OTHERS_BY_NAME.split())
def test_what_only_moves_adds_or_folds_is_zero_by_definition(operator):
    assert not may_multiply(operator)


def test_only_executed_claims_every_operator():
    listed = {"aten.special_airy_ai": 2, "aten.add": 3, "aten.bmm": 1}
    assert missed("executed", listed) == listed
    for rule in ("macs", "leaf", "thop", "thop 0.0.23", "fvcore", "torch"):
        assert missed(rule, listed) == {"aten.special_airy_ai": 2, "aten.bmm": 1}
    assert missed("learnable", None) == {}


X = torch.rand(1, 4, 6, 6)
CALLS = [
    lambda: functional.conv2d(X, torch.ones(2, 4, 1, 1)),
    lambda: functional.linear(X, torch.ones(3, 6), torch.ones(3)),
    lambda: torch.einsum("bchw,bdhw->bcd", X, X),
    lambda: functional.scaled_dot_product_attention(X, X, X),
    lambda: functional.bilinear(X, X, torch.ones(3, 6, 6)),
    lambda: torch.linalg.multi_dot([X[0, 0], X[0, 1], X[0, 0]]),
    lambda: torch.cdist(X, X, compute_mode="use_mm_for_euclid_dist"),
    lambda: torch.linalg.inv(X[0, 0] + torch.eye(6)),
    lambda: torch.outer(X[0, 0, 0], X[0, 0, 1]) @ X[0, 0],
    lambda: torch.fft.fft2(X),
    lambda: nn.GRU(6, 3)(X[0]),
    lambda: DeformConv2d(4, 2, 1)(X, torch.zeros(1, 2, 6, 6)),
]


@pytest.mark.parametrize("function", CALLS)
def test_every_kind_of_product_ends_in_an_operator_that_may_multiply(function):
    with torch.no_grad(), Trace() as recorded:
        function()
    assert any(map(may_multiply, recorded.not_counted))


def test_functions_without_products_are_pytorchs_and_not_in_the_table():
    assert {f"aten.{name}" for name in FUNCTIONS.split()}.isdisjoint(OPERATORS)
    assert all(hasattr(torch.ops.aten, name) for name in FUNCTIONS.split())
