import pytest
import torch

from attnbench.hosts.build import build
from attnbench.hosts.values.initial import drawn_once, drawn_or_copied

SEED = 3

RETINA = "retinanet_resnet50_fpn"

HOSTS = ("resnet18", "mobilenet_v3_small", "ssdlite320_mobilenet_v3_large", RETINA)

MODULES = (None, "sge,groups=8")


def built(host, attention=None):
    torch.manual_seed(SEED)
    return build(host, attention), torch.get_rng_state()


def values(network):
    """Its parameters and all its buffers, those too that are in no file."""
    return dict([*network.named_parameters(), *network.named_buffers()])


@pytest.mark.parametrize("first", MODULES)
@pytest.mark.parametrize("host", HOSTS)
def test_a_copy_is_what_would_have_been_drawn_and_so_is_what_is_drawn_after_it(host, first):
    order = (first, *MODULES)
    apart = [built(host, attention) for attention in order]
    drawn = {}
    with drawn_once(drawn):
        together = [built(host, attention) for attention in order]
    assert len(drawn) == 1
    for (network, state), (expected, after) in zip(together, apart, strict=True):
        assert type(network) is type(expected)
        assert network.training
        assert torch.equal(state, after)
        found, wanted = values(network), values(expected)
        assert list(found) == list(wanted)
        for name, value in found.items():
            assert torch.equal(value, wanted[name])
            assert value.requires_grad == wanted[name].requires_grad


def test_copies_share_no_memory_with_each_other_or_with_what_is_kept():
    drawn = {}
    with drawn_once(drawn):
        networks = [built("resnet18")[0] for _ in range(3)]
    networks += [network for network, _ in drawn.values()]
    assert len(networks) == 4
    for name in values(networks[0]):
        assert len({values(network)[name].data_ptr() for network in networks}) == 4


def test_another_seed_dtype_device_or_number_of_classes_is_drawn_anew():
    def of(**options):
        torch.manual_seed(SEED)
        return build("resnet18", **options)

    drawn = {}
    with drawn_once(drawn):
        first = of()
        second = build("resnet18")  # from where the first has left the generator
        ten = of(classes=10)
        with torch.device("meta"):
            shapes = of()
        torch.set_default_dtype(torch.float64)
        try:
            double = of()
        finally:
            torch.set_default_dtype(torch.float32)
    assert len(drawn) == 1  # one host is kept
    assert not torch.equal(first.fc.weight, second.fc.weight)
    assert ten.fc.out_features == 10
    assert shapes.fc.weight.is_meta
    assert double.fc.weight.dtype == torch.float64


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
        drawn_or_copied("host", fail)
    assert drawn == {}
