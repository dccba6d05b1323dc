"""Fake tensors that ask once are those of PyTorch's own mode, which is asked every time here."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from attnbench.counting import training, twin
from attnbench.counting.operators.cost import tensors_in
from attnbench.counting.remembered import RememberingMode
from attnbench.counting.rules import executed
from attnbench.modules import ATTENTION, create

IMAGES, CHANNELS = (2, 3, 33, 31), 128


def facts(x):
    """All that there is to know of a fake tensor but its storage."""
    return (
        *(x.shape, x.stride(), x.storage_offset(), x.dtype, x.device, x.layout),
        *(x.requires_grad, x.is_inference(), x.is_conj(), x.is_neg(), x.is_quantized),
        *(x.untyped_storage().nbytes(), torch._C._dispatch_key_set(x)),
    )


def shared(out, given):
    """Which of the given tensors each output is, and of which it has the storage."""
    return [
        (
            [x is y for y in given],
            [x.untyped_storage()._cdata == y.untyped_storage()._cdata for y in given],
        )
        for x in tensors_in(out)
    ]


def empty(out):
    """Of several outputs which are None; a tuple with names is one without."""
    return [x is None for x in out] if isinstance(out, (tuple, list)) else out is None


class Compared(RememberingMode):
    """Asks PyTorch as well, without its cache: when it does itself, and once when it remembers."""

    def __init__(self):
        super().__init__()
        self.cache_enabled = False
        self.remembered = Counter()
        self._asked = False
        self._compared = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self._asked:  # by what takes an operator apart
            return FakeTensorMode.__torch_dispatch__(self, func, types, args, kwargs or {})
        before = len(self._known)
        out = super().__torch_dispatch__(func, types, args, kwargs)
        self.remembered[str(func)] += len(self._known) == before
        given = tensors_in(args, kwargs or {})
        question = (func, *map(facts, given))
        self._compared[question] += 1
        if self._compared[question] > 2:
            return out
        self._asked = True
        try:
            asked = FakeTensorMode.__torch_dispatch__(self, func, types, args, kwargs or {})
        finally:
            self._asked = False
        assert empty(out) == empty(asked), func
        assert [*map(facts, tensors_in(out))] == [*map(facts, tensors_in(asked))], func
        assert shared(out, given) == shared(asked, given), func
        return out


@pytest.fixture
def compared(monkeypatch):
    mode = Compared()
    monkeypatch.setattr(twin, "fake_mode", lambda: mode)
    return mode


def network(*names):
    """Modules of the table on one map, one after the other."""
    with torch.device("meta"):
        modules = [create(name, CHANNELS) for name in names]
        norm = [nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True)]
        first = [nn.Conv2d(3, CHANNELS, 3, 2), *norm, nn.MaxPool2d(2)]
        last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 5)]
        return nn.Sequential(*first, *modules, *last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_forward_has_the_tensors_of_pytorchs_mode(layout, compared):
    images = torch.empty(IMAGES, device="meta", memory_format=layout)
    model = network(*ATTENTION).to(memory_format=layout)
    assert executed.count(model, images) == executed.count(model, images)
    # A stem, two branches in SK, one in CBAM and three layers in GC; ECA's has one dimension.
    assert compared.remembered["aten.convolution.default"] > 7
    assert compared.remembered["aten.relu_.default"] > 1
    assert compared.remembered["aten.mul.Tensor"] > 7


def test_a_training_step_has_the_tensors_of_pytorchs_mode(compared):
    model, images = twin.copy_with(network("sk", "sa"), twin.fake), twin.fake(torch.empty(IMAGES))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step():
        optimizer.zero_grad()
        model(images).sum().backward()
        optimizer.step()

    training.count_step({"step": step}, compared)
    for name in ("convolution_backward", "native_batch_norm_backward", "threshold_backward"):
        assert compared.remembered[f"aten.{name}.default"] > 1


def fakes(mode, *tensors):
    return [mode.from_tensor(tensor) for tensor in tensors]


def test_numbers_that_are_equal_and_of_other_types_are_no_equal_arguments():
    mode = RememberingMode()
    (x,) = fakes(mode, torch.ones(3, dtype=torch.int64))
    assert [(x * value).dtype for value in (1, 1.0, 1, 1.0)] == [
        torch.int64,
        torch.float32,
        torch.int64,
        torch.float32,
    ]


def test_the_default_dtype_is_part_of_a_question():
    mode = RememberingMode()
    (x,) = fakes(mode, torch.ones(3, dtype=torch.int64))
    assert (x * 1.0).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert (x * 1.0).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_tensors_of_an_inference_are_so_though_the_first_was_none():
    mode = RememberingMode()
    (x,) = fakes(mode, torch.ones(3))
    for _ in range(2):
        assert not x.exp().is_inference()
        with torch.inference_mode():
            assert x.exp().is_inference()


def test_a_view_shares_its_storage_and_what_is_new_does_not():
    mode = RememberingMode()
    (x,) = fakes(mode, torch.ones(2, 3))
    for _ in range(2):
        storages = [y.untyped_storage()._cdata for y in (x, x.view(3, 2), x.exp(), x.exp())]
        assert storages[0] == storages[1]
        assert len({*storages}) == 3


def test_in_place_is_the_same_tensor_and_new_storage_is_asked_for():
    mode = RememberingMode()
    x, other = fakes(mode, torch.ones(4), torch.ones(4))
    for _ in range(2):
        assert x.relu_() is x
        assert x.add_(other) is x
        x.set_(other.untyped_storage(), 0, (4,), (1,))
        assert x.untyped_storage()._cdata == other.untyped_storage()._cdata
        x.set_(torch.empty(4, device="meta").untyped_storage(), 0, (4,), (1,))
        assert x.resize_(2, 2).shape == (2, 2)
        assert x.resize_(4).shape == (4,)


def test_what_fails_fails_each_time():
    mode = RememberingMode()
    x, other = fakes(mode, torch.ones(4), torch.ones(3))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            x + other
        with pytest.raises(RuntimeError):
            x.add_(other)


def test_strides_are_part_of_a_question():
    mode = RememberingMode()
    for layout in (torch.contiguous_format, torch.channels_last) * 2:
        (x,) = fakes(mode, torch.empty(2, 3, 4, 5).contiguous(memory_format=layout))
        assert x.sigmoid().is_contiguous(memory_format=layout)
        assert x[:, 1:].exp().shape == (2, 2, 4, 5)


def test_tensors_with_data_are_pytorchs_matter():
    mode = RememberingMode()
    (x,) = fakes(mode, torch.ones(3))
    assert [(x + torch.ones(shape)).shape for shape in (3, 1, 3)] == [(3,)] * 3
    with mode:
        number = torch.tensor(3.0)  # a constant, whose value a fake tensor knows
        assert (number + 1).item() == (number + 1).item() == 4.0


SHAPES = [(2, 4, 6, 5), (1, 4, 6, 5), (2, 4, 1, 1), (2, 4, 1, 5), (2, 1, 6, 5), (3, 4), (2, 4, 5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_batch_norm_that_is_not_taken_apart_returns_the_same(shape, dtype, compared):
    norm, x = nn.BatchNorm2d(shape[1]).to(dtype), torch.empty(shape, dtype=dtype)
    weight, bias, *running = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    known = [x, weight.detach(), bias.detach(), *running]
    forms = [known, [x, None, None, *running], [*known[:3], *(value.float() for value in running)]]
    if len(shape) == 4:
        forms.append([x.contiguous(memory_format=torch.channels_last), *known[1:]])
    for form in forms:
        tensors = [None if given is None else compared.from_tensor(given) for given in form]
        for is_training in (False, True, False, True):
            torch.ops.aten.native_batch_norm(*tensors, is_training, 0.1, 1e-5)


class Noted(nn.Module):
    def forward(self, x):
        return torch.cat([x, x.exp()], 1).max(1)[0]


def test_lists_and_several_outputs_are_remembered(compared):
    network, image = twin.twin(Noted(), IMAGES)
    for _ in range(2):
        with compared:
            assert network(image).shape == (2, 33, 31)
    assert compared.remembered["aten.cat.default"] == 1
    assert compared.remembered["aten.max.dim"] == 1
