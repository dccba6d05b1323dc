import gc
from contextlib import contextmanager
from weakref import WeakSet, ref

import pytest
import torch

from attnbench.measuring.timing import Step
from attnbench.runtimes import cuda_graph
from attnbench.runtimes.cuda_graph import capture


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

        def pool(self):
            return self.captured_into

    @contextmanager
    def graph(made, pool):
        entries.append(f"capture into {pool}")
        made.captured_into = pool
        current.append(Stream("capture"))
        yield  # as torch's, it leaves its stream where what it holds raises
        current.pop()
        entries.append("captured")

    def set_stream(chosen):
        current[:] = [chosen]

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current[-1])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "set_stream", set_stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", pools.__next__)
    monkeypatch.setattr(cuda_graph, "_living", WeakSet())
    return entries


def noted(log, *parts):
    def part(name):
        def run():
            log.append(f"{name} on {torch.cuda.current_stream().name}")
            return f"answer of {name}"

        return run

    return Step({name: part(name) for name in parts})


def test_a_step_is_captured_after_it_has_run_on_a_stream_of_its_own(log):
    capture(noted(log, "forward"))
    assert cuda_graph.CAPTURE_AFTER == 3
    assert log == [
        "side waits for main",
        *["forward on side"] * 3,
        "main waits for side",
        "capture into pool 1",
        "forward on capture",
        "captured",
    ]


def test_a_captured_step_is_replayed_and_never_runs_again(log):
    step = capture(noted(log, "forward"))
    log.clear()
    assert [step(), step()] == ["answer of forward"] * 2
    assert log == ["replay", "replay"]


def test_a_step_of_several_parts_is_captured_whole(log):
    step = capture(noted(log, "forward", "backward", "optimizer"))
    begin, end = log.index("capture into pool 1"), log.index("captured")
    parts = ["forward on capture", "backward on capture", "optimizer on capture"]
    assert log[begin + 1 : end] == parts
    assert step() == "answer of optimizer"


def test_all_captures_share_one_pool_of_memory(log):
    first, second = (capture(noted(log, name)) for name in ("one", "two"))
    assert [entry for entry in log if entry.startswith("capture into")] == [
        "capture into pool 1"
    ] * 2
    assert [first(), second()] == ["answer of one", "answer of two"]


def test_a_pool_is_not_asked_for_again_when_its_graphs_are_gone(log):
    """On an H100: "use_count > 0 INTERNAL ASSERT FAILED" in torch's allocator."""
    capture(noted(log, "one"))
    gc.collect()
    capture(noted(log, "two"))
    assert [entry for entry in log if "pool" in entry] == [
        "capture into pool 1",
        "capture into pool 2",
    ]


def test_a_captured_step_keeps_what_its_graph_reads(log):
    """On an H100: an illegal access where the input of a copy had been released."""

    class Input:
        pass

    def reads(image):
        log.append(f"reads {type(image).__name__}")

    image = Input()
    lives = ref(image)
    replay = capture(Step({"forward": lambda image=image: reads(image)}))
    del image
    gc.collect()
    assert lives() is not None
    del replay
    gc.collect()
    assert lives() is None


def test_a_capture_that_breaks_takes_its_pool_along(log):
    calls = iter(range(1, 100))

    def breaks_within_its_capture():
        if next(calls) == cuda_graph.CAPTURE_AFTER + 1:
            raise RuntimeError("operation not permitted when stream is capturing")

    step = Step({"step": breaks_within_its_capture})
    with pytest.raises(RuntimeError, match="not permitted"):
        capture(step)
    assert torch.cuda.current_stream().name == "main"
    capture(step)
    assert [entry for entry in log if "pool" in entry] == [
        "capture into pool 1",
        "capture into pool 2",
    ]
