"""Operators that custom modules use: their arithmetic by hand, and that it is what a CPU runs."""

import pytest
import torch
from helpers.operators import SIZE
from helpers.profiler import profiled
from torch import nn
from torch.nn import functional
from torchvision.ops import DeformConv2d

from attnbench.counting import dispatch
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost
from attnbench.counting.rules import executed
from attnbench.counting.twin import twin
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, AttentionSpec, Site, create


class Apply(nn.Module):
    def __init__(self, function, *modules) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


pytestmark = pytest.mark.filterwarnings("ignore:index_reduce")  # PyTorch calls it beta


def index(*shape):
    return torch.zeros(shape, dtype=torch.long)


def attend(x):
    return functional.scaled_dot_product_attention(x, x[:, :, :3], x[:, :, :3])


SHAPE = (2, 3, 4, 6)  # 144 elements

# Name, function, macs, element-wise operations, reductions.
BY_HAND = {
    # 2 images, 3 heads: 4 queries of 6 numbers with 3 keys, and back; a scale and a softmax
    "attention": (
        "_scaled_dot_product_flash_attention_for_cpu",
        attend,
        *(6 * (4 * 3 * 6 + 4 * 3 * 6), 6 * 4 * (4 * 3), 6 * 2 * (4 * 3)),
    ),
    # 4 taps of each of 3 channels: kernels of 2 * 2 fit 3 * 5 times
    "im2col": ("im2col", lambda x: functional.unfold(x, 2), 0, 0, 0),
    "col2im": (
        "col2im",
        lambda x: functional.fold(x.reshape(2, 12, 6), (3, 4), 2),
        *(0, 0, 144),
    ),
    # squares, sums of 6, roots
    "vector norm": ("linalg_vector_norm", lambda x: x.norm(dim=-1), 0, 144 + 24, 144),
    "dot product": ("vdot", lambda x: torch.vdot(x[0, 0, 0], x[0, 0, 1]), 6, 0, 0),
    # 2.5 * 144 * log2(4 * 4), of a real 4 x 4
    "real Fourier transform": (
        "_fft_r2c",
        lambda x: torch.fft.rfft2(x[..., :4]),
        *(0, round(2.5 * 96 * 4), 0),
    ),
    "inverse real Fourier transform": (
        "_fft_c2r",
        lambda x: torch.fft.irfft(torch.complex(x, x)[..., :5]),  # to 8
        *(0, round(2.5 * (2 * 3 * 4 * 8) * 3), 0),
    ),
    "complex Fourier transform": (
        "_fft_c2c",
        lambda x: torch.fft.fft(torch.complex(x, x), dim=2),
        *(0, 5 * 144 * 2, 0),
    ),
    # twice as high and wide; 4 neighbours
    "bilinear": (
        "upsample_bilinear2d",
        lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
        *(0, 4 * 4 * 144, 4 * 4 * 144),
    ),
    "bicubic": (
        "upsample_bicubic2d",
        lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic"),
        *(0, 16 * 4 * 144, 16 * 4 * 144),
    ),
    "nearest": ("upsample_nearest2d", lambda x: functional.interpolate(x, scale_factor=2), 0, 0, 0),
    # 5 * 7 positions of 3 channels in 2 images
    "grid": (
        "grid_sampler_2d",
        lambda x: functional.grid_sample(x, torch.zeros(2, 5, 7, 2), align_corners=False),
        *(0, 4 * 210, 4 * 210),
    ),
    "mask": ("masked_fill_", lambda x: x.clone().masked_fill_(x > 0, 0), 0, 144, 0),
    # A number under one mask fills, however it is written; what adds, or selects rows, does not.
    "boolean mask": ("masked_fill_", lambda x: x.clone().__setitem__(x > 0, 0), 0, 144, 0),
    "boolean mask of rows": (
        "masked_fill_",
        lambda x: x.clone().__setitem__((slice(None), x[0, :, :, 0] > 0), 0),
        *(0, 144, 0),
    ),
    "boolean mask by index": (
        "masked_fill_",
        lambda x: x.clone().index_put_((x > 0,), x.new_zeros(())),
        *(0, 144, 0),
    ),
    "boolean mask of a copy": (
        "masked_fill",
        lambda x: x.index_put((x > 0,), x.new_zeros(())),
        *(0, 144, 0),
    ),
    "boolean mask, added": (
        "index_put_",
        lambda x: x.clone().index_put_((x > 0,), x.new_zeros(()), accumulate=True),
        *(0, 0, 0),
    ),
    "filled rows": ("index_fill_", lambda x: x.clone().index_fill_(0, index(1), 0), 0, 0, 0),
    "topk": ("topk", lambda x: x.topk(2).values, 0, 0, 144),
    # rows of 6: log2(6) = 2.58, rounded up
    "sort": ("sort", lambda x: x.sort(-1).values, 0, 0, 144 * 3),
    "cumulated sum": ("cumsum", lambda x: x.cumsum(2), 0, 0, 144),
    "gather": ("gather", lambda x: x.gather(1, index(2, 1, 4, 6)), 0, 0, 0),
    "scatter": ("scatter", lambda x: x.scatter(1, index(2, 1, 4, 6), x), 0, 0, 0),
    "scattered sum": ("scatter_add", lambda x: x.scatter_add(1, index(2, 1, 4, 6), x), 0, 0, 48),
    "scattered maximum": (
        "scatter_reduce",
        lambda x: x.scatter_reduce(1, index(2, 1, 4, 6), x, "amax"),
        *(0, 0, 48),
    ),
    # 6 bounds have 7 places between and around them, told apart by 3 comparisons
    "binary search": (
        "bucketize",
        lambda x: torch.bucketize(x.contiguous(), x[0, 0, 0].contiguous()),
        0,
        0,
        3 * 144,
    ),
    "inverse search": (
        "searchsorted",
        lambda x: torch.searchsorted(x[0, 0, 0].contiguous(), x.contiguous()),
        *(0, 0, 3 * 144),
    ),
    "mode": ("mode", lambda x: x.mode(-1).values, 0, 0, 3 * 144),  # rows of 6, sorted
    # both coordinates of 4 * 6 places of 2 images: a row of 3 with (x, y, 1)
    "affine grid": (
        "affine_grid_generator",
        lambda x: functional.affine_grid(x[:, :2, 0, :3], SHAPE, align_corners=False),
        *(2 * (4 * 6) * 2 * 3, 0, 0),
    ),
    "log gamma": ("lgamma", lambda x: x.lgamma(), 0, 144, 0),
    "index": ("index", lambda x: x[:, index(5)], 0, 0, 0),
    "indexed sum": ("index_add", lambda x: x.index_add(1, index(2), x[:, :2]), 0, 0, 96),
    "roll": ("roll", lambda x: x.roll(1, 2), 0, 0, 0),
    "flip": ("flip", lambda x: x.flip(2), 0, 0, 0),
    "shuffle": (
        "pixel_shuffle",
        lambda x: functional.pixel_shuffle(x.reshape(2, 12, 2, 3), 2),
        0,
        0,
        0,
    ),
    "glu": ("glu", lambda x: functional.glu(x, -1), 0, 2 * 72, 0),
    # each of 36 pairs of images' rows of 6: subtract and square, fold, a root
    "distances": (
        "_cdist_forward",
        lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"),
        *(0, (2 * 3 * 4 * 4) * (2 * 6 + 1), (2 * 3 * 4 * 4) * 6),
    ),
    # 5 outputs of 6 * 6 products, and as many of both inputs
    "bilinear layer": (
        "_trilinear",
        lambda x: functional.bilinear(x, x, torch.ones(5, 6, 6)),
        *((2 * 3 * 4 * 5) * 36, (2 * 3 * 4 * 5) * 36, 0),
    ),
    # 6 to 3 along 4 rows: 2 output elements of 2 reach 0 to 3, 1 to 5, 3 to 6; 4 to 2 along 3
    "antialiased": (
        "_upsample_bilinear2d_aa",
        lambda x: functional.interpolate(x, (2, 3), mode="bilinear", antialias=True),
        *(0, 6 * (4 * (3 + 4 + 3) + 3 * (3 + 3)), 6 * (4 * (3 + 4 + 3) + 3 * (3 + 3))),
    ),
    # 3 * 4 * 6 by windows of 3 * 2 * 2, one number each; an average divides once
    "average in 3d": (
        "avg_pool3d",
        lambda x: functional.avg_pool3d(x, (3, 2, 2)),
        *(0, 2 * 1 * 2 * 3, 144),
    ),
    "maximum in 3d": (
        "max_pool3d_with_indices",
        lambda x: functional.max_pool3d(x.contiguous()[None], (3, 2, 2))[0],
        *(0, 0, 144),
    ),
    # 4 rows to 3: windows of 2, 2, 2; 6 to 4: 2 each; 3 to 1
    "adaptive average in 3d": (
        "_adaptive_avg_pool3d",
        lambda x: functional.adaptive_avg_pool3d(x, (1, 3, 4)),
        *(0, 2 * 3 * 4, 2 * 3 * (2 + 2 + 2) * (2 + 2 + 2 + 2)),
    ),
    "division added": ("addcdiv", lambda x: torch.addcdiv(x, x, x), 0, 2 * 144, 0),
    "power in place": ("pow_", lambda x: x.clone().pow_(2), 0, 144, 0),
    "upper bound": ("clamp_max", lambda x: x.clamp_max(1), 0, 144, 0),
    "deviation and mean": ("std_mean", lambda x: torch.std_mean(x, -1)[0], 0, 288 + 24, 288),
    "reflection": (
        "reflection_pad2d",
        lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
        *(0, 0, 0),
    ),
    "diagonal": ("diag_embed", lambda x: torch.diag_embed(x), 0, 0, 0),
    "sum of exponentials": ("logsumexp", lambda x: x.logsumexp(-1), 0, 2 * 144 + 2 * 24, 2 * 144),
    "running sum of exponentials": (
        "logcumsumexp",
        lambda x: x.logcumsumexp(-1),
        *(0, 2 * 144 + 2 * 144, 2 * 144),
    ),
    # What has no row of its own in place has that of what returns the same.
    "sum in place": ("cumsum_", lambda x: x.clone().cumsum_(1), 0, 0, 144),
    "floor in place": ("floor_", lambda x: x.clone().floor_(), 0, 144, 0),
    "product in place": (
        "addmm_",
        lambda x: x[0, 0, :, :4].clone().addmm_(x[0, 0], x[0, 1].T),
        *(4 * 4 * 6, 16, 0),
    ),
    # 5 * 7 positions of 2 images, 2 numbers each: the sum of 3 products
    "positions": (
        "affine_grid_generator",
        lambda x: functional.affine_grid(x[:, 0, :2, :3], [2, 1, 5, 7], align_corners=False),
        *(2 * 35 * 2 * 3, 0, 0),
    ),
    # 3 products of 4 x 6 by 6 x 4, and one addition
    "products added": (
        "addbmm",
        lambda x: torch.addbmm(x[0, 0, :, :4], x[0], x[1].transpose(1, 2)),
        *(3 * 4 * 4 * 6, 16, 0),
    ),
    "outer product added": (
        "addr",
        lambda x: torch.addr(x[0, 0], x[0, 0, :, 0], x[0, 0, 0]),
        *(0, 2 * 24, 0),
    ),
    "indexed maximum": (
        "index_reduce",
        lambda x: x.index_reduce(1, index(2), x[:, :2], "amax"),
        *(0, 0, 96),
    ),
    # 4 rows of 6 numbers: 6 pairs
    "distances of pairs": ("_pdist_forward", lambda x: functional.pdist(x[0, 0]), 0, 6 * 13, 36),
    "nearest of lines": (
        "_upsample_nearest_exact1d",
        lambda x: functional.interpolate(x[0], scale_factor=2, mode="nearest-exact"),
        *(0, 0, 0),
    ),
    "nearest of volumes": (
        "_upsample_nearest_exact3d",
        lambda x: functional.interpolate(x[None], scale_factor=2, mode="nearest-exact"),
        *(0, 0, 0),
    ),
    "reflection of lines": (
        "reflection_pad1d",
        lambda x: functional.pad(x[0], (1, 1), mode="reflect"),
        *(0, 0, 0),
    ),
    "masked elements": ("masked_scatter", lambda x: x.masked_scatter(x > 0, x), 0, 0, 0),
    "sign of another": ("copysign", lambda x: x.copysign(x), 0, 144, 0),
}


