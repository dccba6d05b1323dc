from dataclasses import replace

import pytest
import torch

from attnbench.devices.table import KINDS
from attnbench.measuring import isolated
from attnbench.measuring.isolated import attention, count, input_shape, maps, step
from attnbench.measuring.options.cases import check_case
from attnbench.records.variants import COPY, COPY_AGAIN, LAUNCH, PRODUCT, IsolatedModule
from attnbench.system import process_settings

pytestmark = pytest.mark.usefixtures("small_host")


def shrink(monkeypatch, **sizes):
    monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], **sizes))


@pytest.fixture
def alone(case, monkeypatch):
    shrink(monkeypatch, copy_bytes=2**16, product_size=32)
    return replace(case, isolated=True, image_size=224)


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        ("sa", [(2, 256, 56, 56), (2, 512, 28, 28), (2, 1024, 14, 14), (2, 2048, 7, 7)]),
        # SK replaces the 3x3 convolution, a quarter as wide, and here without its stride.
        ("sk", [(2, 64, 56, 56), (2, 128, 28, 28), (2, 256, 14, 14), (2, 512, 7, 7)]),
    ],
)
def test_a_piece_has_the_size_that_it_has_at_the_end_of_its_stage(case, module, shapes):
    large = replace(case, image_size=224)
    # In the host as it is, where every stage's last block has no stride.
    found = [
        input_shape(replace(large, host="resnet101"), IsolatedModule(module, n))
        for n in (1, 2, 3, 4)
    ]
    assert found == shapes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_step_is_the_modules_forward_in_the_cases_dtype_and_layout(alone, dtype, channels_last):
    wanted = replace(alone, image_size=64, dtype=dtype, channels_last=channels_last)
    out = step(wanted, "eca layer2")()
    assert out.shape == (2, 512, 8, 8)
    assert out.dtype == getattr(torch, dtype)
    assert out.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert out.is_inference()


def test_the_module_is_that_of_the_hosts_last_block_with_its_weights(alone):
    found = attention(alone, IsolatedModule("sa", 3), "cpu")
    again = isolated.network(alone, "sa", "cpu").layer3[-1].attention
    assert not found.training
    assert all(map(torch.equal, found.state_dict().values(), again.state_dict().values()))


def test_moving_a_piece_moves_it(alone):
    ready = step(replace(alone, image_size=64), "sa layer1")
    before = ready()
    ready.move()
    assert torch.equal(ready(), before)


def test_moving_a_ceiling_moves_what_it_writes(alone, monkeypatch):
    # Two copies whose memory lay still differed by some percent for as long as a run went on.
    shrink(monkeypatch, copy_bytes=64, product_size=4)
    for ceiling in (COPY, PRODUCT):
        ready = step(alone, ceiling)
        target = ready()
        before, place = target.clone(), target.data_ptr()
        ready.move()
        assert target.data_ptr() != place
        assert torch.equal(ready(), before)


def test_the_counts_of_a_piece_are_of_its_own_forward_by_hand(alone):
    found = count(alone, "eca layer1")
    assert found.shape == (2, 256, 56, 56)
    details = found.rules["executed"].details
    # ECA: a pool, a convolution of 3 over 256 means of each image, a sigmoid, a product.
    assert details["macs"] == 2 * 256 * 3
    pixels = 2 * 256 * 56 * 56 * 4
    assert details["bytes_read"] + details["bytes_written"] > 3 * pixels  # read twice, written once
    assert details["bytes_read"] + details["bytes_written"] < 3.01 * pixels
    half = count(replace(alone, dtype="bfloat16"), "eca layer1").rules["executed"].details
    assert half["bytes_read"] * 2 == details["bytes_read"]


