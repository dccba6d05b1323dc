import gc
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import processes
from torch import nn

from attnbench.counting.dispatch import Trace
from attnbench.counting.twin import fake_mode
from attnbench.devices.table import kind_of
from attnbench.measuring import memory
from attnbench.measuring.memory import fake_step, peak_live_bytes
from attnbench.measuring.workload import step
from attnbench.system import worker

MIB = 2**20

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=["real", "fake"])
def device(request):
    """The CPU, with tensors that hold data and with those that do not."""
    with kinds()[request.param]:
        yield "cpu"


def kinds():
    return {"real": nullcontext(), "fake": fake_mode()}


@pytest.fixture
def x(device):
    """(6, 10) in float32: 6 * 10 * 4 = 240 bytes, which no figure below contains."""
    return torch.ones(6, 10, device=device)


def peak(step):
    seen = Trace()
    with seen, torch.no_grad():
        step()
    return seen.peak


def test_a_linear_layer_a_relu_and_a_sum(x):
    linear = nn.Linear(10, 16, device=x.device)
    # Into the ReLU go 6 * 16 * 4 bytes and as many come out; then one number of 4 bytes beside
    # the ReLU's output is less.
    assert peak(lambda: linear(x).relu().sum()) == 384 + 384


def test_what_no_longer_lives_is_not_in_the_peak(x):
    def five_in_a_row():
        y = x
        for _ in range(5):
            y = y + 1

    assert peak(five_in_a_row) == 240 + 240  # the one before and the one after


def test_what_goes_on_living_adds_up(x):
    assert peak(lambda: [x + 1 for _ in range(5)]) == 5 * 240


def test_the_same_place_in_memory_can_be_taken_again_and_again(x):
    def one_at_a_time():
        for _ in range(100):
            x.exp()

    assert peak(one_at_a_time) == 240


def test_the_live_figure_falls_to_what_is_left(x):
    with Trace() as seen:
        left = x + 1
        _ = [x + 1, x + 2]
        assert seen.live == 3 * 240
        del _
        assert seen.live == 240
        del left
        assert seen.live == 0


def test_the_chunks_of_a_tensor_are_views_and_their_concatenation_is_new(x):
    assert peak(lambda: x.chunk(2, 1)) == 0
    assert peak(lambda: torch.cat(x.chunk(2, 1), 1)) == 240
    # Two halves of 6 * 5 * 4 = 120 bytes, and both together once more.
    assert peak(lambda: torch.cat([half + 1 for half in x.chunk(2, 1)], 1)) == 120 + 120 + 240


@pytest.mark.parametrize(
    "in_place",
    [lambda x: x.add_(1), lambda x: x.relu_().mul_(2), lambda x: torch.exp(x, out=x)],
    ids=["add_", "relu_ and mul_", "out"],
)
def test_work_in_place_creates_nothing(x, in_place):
    assert peak(lambda: in_place(x)) == 0


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(60),
        lambda x: x.reshape(5, 12),
        lambda x: x.t(),
        lambda x: x[1:, ::2],
        lambda x: x.detach(),
        lambda x: x.unsqueeze(0).expand(9, 6, 10),
    ],
    ids=["view", "reshape", "t", "slice", "detach", "expand"],
)
def test_views_create_nothing(x, view):
    assert peak(lambda: view(x)) == 0


def test_a_reshape_that_cannot_be_a_view_creates_a_copy(x):
    assert peak(lambda: x.t().reshape(60)) == 240


def test_a_view_keeps_its_whole_storage_alive(x):
    with Trace() as seen:
        corner = (x + 1)[0, 0]
        assert corner.numel() == 1
        assert seen.live == 240


def test_a_tensor_with_gaps_takes_the_bytes_between_its_elements_too(device):
    # Six elements, ten apart: (5 * 10 + 1) * 4 bytes.
    assert peak(lambda: torch.empty_strided((6,), (10,), device=device)) == 204