@pytest.mark.parametrize("what", BY_HAND)
def test_an_operator_costs_its_arithmetic(what):
    name, function, *expected = BY_HAND[what]
    recorded = executed.trace(Apply(function), SHAPE)
    cost = recorded.by(lambda _, operator: operator)[f"aten.{name}"]
    assert [cost.macs, cost.elementwise, cost.reductions] == expected
    assert cost.kernels == 1
    assert recorded.not_counted == {}


def test_attention_reads_and_writes_its_tensors_once_and_no_scores():
    cost = executed.trace(Apply(attend), SHAPE).total
    # queries, keys and values; the output, and a number for each query in single precision
    assert cost.bytes_read == 4 * (144 + 2 * (2 * 3 * 3 * 6))
    assert cost.bytes_written == 4 * (144 + 2 * 3 * 4)


def test_an_lstm_is_its_gates():
    recorded = executed.trace(Apply(lambda x, layer: layer(x)[0], nn.LSTM(6, 5)), (4, 3, 6))
    # 4 steps of 3 sequences: 4 gates of 5 units see 6 inputs and 5 states
    assert recorded.total.macs == 4 * 3 * (4 * 5) * (6 + 5)
    assert recorded.not_counted == {}


def test_a_gru_is_its_gates():
    recorded = executed.trace(Apply(lambda x, layer: layer(x)[0], nn.GRU(6, 5)), (4, 3, 6))
    assert recorded.total.macs == 4 * 3 * (3 * 5) * (6 + 5)
    assert recorded.not_counted == {}


