from contextlib import contextmanager
from functools import cache, partial

import pytest
import torch
from torch import nn

from attnbench.measuring import workload
from attnbench.measuring.timing import Step

START = workload._start_compiler.__wrapped__
NAMES = [name for name in workload.LIMITS if hasattr(torch._dynamo.config, name)]


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """The compiler is warm: how often it is started is a test of its own."""
    monkeypatch.setattr(workload, "_start_compiler", lambda: None)


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
    assert workload.compiled(model) == "compiled"
    assert asked == [(model, {"fullgraph": True, "dynamic": False})]


@pytest.mark.usefixtures("limits")
def test_the_compilers_limits_are_lifted_before_it_is_asked(monkeypatch):
    found = {}

    def look(model, **_):
        found.update({name: getattr(torch._dynamo.config, name) for name in NAMES})
        return model

    monkeypatch.setattr(torch, "compile", look)
    workload.compiled(nn.Identity())
    assert found == {name: workload.LIMITS[name] for name in NAMES}


def test_a_limit_that_this_torch_does_not_have_is_left_alone(monkeypatch):
    monkeypatch.setattr(workload, "LIMITS", {"no_such_limit": 1024})
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    workload.compiled(nn.Identity())
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
        assert torch.equal(workload.compiled(model)(image), model(image))
    assert len(graphs) == 12


@pytest.mark.usefixtures("limits")
def test_a_network_that_cannot_be_compiled_whole_is_refused(monkeypatch):
    class Breaking(nn.Module):
        def forward(self, image):
            torch._dynamo.graph_break()
            return image + 1

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    with pytest.raises(torch._dynamo.exc.Unsupported):
        workload.compiled(Breaking())(torch.ones(1))


@pytest.fixture
def log(monkeypatch):
    """A device without a device: what happens on it, in its order."""
    entries = []

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            entries.append(f"{self.name} waits for {other.name}")

    current = [Stream("main")]
    pools = iter(["pool 1", "pool 2"])

    @contextmanager
    def stream(chosen):
        current.append(chosen)
        yield
        current.pop()

    class Graph:
        def replay(self):
            entries.append("replay")

    @contextmanager
    def graph(_, pool):
        entries.append(f"capture into {pool}")
        current.append(Stream("capture"))
        yield
        current.pop()
        entries.append("captured")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current[-1])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", pools.__next__)
    monkeypatch.setattr(workload, "_pool", cache(torch.cuda.graph_pool_handle))
    return entries


def noted(log, *parts):
    def part(name):
        def run():
            log.append(f"{name} on {torch.cuda.current_stream().name}")
            return f"answer of {name}"

        return run

    return Step({name: part(name) for name in parts})


def test_a_step_is_captured_after_it_has_run_on_a_stream_of_its_own(log):
    workload.captured(noted(log, "forward"))
    assert workload.CAPTURE_AFTER == 3
    assert log == [
        "side waits for main",
        *["forward on side"] * 3,
        "main waits for side",
        "capture into pool 1",
        "forward on capture",
        "captured",
    ]


def test_a_captured_step_is_replayed_and_never_runs_again(log):
    step = workload.captured(noted(log, "forward"))
    log.clear()
    assert [step(), step()] == ["answer of forward"] * 2
    assert log == ["replay", "replay"]


def test_a_step_of_several_parts_is_captured_whole(log):
    step = workload.captured(noted(log, "forward", "backward", "optimizer"))
    begin, end = log.index("capture into pool 1"), log.index("captured")
    parts = ["forward on capture", "backward on capture", "optimizer on capture"]
    assert log[begin + 1 : end] == parts
    assert list(step.parts) == ["step"]
    assert step() == "answer of optimizer"


def test_all_captures_share_one_pool_of_memory(log):
    first, second = (workload.captured(noted(log, name)) for name in ("one", "two"))
    assert [entry for entry in log if entry.startswith("capture into")] == [
        "capture into pool 1"
    ] * 2
    assert [first(), second()] == ["answer of one", "answer of two"]


def test_the_compiler_is_started_once_before_its_first_network(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: asked.append(model) or model)
    monkeypatch.setattr(workload, "_start_compiler", cache(START))
    networks = [nn.Identity(), nn.Identity()]
    for network in networks:
        workload.compiled(network)
    assert asked == [torch.relu, *networks]


def test_a_capture_that_breaks_takes_its_pool_along(log):
    calls = iter(range(1, 100))

    def breaks_within_its_capture():
        if next(calls) == workload.CAPTURE_AFTER + 1:
            raise RuntimeError("operation not permitted when stream is capturing")

    step = Step({"step": breaks_within_its_capture})
    with pytest.raises(RuntimeError, match="not permitted"):
        workload.captured(step)
    workload.captured(step)
    assert [entry for entry in log if "pool" in entry] == [
        "capture into pool 1",
        "capture into pool 2",
    ]
