import pytest
import torch
from torch import nn

from attnbench.hosts.build import HOSTS, Host, build
from attnbench.hosts.values import norm_statistics
from attnbench.hosts.values.norm_statistics import estimate, kept_in

SIZE = (32, 32)


class Net(nn.Module):
    """A convolution that triples, then a batch norm; ``fails`` raises after both."""

    def __init__(self, fails=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(3 * torch.eye(3).reshape(3, 3, 1, 1))
        self.norm, self.drop, self.fails = nn.BatchNorm2d(3), nn.Dropout(0.5), fails
        self.modes = []

    def forward(self, image):
        self.modes.append((self.training, self.norm.training, self.drop.training))
        out = self.norm(self.conv(image))
        if self.fails:
            raise RuntimeError("needs a GPU")
        return out


def test_the_statistics_are_those_of_the_seeds_noise():
    net = Net()
    assert estimate(net, SIZE, 3)
    noise = 3 * norm_statistics.images(SIZE, 3, torch.device("cpu"))
    assert noise.shape == (64, 3, 32, 32)  # one position in the last stage: 64 values
    torch.testing.assert_close(net.norm.running_mean, noise.mean((0, 2, 3)))
    torch.testing.assert_close(net.norm.running_var, noise.var((0, 2, 3)))
    assert net.norm.running_var.mean().item() == pytest.approx(9, rel=0.02)  # 3 squared


@pytest.mark.parametrize(("shape", "count"), [((32, 32), 64), ((64, 64), 16), ((224, 224), 4)])
def test_there_are_as_many_images_as_the_last_stage_needs(shape, count):
    assert norm_statistics.images(shape, 0, torch.device("cpu")).shape == (count, 3, *shape)


@pytest.mark.parametrize("training", [True, False])
def test_only_batch_norms_are_in_training_mode_and_all_is_as_before(training):
    net = Net().train(training)
    estimate(net, SIZE, 0)
    assert net.modes == [(False, True, False)]
    assert {module.training for module in net.modules()} == {training}
    assert net.norm.momentum == 0.1
    assert net.norm.num_batches_tracked.item() == 0
    assert not net.conv.weight.grad


def test_where_the_forward_fails_nothing_has_changed():
    net = Net(fails=True)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert not estimate(net, SIZE, 0)
    after = net.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert net.norm.momentum == 0.1
    assert net.training


def test_a_network_without_batch_norms_is_not_run():
    class Refuses(nn.Module):
        def forward(self, _):
            raise AssertionError

    assert estimate(Refuses(), SIZE, 0)


def test_activations_no_longer_grow_from_block_to_block(monkeypatch):
    monkeypatch.setitem(HOSTS, "resnet101", Host((1, 1, 12, 1)))
    torch.manual_seed(0)
    net = build("resnet101").eval()
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def peak():
        most = []
        hooks = [
            block.register_forward_hook(lambda _, __, out: most.append(out.abs().max().item()))
            for block in net.layer3
        ]
        with torch.no_grad():
            net(image)
        for hook in hooks:
            hook.remove()
        return most

    grown = peak()
    estimate(net, (32, 32), 0)
    normalised = peak()
    assert grown[-1] > 10 * grown[0]
    assert normalised[-1] < 5 * normalised[0]


def test_what_one_process_has_estimated_the_next_one_reads(tmp_path):
    first, second = Net(), Net(fails=True)  # which would tell by failing that it is run
    with kept_in(tmp_path / "net"):
        assert estimate(first, SIZE, 3)
        assert estimate(second, SIZE, 3)
    assert second.modes == []
    assert second.norm.num_batches_tracked.item() == 0
    fresh = Net()
    estimate(fresh, SIZE, 3)
    for net in (first, second):
        torch.testing.assert_close(net.state_dict(), fresh.state_dict())


def test_a_forward_that_fails_leaves_nothing_for_the_next_process(tmp_path):
    with kept_in(tmp_path / "net"):
        assert not estimate(Net(fails=True), SIZE, 0)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("damage", ["no folder", "cut off", "another network", "no tensors"])
def test_where_the_file_does_not_have_them_they_are_estimated(tmp_path, damage):
    file = tmp_path / ("absent/net" if damage == "no folder" else "net")
    if damage != "no folder":
        with kept_in(file):
            estimate(Net() if damage == "cut off" else nn.Sequential(Net()), SIZE, 3)
    if damage == "cut off":
        file.write_bytes(file.read_bytes()[:-100])
    if damage == "no tensors":
        torch.save({"norm.running_mean": 1, "norm.running_var": 2}, file)
    net, fresh = Net(), Net()
    with kept_in(file):
        assert estimate(net, SIZE, 0)
    estimate(fresh, SIZE, 0)
    torch.testing.assert_close(net.state_dict(), fresh.state_dict())
    assert file.is_file() == (damage != "no folder")


def test_a_norm_that_is_in_two_places_has_its_statistics_once(tmp_path):
    nets = [Net(), Net()]
    for net in nets:
        net.again = net.norm
        with kept_in(tmp_path / "net"):
            assert estimate(net, SIZE, 0)
    assert nets[1].modes == []
    torch.testing.assert_close(nets[0].state_dict(), nets[1].state_dict())