def test_a_deformable_convolution_samples_and_folds():
    layer = DeformConv2d(6, 4, 3, padding=1, groups=2)
    offsets = Apply(lambda x, layer: layer(x, x.new_zeros(2, 18, 5, 7)), layer)
    cost = executed.trace(offsets, (2, 6, 5, 7)).by(lambda _, operator: operator)
    cost = cost["torchvision.deform_conv2d"]
    outputs, samples = 2 * 4 * 35, 2 * 6 * 35 * 9
    assert cost.macs == outputs * (6 // 2) * 9
    assert (cost.elementwise, cost.reductions) == (4 * samples + outputs, 4 * samples)


def test_a_parametrised_weight_norm():
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3, bias=False))
    cost = executed.trace(layer, (1, 2, 3, 3)).by(lambda _, operator: operator)
    cost = cost["aten._weight_norm_interface"]
    assert (cost.elementwise, cost.reductions) == (2 * (4 * 18) + 2 * 4, 4 * 18)


@pytest.mark.parametrize(
    ("images", "operators", "peak"),
    [
        # One image is one matrix, a view of the map: the product alone, 8 * 4.
        (1, ["aten.mm", "aten.add_"], 4 * 8),
        # Two in turn are copied to one matrix, 2 * 4 * 3, which is there beside their product.
        (2, ["aten.clone", "aten.mm", "aten.add_"], 2 * 4 * 3 + 2 * 4 * 8),
    ],
)
def test_a_linear_layer_adds_its_bias_in_place_to_a_product_of_a_transposed_input(
    images, operators, peak
):
    layer = nn.Linear(3, 8)
    shape = (images, 3, 4)
    recorded = executed.trace(Apply(lambda x, layer: layer(x.transpose(1, 2)), layer), shape)
    assert [operator for _, operator in recorded.rows] == operators
    assert recorded.peak == SIZE * peak
    with torch.inference_mode():
        real = profiled(lambda: layer(torch.rand(shape).transpose(1, 2)))
    assert real.operators >= set(operators)
    assert not real.operators & {"aten.bmm", "aten.add"}
    assert real.peak == SIZE * (peak + images * 3 * 4)  # the images are made within


