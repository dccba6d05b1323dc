from functools import cache, partial

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch._inductor import config

from attnbench.hosts.conditions import Conditions
from attnbench.runtimes import torch_compile
from attnbench.runtimes.torch_compile import prepare

IMAGE = torch.ones(1)
START = torch_compile.start.__wrapped__
NAMES = [name for name in torch_compile.LIMITS if hasattr(torch._dynamo.config, name)]


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """The compiler is warm: how often it is started is a test of its own."""
    monkeypatch.setattr(torch_compile, "start", lambda _: None)


@pytest.fixture
def limits():
    """Limits that few networks reach, and no compiled code; as before when the test is done."""
    before = {name: getattr(torch._dynamo.config, name) for name in NAMES}
    assert before
    for name, value in before.items():
        setattr(torch._dynamo.config, name, False if isinstance(value, bool) else 8)
    torch._dynamo.reset()
    yield
    for name, value in before.items():
        setattr(torch._dynamo.config, name, value)
    torch._dynamo.reset()


@pytest.mark.usefixtures("limits")
def test_a_network_is_compiled_whole_and_for_its_own_shapes(monkeypatch):
    asked = []
    monkeypatch.setattr(
        torch, "compile", lambda model, **options: asked.append((model, options)) or "compiled"
    )
    model = nn.Identity()
    assert prepare(model, IMAGE).call == "compiled"
    assert asked == [(model, {"fullgraph": True, "dynamic": False})]


def test_the_compiler_is_started_on_the_device_of_the_run_once(monkeypatch):
    started = []

    def compiled(function, **_):
        return lambda tensor: started.append((function, tensor.device.type))

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(torch_compile, "start", cache(START))
    for device in ("meta", "meta", "cpu"):  # meta in the place of a GPU
        prepare(nn.Identity(), torch.ones(1, device=device))
    assert started == [(torch.relu, "meta"), (torch.relu, "cpu")]


@pytest.mark.usefixtures("limits")
def test_the_compilers_limits_are_lifted_before_it_is_asked(monkeypatch):
    found = {}

    def look(model, **_):
        found.update({name: getattr(torch._dynamo.config, name) for name in NAMES})
        return model

    monkeypatch.setattr(torch, "compile", look)
    prepare(nn.Identity(), IMAGE)
    assert found == {name: torch_compile.LIMITS[name] for name in NAMES}


def test_what_is_compiled_is_compiled_anew(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    monkeypatch.setattr(config, "force_disable_caches", False)
    prepare(nn.Identity(), IMAGE)
    assert config.force_disable_caches is True


def test_a_limit_that_this_torch_does_not_have_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch_compile, "LIMITS", {"no_such_limit": 1024})
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    prepare(nn.Identity(), IMAGE)
    assert not hasattr(torch._dynamo.config, "no_such_limit")


class Stack(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(depth))

    def forward(self, image):
        for layer in self.layers:
            image = layer(image)
        return image


@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # on Python 3.13.0
@pytest.mark.usefixtures("limits")
def test_twelve_networks_that_share_their_code_are_all_compiled(monkeypatch):
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    image = torch.ones(1, 2)
    for depth in range(1, 13):
        model = Stack(depth)
        assert torch.equal(prepare(model, image).call(image), model(image))
    assert len(graphs) == 12


@pytest.mark.usefixtures("limits")
def test_a_network_that_cannot_be_compiled_whole_is_refused(monkeypatch):
    class Breaking(nn.Module):
        def forward(self, image):
            torch._dynamo.graph_break()
            return image + 1

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    with pytest.raises(torch._dynamo.exc.Unsupported):
        prepare(Breaking(), IMAGE).call(torch.ones(1))


def test_the_compiler_is_started_once_before_its_first_network(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: asked.append(model) or model)
    monkeypatch.setattr(torch_compile, "start", cache(START))
    networks = [nn.Identity(), nn.Identity()]
    for network in networks:
        prepare(network, IMAGE)
    assert asked == [torch.relu, *networks]


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("conditions", [Conditions(), Conditions(autocast="bfloat16")])
def test_the_control_runs_the_plain_hosts_kernels(monkeypatch, conditions):
    """Compiled once for both: what autotuning chose for the one is what the other runs."""
    compiled, compiler = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", partial(compiler, backend=compiled))
    image = torch.ones(1, 2)
    with torch.no_grad():
        for _ in ("plain", "control"):
            network = conditions.place(Stack(2).eval())
            prepare(network, image).call(image)
        assert compiled.frame_count == 1
        prepare(conditions.place(Stack(3).eval()), image).call(image)  # a module's
    assert compiled.frame_count == 2