def test_a_broadcast_creates_its_result_and_no_copy_of_its_operand(x):
    # A row of 10 * 4 bytes, and the sum of 6 rows.
    assert peak(lambda: x + torch.ones(10, device=x.device)) == 40 + 240


def test_bytes_follow_the_dtype(x):
    assert peak(lambda: x.bfloat16()) == 120  # 6 * 10 * 2
    assert peak(lambda: x > 0) == 60  # 6 * 10 * 1


def test_a_training_step_of_a_linear_layer(device):
    x = torch.ones(4, 8, device=device)
    linear = nn.Linear(8, 16, device=device)
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.0, momentum=0.9)

    def train():
        loss = linear(x).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    # The loss and its gradient, 4 bytes each, which the gradient of the layer's output only
    # repeats; the gradients of the weights, 16 * 8 * 4, and of the bias, 16 * 4. The optimizer's
    # momentum stays between the steps. The output, 4 * 16 * 4, is gone by then.
    assert peak_live_bytes(train) == 4 + 4 + 512 + 64


def test_what_stays_between_steps_is_not_in_the_peak(x):
    kept = []

    def step():
        kept[:] = [*kept, x + 1][:1]  # created by the first step, and kept by the second
        x.exp().neg()

    assert peak_live_bytes(step) == 240 + 240


def test_a_sparse_tensor_is_alive_with_its_indices_and_values():
    """Of four ones: 2 indices of int64 and a float32 each."""
    assert peak_live_bytes(torch.ones(2, 2).to_sparse) == 4 * (2 * 8 + 4)


def conv_net(norm):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8) if norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 3, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )


def test_a_small_conv_net_in_inference(device):
    model = conv_net(norm=False).eval()
    x = torch.ones(2, 3, 8, 8, device=device)
    # The first convolution's output and the ReLU's: 2 * 8 * 8 * 8 * 4 = 4096 bytes each.
    assert peak(lambda: model(x)) == 4096 + 4096