def test_attention_on_the_cpu_leaves_the_peak_of_resnet18_as_it_was():
    class Sdpa(nn.Module):
        def __init__(self, channels, heads=2):
            super().__init__()
            self.heads = heads
            self.qkv, self.out = nn.Linear(channels, 3 * 64), nn.Linear(64, channels)

        def forward(self, x):
            b, c, h, w = x.shape
            t = self.qkv(x.flatten(2).transpose(1, 2)).view(b, h * w, 3, self.heads, 32)
            q, k, v = t.permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v)
            y = self.out(y.transpose(1, 2).reshape(b, h * w, 64))
            return x + y.transpose(1, 2).reshape(b, c, h, w)

    entry = AttentionSpec("sdpa", "attention", "nowhere", Site.AFTER_BN2, Sdpa)
    plain, other = (
        executed.count(build("resnet18", module, stages=[1], blocks="last"), (1, 3, 224, 224))
        for module in (None, entry)
    )
    added = {name: other.details[name] - plain.details[name] for name in plain.details}
    n, c = 56 * 56, 64
    assert added["peak_live_bytes"] == 0
    assert added["macs"] == n * c * 3 * 64 + 2 * n * n * 64 + n * 64 * c
    # A product and its bias, the attention, the other linear layer, the addition.
    assert added["kernels"] == 5
    weights, q, scores = 3 * 64 * c + 3 * 64 + 64 * c + c, n * 64, 2 * n
    read = n * c + n * 3 * 64 + 3 * q + q + 2 * n * c + weights
    written = 2 * n * 3 * 64 + q + scores + n * c + n * c
    assert added["bytes_read"] == 4 * read
    assert added["bytes_written"] == 4 * written
    assert round((added["bytes_read"] + added["bytes_written"]) / 2**20, 1) == 14.6


