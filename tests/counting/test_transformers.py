"""What is one operator of a transformer is counted as what the CPU's kernel runs within it."""

import pytest
import torch
from helpers.operators import SIZE
from helpers.profiler import profiled
from torch import nn

from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS
from attnbench.counting.rules import executed

IMAGES, TOKENS, WIDTH, HEADS, HIDDEN = 3, 5, 8, 2, 16
SHAPE = (IMAGES, TOKENS, WIDTH)
ELEMENTS, SCORES = IMAGES * TOKENS * WIDTH, IMAGES * HEADS * TOKENS * TOKENS
MASK = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)


class Attention(nn.Module):
    def __init__(self, others=lambda x: (x, x), **options):
        super().__init__()
        self.layer = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.others, self.options = others, options

    def forward(self, x):
        return self.layer(x, *self.others(x), **self.options)


def test_the_scores_are_written_read_and_held():
    recorded = executed.trace(Attention(), SHAPE)
    by = recorded.by(lambda _, operator: operator)
    assert {name: row.kernels for name, row in by.items()} == {
        "aten.mm": 1,  # to queries, keys and values
        "aten._transform_bias_rescale_qkv": 1,
        "aten.bmm": 2,  # to scores, and to what they choose of the values
        "aten._softmax": 1,
        "aten.clone": 1,  # of the heads, behind each other
        "aten.addmm": 1,
        "aten.sum": 1,  # over the heads, and their mean
        "aten.div_": 1,
    }
    assert recorded.total.macs == 4 * ELEMENTS * WIDTH + 2 * SCORES * (WIDTH // HEADS)
    # Biases of four products, the scale of the queries, a softmax of 3, the mean over the heads.
    assert recorded.total.elementwise == 5 * ELEMENTS + 3 * SCORES + SCORES // HEADS
    softmax = by["aten._softmax"]
    assert softmax.bytes_read == softmax.bytes_written == SIZE * SCORES
    # Queries, keys and values, the scores, the heads behind each other, and the output.
    assert recorded.peak == SIZE * (3 * ELEMENTS + SCORES + ELEMENTS + ELEMENTS)


@pytest.mark.parametrize(
    "attention",
    [
        Attention(),
        Attention(need_weights=False),
        Attention(average_attn_weights=False),
        Attention(attn_mask=MASK),
        Attention(key_padding_mask=torch.zeros(IMAGES, TOKENS, dtype=torch.bool)),
        Attention(need_weights=False, attn_mask=MASK),
    ],
    ids=["weights", "no-weights", "of-each-head", "mask", "padding", "mask-no-weights"],
)
def test_it_is_what_the_kernel_runs_and_allocates(attention):
    attention.eval()
    x = torch.rand(SHAPE)
    with torch.inference_mode():
        expected = attention(x)
        real = profiled(lambda: attention(x))
        with Trace(OPERATORS) as recorded:
            out = attention(x)
    assert torch.equal(out[0], expected[0])
    assert (out[1] is None) == (expected[1] is None)
    assert out[1] is None or torch.equal(out[1], expected[1])
    assert real.operators >= {operator for _, operator in recorded.rows}
    assert recorded.not_counted == {}
    assert recorded.peak == real.peak
    without_data = executed.trace(attention, SHAPE)
    assert (without_data.total, without_data.peak) == (recorded.total, recorded.peak)


def encoder(**options):
    return nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True, **options).eval()


@pytest.mark.parametrize("norm_first", [False, True], ids=["norms-last", "norms-first"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer_is_what_its_kernel_runs_and_allocates(norm_first, activation):
    layer = encoder(norm_first=norm_first, activation=activation)
    x = torch.rand(SHAPE)
    with torch.inference_mode():
        expected = layer(x)
        real = profiled(lambda: layer(x))
        with Trace(OPERATORS) as recorded, recorded.follow(layer):
            out = layer(x)
    assert torch.equal(out, expected)
    assert real.operators >= {operator for _, operator in recorded.rows}
    assert recorded.not_counted == {}
    assert recorded.peak == real.peak
    without_data = executed.trace(layer, SHAPE)
    assert (without_data.total, without_data.peak) == (recorded.total, recorded.peak)


def test_an_encoder_layer_is_counted_alike_where_a_hook_stands_in_it():
    """torch then takes its parts one by one, but for the attention."""
    layer = encoder()
    whole = executed.trace(layer, SHAPE).total
    attention = 4 * ELEMENTS * WIDTH + 2 * SCORES * (WIDTH // HEADS)
    assert whole.macs == attention + 2 * ELEMENTS * HIDDEN
    layer.linear1.register_forward_hook(lambda *_: None)
    parts = executed.trace(layer, SHAPE).total
    for what in ("macs", "elementwise", "reductions"):
        assert getattr(whole, what) == getattr(parts, what)


def test_a_layer_of_a_transformer_holds_its_scores_too():
    tokens = 64
    recorded = executed.trace(encoder(), (1, tokens, WIDTH))
    # Beside the scores of both heads: queries, keys and values.
    assert recorded.peak == SIZE * (HEADS * tokens * tokens + 3 * tokens * WIDTH)
    assert recorded.not_counted == {}