@pytest.mark.parametrize(
    ("ceiling", "details"),
    [
        (COPY, {"macs": 0, "bytes_read": 2**16, "bytes_written": 2**16, "kernels": 1}),
        (LAUNCH, {"macs": 0, "bytes_read": 4, "bytes_written": 4, "kernels": 1}),
        # Two matrices of 32 * 32 in, one out.
        (PRODUCT, {"macs": 32**3, "bytes_read": 8192, "bytes_written": 4096, "kernels": 1}),
    ],
)
def test_the_counts_of_a_ceiling_by_hand(alone, ceiling, details):
    assert count(alone, ceiling).rules["executed"].details == details


@pytest.mark.parametrize(("ceiling", "size"), [(COPY, 2**14), (COPY_AGAIN, 2**14), (LAUNCH, 1)])
def test_a_ceilings_step_touches_what_its_counts_say(alone, ceiling, size):
    made = step(alone, ceiling)()
    assert made.numel() == size
    assert made.element_size() == 4
    assert step(alone, PRODUCT)().shape == (32, 32)


def test_a_product_may_use_tf32_as_convolutions_do_and_nothing_else_may(alone):
    matmul = torch.backends.cuda.matmul
    process_settings.settle_arithmetic(1)
    product, copy = step(alone, PRODUCT), step(alone, COPY)
    with product.during():
        assert matmul.allow_tf32
        product()
    assert not matmul.allow_tf32
    with copy.during():
        assert not matmul.allow_tf32


def test_the_ceilings_work_on_noise(alone):
    product, copied = step(alone, PRODUCT)(), step(alone, COPY)()
    # Normal values of mean 0 and deviation 1: the sum of 32 products of two has 32 of variance.
    assert product.std().item() == pytest.approx(32**0.5, rel=0.1)
    assert copied.std().item() == pytest.approx(1, rel=0.05)


def test_the_maps_are_what_the_modules_see_each_size_once(alone):
    assert maps(replace(alone, image_size=64), ("sa", "se", "sk")) == (
        (256, 16, 16),
        (512, 8, 8),
        (1024, 4, 4),
        (2048, 2, 2),
        (64, 16, 16),
        (128, 16, 16),  # the last block here is the first, whose 3x3 has the stride
        (256, 8, 8),
        (512, 4, 4),
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_map_copy_copies_what_the_module_sees(alone, dtype, channels_last):
    wanted = replace(alone, image_size=64, dtype=dtype, channels_last=channels_last)
    seen = isolated.image_for(wanted, input_shape(wanted, IsolatedModule("eca", 1)), "cpu")
    for name in ("copy 256x16x16", "copy 256x16x16 again"):
        ready = step(wanted, name)
        made = ready()
        assert torch.equal(made, seen)
        assert (made.dtype, made.stride()) == (seen.dtype, seen.stride())
        place = made.data_ptr()
        ready.move()
        assert made.data_ptr() != place
        assert torch.equal(ready(), seen)
    counted = count(wanted, "copy 256x16x16")
    size = 2 * 256 * 16 * 16 * seen.element_size()
    assert counted.shape == (2, 256, 16, 16)
    assert counted.rules["executed"].details == {
        "macs": 0,
        "bytes_read": size,
        "bytes_written": size,
        "kernels": 1,
    }


@pytest.mark.parametrize("variant", ["sa layer1", "launch", "product"])
def test_what_is_alone_is_captured_where_the_case_says_so(alone, monkeypatch, variant):
    captured = []

    def capture(step):
        captured.append(list(step.parts))
        return lambda: "replayed"

    monkeypatch.setattr(isolated.cuda_graph, "capture", capture)
    alone = replace(alone, image_size=32)
    eager = isolated.step(alone, variant)
    assert captured == []
    ready = isolated.step(replace(alone, runtime="cuda-graph"), variant)
    assert captured == [[*eager.parts]]
    assert ready() == "replayed"
    assert [*ready.parts] == ["step"]
    assert ready.move is None  # the graph would go on reading at the old addresses
    check_case(replace(alone, device="cuda", runtime="cuda-graph"))