class Constants(nn.Module):
    """Keeps constants as plain attributes, and makes tensors without a device in its forward."""

    def __init__(self):
        super().__init__()
        self.scale, self.table = torch.full((6,), 2.0), {"shift": [torch.ones(6)]}

    def forward(self, x):
        return x * self.scale + self.table["shift"][0] + torch.linspace(0, 1, 6)


REAL = {
    **{what: (Apply(function), SHAPE) for what, (_, function, *_) in BY_HAND.items()},
    **{name: (create(name, 256), (2, 256, 4, 3)) for name in ATTENTION},
    "constants": (Constants(), SHAPE),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("what", REAL)
def test_what_is_counted_without_data_is_what_a_cpu_runs(what, layout):
    module, shape = REAL[what]
    images = torch.rand(shape).to(memory_format=layout)
    without = torch.empty_like(images, device="meta")
    real, counted = (dispatch.trace(*twin(module, given), OPERATORS) for given in (images, without))
    assert counted.rows == real.rows
    assert counted.not_counted == real.not_counted == {}
    # Where the function makes an index, the fake one is kept; and a CPU folds in channels_last.
    made = {
        "index",
        "gather",
        "scattered maximum",
        "scatter",
        "indexed sum",
        "scattered sum",
        "filled rows",
    }
    if not {what} & (made | {"col2im"}):
        assert counted.peak == real.peak
    assert counted.total != Cost()