def of_both(train):
    """The figure of fake tensors, which is that of real ones."""
    peaks = {}
    for kind, mode in kinds().items():
        with mode:
            peaks[kind] = train()
    assert peaks["fake"] == peaks["real"]
    return peaks["fake"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_small_conv_net_in_training_takes_the_same_with_fake_tensors(layout):
    def train():
        model = conv_net(norm=True)
        x = torch.ones(2, 3, 8, 8).to(memory_format=layout)

        def step():
            model(x).sum().backward()
            model.zero_grad()

        return peak_live_bytes(step)

    assert of_both(train) > 3 * 4096  # convolution, norm and ReLU are all kept


def test_a_batch_norm_in_inference_takes_the_same_with_fake_tensors():
    def infer():
        model = conv_net(norm=True).eval()
        return peak(lambda: model(torch.ones(2, 3, 8, 8)))

    # The image, 2 * 3 * 8 * 8 * 4; the convolution's output and the norm's.
    assert of_both(infer) == 1536 + 4096 + 4096


def test_a_batch_norm_in_bfloat16_keeps_its_statistics_in_bfloat16():
    def train():
        model = nn.BatchNorm2d(64, dtype=torch.bfloat16)
        x = torch.ones(2, 64, 1, 1, dtype=torch.bfloat16)
        return peak_live_bytes(lambda: model(x).sum().backward())

    # Two bytes a number: the sum and its gradient, the saved mean and deviation of 64 channels, and
    # the gradients of the weight and bias, which are added to those of the first step.
    assert of_both(train) == 2 * (1 + 1 + 2 * 64 + 2 * 64)


@pytest.mark.usefixtures("small_host")
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", ["sa", "sge"])
def test_a_network_takes_the_same_with_fake_tensors(case, name, channels_last, dtype, mode):
    case = replace(case, channels_last=channels_last, dtype=dtype, mode=mode, image_size=64)
    live = peak_live_bytes(fake_step(case, name), fake_mode())
    assert live == peak_live_bytes(step(case, name))


@pytest.mark.parametrize(("name", "live"), [("sa", 3_276_800), ("sge", 2_621_440)])
def test_with_channels_last_a_reshape_copies_and_is_in_the_peak(case, name, live):
    case = replace(case, channels_last=True, image_size=64)
    assert peak_live_bytes(fake_step(case, name), fake_mode()) == live


@pytest.mark.usefixtures("small_host")
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_the_peak_of_live_bytes_is_the_same_each_time(case, mode):
    once = fake_step(replace(case, mode=mode), "sk")
    again = fake_step(replace(case, mode=mode), "sk")
    peaks = [peak_live_bytes(step, fake_mode()) for step in (once, once, again)]
    assert peaks[0] == peaks[1] == peaks[2] > 0


def test_the_peak_of_a_process_grows_by_what_it_touches():
    before, after = worker.call(processes.touch, 65 * MIB)  # the kernel counts in batches
    assert 64 * MIB <= after - before < 96 * MIB


def test_the_peak_of_a_child_is_not_that_of_a_large_parent():
    alone = worker.call(memory.peak_resident_bytes)
    large = b"x" * (256 * MIB)
    beside = worker.call(memory.peak_resident_bytes)
    assert memory.peak_resident_bytes() > len(large)
    assert beside - alone < 64 * MIB


def test_the_peak_of_a_step_is_not_that_of_building_its_network():
    taken = worker.call(processes.idle_step_after_a_large_build, 128 * MIB)
    assert taken.peak_resident_bytes - taken.resident_bytes < 64 * MIB


def test_a_cpu_measurement_has_live_and_resident_bytes_alone(case):
    taken = worker.call(memory.measure, case, "plain")
    assert taken.peak_live_bytes == peak_live_bytes(step(case, "plain"))
    # ResNet-50's weights are resident before the step: 25,557,032 parameters of 4 bytes.
    assert 102_228_128 < taken.resident_bytes <= taken.peak_resident_bytes
    assert taken.allocated_bytes is taken.peak_allocated_bytes is None
    assert taken.reserved_bytes is taken.peak_reserved_bytes is None


def test_where_a_step_fails_without_data_its_peak_is_that_of_real_steps(case, monkeypatch):
    monkeypatch.setattr(memory, "fake_step", None)  # as a forward that asks for a value
    taken = memory.measure(case, "plain")
    assert taken.peak_live_bytes == peak_live_bytes(step(case, "plain"))
    assert taken.resident_bytes <= taken.peak_resident_bytes


def test_a_cuda_measurement_is_of_the_second_step_alone(monkeypatch):
    log = []

    def record(name, result=None):
        monkeypatch.setattr(torch.cuda, name, lambda: log.append(name) or result)

    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        record(name)
    record("memory_allocated", 1)
    record("memory_reserved", 2)
    record("max_memory_allocated", 3)
    record("max_memory_reserved", 4)
    taken = memory.on_device(lambda: log.append("step"), 5, kind_of("cuda"))
    assert log == [
        *("step", "synchronize", "empty_cache", "reset_peak_memory_stats"),
        *("memory_allocated", "memory_reserved"),
        *("step", "synchronize", "max_memory_allocated", "max_memory_reserved"),
    ]
    assert (taken.peak_live_bytes, taken.resident_bytes) == (5, None)
    assert (taken.allocated_bytes, taken.peak_allocated_bytes) == (1, 3)
    assert (taken.reserved_bytes, taken.peak_reserved_bytes) == (2, 4)


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd14", 1024)])
def test_without_proc_the_peak_is_the_systems_in_its_unit(monkeypatch, platform, unit):
    resource = pytest.importorskip("resource")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(memory.sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda _: usage)
    assert memory.peak_resident_bytes() == memory.resident_bytes() == usage.ru_maxrss * unit


def test_following_a_step_leaves_nothing_behind(x):
    seen = Trace()
    with seen:
        x.exp()
    gc.collect()
    assert (seen.live, seen._storages) == (0, set())
