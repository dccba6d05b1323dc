"""The operations of a training step, by hand, and that they are what a CPU runs."""

from dataclasses import asdict

import pytest
import torch
from helpers.profiler import profiled
from torch import nn
from torch.nn.functional import cross_entropy

from attnbench.counting.dispatch import Trace
from attnbench.counting.operators import OPERATORS
from attnbench.counting.operators.cost import Cost
from attnbench.counting.training import EXECUTED_STEP, TORCH_STEP, count_step
from attnbench.counting.twin import copy_with, fake, fake_mode
from attnbench.measuring.workload import _training
from attnbench.modules import ATTENTION, create

SIZE = 4  # bytes of an element in single precision


def costs(  # noqa: PLR0913  the fields of a Cost
    *, read, written, macs=0, elementwise=0, reductions=0, kernels=1
) -> dict[str, int]:
    row = Cost(macs, elementwise, reductions, SIZE * sum(read), SIZE * sum(written), kernels)
    return asdict(row)


def step(model: nn.Module, shape: tuple[int, ...]):
    """The step that is timed, of fake tensors."""
    network, image = copy_with(model, fake), fake(torch.empty(shape, device="meta"))
    with fake_mode():
        return _training(network, network, image)


def counted(model: nn.Module, shape: tuple[int, ...]):
    return count_step(step(model, shape), fake_mode())


def without_peak(part: dict[str, int]) -> dict[str, int]:
    return {key: value for key, value in part.items() if key != "peak_live_bytes"}


def test_a_linear_layer_with_a_pencil():
    """Linear(4 -> 3) on 2 images, cross entropy, SGD with momentum: every operator."""
    counts = counted(nn.Linear(4, 3), (2, 4))
    executed = counts[EXECUTED_STEP]
    assert executed.not_counted == {}
    # addmm: 2 * 3 outputs of 4 products, a bias each. Logarithm of the softmax of 2 * 3: 2 folds
    # and 3 an element. Loss: 2 elements of rows picked, folded, and divided once; it writes the
    # loss and a weight of all. It reads the logarithms, and labels of 8 bytes.
    forward = executed.parts["forward"]
    assert without_peak(forward) == costs(
        macs=2 * 3 * 4,
        elementwise=2 * 3 + 3 * 6 + (2 + 1),
        reductions=2 * 6 + 2,
        read=[2 * 4, 3 * 4, 3, 6, 6, 2 * 2],
        written=[6, 6, 1, 1],
        kernels=3,
    )
    # The weight's gradient is a product of 3 * 2 by 2 * 4; the image has none. The bias' is a sum.
    # ones_like starts; the loss gives its 2 labels back, the softmax folds 6 and has 3 an element.
    backward = executed.parts["backward"]
    assert without_peak(backward) == costs(
        macs=3 * 2 * 4,
        elementwise=2 + 3 * 6,
        reductions=6 + 6,
        read=[1, *(1, 6, 2 * 2, 1), *(6, 6), *(6, 8), 6],
        written=[1, 6, 6, 12, 3],
        kernels=5,
    )
    # Momentum times 0.9, plus the gradient; the weight plus a multiple of it.
    optimizer = executed.parts["optimizer"]
    assert without_peak(optimizer) == costs(
        elementwise=3 * 15, read=3 * [15] + 2 * [15], written=3 * [15], kernels=6
    )
    assert executed.operations == sum(
        part[kind]
        for part in executed.parts.values()
        for kind in ("macs", "elementwise", "reductions")
    )
    by_torch = counts[TORCH_STEP]
    assert {part: sums["operations"] for part, sums in by_torch.parts.items()} == {
        "forward": 2 * 24,
        "backward": 2 * 24,
        "optimizer": 0,
    }
    assert by_torch.operations == 4 * 24
    assert by_torch.not_counted["aten.add_"] == 4


def test_a_second_layer_has_a_gradient_of_its_input_too():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5))
    parts = counted(model, (2, 4))[EXECUTED_STEP].parts
    first, second = 2 * 4 * 3, 2 * 3 * 5
    assert parts["forward"]["macs"] == first + second
    assert parts["backward"]["macs"] == first + 2 * second


def test_an_optimizers_work_does_not_grow_with_the_batch():
    one, four = (counted(nn.Linear(4, 3), (batch, 4))[EXECUTED_STEP].parts for batch in (1, 4))
    assert one["optimizer"] == four["optimizer"] | {
        "peak_live_bytes": one["optimizer"]["peak_live_bytes"]
    }
    assert four["backward"]["macs"] == 4 * one["backward"]["macs"]


@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_weight_has_no_gradient(frozen):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 6, 1, groups=2))
    model[0].weight.requires_grad_(not frozen)
    model.append(nn.Flatten())
    parts = counted(model, (2, 3, 6, 5))[EXECUTED_STEP].parts
    first, second = 2 * (4 * 3) * 4 * 27, 2 * (4 * 3) * 6 * 2
    assert parts["forward"]["macs"] == first + second
    # The second's input needs none where what stands before it is frozen.
    assert parts["backward"]["macs"] == (second if frozen else first + 2 * second)


class Net(nn.Module):
    def __init__(self, module: nn.Module, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm, self.attention = nn.BatchNorm2d(channels), module

    def forward(self, x):
        return self.attention(self.norm(self.pool(self.stem(x)))).mean((2, 3))


@pytest.mark.parametrize("name", ATTENTION)
def test_what_is_counted_without_data_is_the_step_that_a_cpu_runs(name):
    torch.manual_seed(0)
    model, shape = Net(create(name, 128), 128), (2, 3, 8, 6)
    count = counted(model, shape)[EXECUTED_STEP]
    images, labels = torch.rand(shape), torch.arange(2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    for recorded in (Trace(OPERATORS), Trace(OPERATORS)):
        with recorded:
            cross_entropy(model(images).float(), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert count.not_counted == recorded.not_counted == {}
    assert without_peak(count.details) == asdict(recorded.total)


def test_a_linear_layer_on_a_permuted_map_adds_its_bias_in_place_in_training_too():
    """Of (1, 64, 16, 16): one map of 65,536 bytes, not two."""
    model = nn.Linear(64, 64)
    x = torch.rand(1, 64, 16, 16).permute(0, 2, 3, 1)
    bytes_of_a_map = 64 * 16 * 16 * SIZE
    parts = {"forward": lambda: model(x)}
    counted = count_step(parts)[EXECUTED_STEP]
    assert counted.details["peak_live_bytes"] == profiled(lambda: model(x)).peak == bytes_of_a_map
    assert counted.details["kernels"] == 2
    # Read for the product and the sum: the map and the weights, the product and the bias.
    assert counted.details["bytes_read"] == 2 * bytes_of_a_map + (64 * 64 + 64) * SIZE
