import pytest
import torch

from attnbench.hosts.build import build
from attnbench.hosts.values import initial
from attnbench.hosts.values.initial import drawn_once

SEED = 3

HOSTS = ("resnet18", "mobilenet_v3_small", "ssdlite320_mobilenet_v3_large")


def built(host, attention=None):
    torch.manual_seed(SEED)
    return build(host, attention), torch.get_rng_state()


@pytest.mark.parametrize(
    "host", ["resnet18", "mobilenet_v3_small", "ssdlite320_mobilenet_v3_large"]
)
def test_a_copy_is_what_would_have_been_drawn_and_so_is_what_is_drawn_after_it(host):
    plain, sge = built(host), built(host, "sge,groups=8")
    drawn = {}
    with drawn_once(drawn):
        in_turn = [built(host), built(host), built(host, "sge,groups=8")]
    assert len(drawn) == 1
    for (network, state), (expected, after) in zip(in_turn, (plain, plain, sge), strict=True):
        assert type(network) is type(expected)
        assert network.training
        assert torch.equal(state, after)
        found, wanted = network.state_dict(), expected.state_dict()
        assert list(found) == list(wanted)
        assert all(torch.equal(value, wanted[name]) for name, value in found.items())


def test_copies_share_no_memory_with_each_other_or_with_what_is_kept():
    drawn = {}
    with drawn_once(drawn):
        networks = [built("resnet18")[0] for _ in range(3)]
    kept = [network for network, _ in drawn.values()]
    addresses = {network.fc.weight.data_ptr() for network in (*networks, *kept)}
    assert len(addresses) == 4


def test_another_seed_device_or_number_of_classes_is_drawn_anew():
    drawn = {}
    with drawn_once(drawn):
        first, _ = built("resnet18")
        second = build("resnet18")  # from where the first has left the generator
        with torch.device("meta"):
            torch.manual_seed(SEED)
            shapes = build("resnet18")
        torch.manual_seed(SEED)
        ten = build("resnet18", classes=10)
    assert len(drawn) == 4
    assert not torch.equal(first.fc.weight, second.fc.weight)
    assert shapes.fc.weight.is_meta
    assert ten.fc.out_features == 10


def test_nothing_is_kept_unless_asked_for():
    drawn = {}
    with drawn_once(drawn):
        pass
    built("resnet18")
    assert drawn == {}


def test_the_code_of_a_users_host_runs_each_time(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "calls = []\n"
        "def net():\n"
        "    calls.append(1)\n"
        "    return torch.nn.Conv2d(3, len(calls), 1)\n"
    )
    drawn = {}
    with drawn_once(drawn):
        widths = [build(f"{file}:net").out_channels for _ in range(2)]
    assert widths[1] == widths[0] + 1
    assert drawn == {}


def test_what_cannot_be_drawn_is_not_kept():
    def fail():
        raise RuntimeError("no memory")

    drawn = {}
    with drawn_once(drawn), pytest.raises(RuntimeError, match="no memory"):
        initial.of("host", fail)
    assert drawn == {}
