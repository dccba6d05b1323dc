"""What only a CUDA device can show: ``pytest -m cuda``."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
import torch
from helpers import colours, small_training
from torch.utils._python_dispatch import TorchDispatchMode

from attnbench.cli.app import main
from attnbench.devices import device_time
from attnbench.devices.table import kind_of
from attnbench.measuring import memory, timing, workload
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.memory import peak_live_bytes
from attnbench.measuring.selftest import selftest
from attnbench.measuring.workload import step
from attnbench.modules import ATTENTION
from attnbench.records import evaluation, store
from attnbench.records.run import Run
from attnbench.records.run import read as read_run
from attnbench.records.schema import Case, End, Memory, Plan, Record, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import between_runtimes
from attnbench.stats.quantities.device_time import device_rounds
from attnbench.system import environment, process_settings

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.usefixtures("spawned"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.fixture
def on_cuda(case: Case) -> Case:
    return replace(case, device="cuda", image_size=64)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def rounds_in(folder: Path) -> list[Record]:
    return [record for record in store.read(folder) if isinstance(record.results, Round)]


def test_events_time_the_devices_work_and_not_the_call() -> None:
    matrix = torch.ones(8192, 8192, device="cuda")
    clock = timing.CudaClock()
    timing.timed(lambda: matrix @ matrix, 4, clock)  # sets the library up
    start = clock.mark()
    begun = perf_counter()
    for _ in range(16):
        matrix @ matrix
    issued_s = perf_counter() - begun
    took_s = clock.seconds(start, clock.mark())
    assert took_s > 5 * issued_s  # the call is long over when the work is
    one = timing.timed(lambda: matrix @ matrix, 1, clock)
    assert took_s / one == pytest.approx(16, rel=0.3)


def test_a_steps_peak_is_above_what_was_allocated_before(on_cuda: Case) -> None:
    taken = memory.on_device(step(on_cuda, PLAIN), 0, kind_of("cuda"))
    assert taken.peak_allocated_bytes > taken.allocated_bytes > 102_228_128  # the weights
    assert taken.peak_reserved_bytes >= taken.peak_allocated_bytes


class Requested(TorchDispatchMode):
    """The most bytes that tensors had asked the allocator for at the end of an operator.

    As asked for, before the allocator rounds; at the end, when what cuDNN takes within an
    operator has been given back: what the deterministic figure speaks of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self.now()

    @staticmethod
    def now() -> int:
        return torch.cuda.memory_stats()["requested_bytes.all.current"]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.peak = max(self.peak, self.now())
        return out


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("variant", [PLAIN, *ATTENTION])
def test_the_deterministic_peak_and_the_allocators_agree(
    on_cuda: Case, variant: str, mode: str
) -> None:
    case = replace(on_cuda, mode=mode)
    ready = step(case, variant)
    for _ in range(2):
        ready()
    torch.cuda.synchronize()
    seen = Requested()
    before = seen.peak
    with seen:
        ready()
    live = peak_live_bytes(step(case, variant, "meta"))
    # The allocator's rounding is 512 bytes a tensor, of which an inference holds few at once. In
    # training cuDNN's batch norm keeps a little of its own from forward to backward.
    allowed = {"abs": 64 * 512} if mode == "inference" else {"rel": 0.01}
    assert seen.peak - before == pytest.approx(live, **allowed)


def test_a_captured_step_computes_what_the_step_does(on_cuda: Case) -> None:
    process_settings.settle(on_cuda)
    eager, captured = (
        step(replace(on_cuda, runtime=runtime), "sa") for runtime in ("eager", "cuda-graph")
    )
    answer = captured()
    torch.cuda.synchronize()
    torch.testing.assert_close(answer, eager())
    assert list(captured.parts) == ["step"]


def test_a_whole_training_step_can_be_captured(on_cuda: Case) -> None:
    case = replace(on_cuda, mode="training")
    eager, captured = step(case, "sa"), step(replace(case, runtime="cuda-graph"), "sa")
    for _ in range(4):  # the running statistics move, the weights do not
        loss = captured()
    torch.cuda.synchronize()
    torch.testing.assert_close(loss, eager())


def test_the_parts_of_a_training_step_add_up(on_cuda: Case) -> None:
    clock = timing.CudaClock()
    ready = step(replace(on_cuda, mode="training"), "sa")
    blocks = timing.warm_up(ready, clock)
    (block,) = next(iter(timing.Rounds({"sa": ready}, {"sa": blocks}, clock, 0))).blocks
    assert sum(block.parts.values()) == pytest.approx(block.seconds, rel=0.01)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_a_blocks_device_time_is_taken_and_is_no_longer_than_its_latency(
    on_cuda: Case, batch_size: int
) -> None:
    case = replace(on_cuda, batch_size=batch_size)
    clock, ready = timing.CudaClock(), step(case, "se")
    steps = timing.warm_up(ready, clock)
    ahead = device_time.calibrate(ready, clock, 300, steps)
    rounds = timing.Rounds({"se": ready}, {"se": steps}, clock, 0, ahead={"se": ahead})
    blocks = [block for timed in islice(rounds, 5) for block in timed.blocks]
    assert all(block.device for block in blocks)
    assert all(block.issued_s and block.issued_s > 0 for block in blocks)
    own = [block.device.seconds / block.device.steps for block in blocks if block.device]
    latency_s = [block.seconds / block.steps for block in blocks]
    assert median(own) <= 1.05 * median(latency_s)


FAULTS = """
import torch
from torch import Tensor, nn


class Faults(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda and x.shape[0] == 4:  # of the run alone: an assertion on the device
            x.flatten()[torch.full((1,), 2**40, device=x.device)].sum()
        return x * self.scale
"""


def test_a_kernel_that_fails_ends_its_variant_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FAULTS)
    small = ["--modules", "se", "--image-size", "64", "--budget", "0.5", "--device", "cuda"]
    custom = ["--module", f"{tmp_path}/mine.py:Faults", "--batch-size", "4"]
    assert call(*small, *custom, "--out", str(tmp_path / "run")) == 1
    records = store.read(tmp_path / "run")
    failed = {(record.variant, record.error.step) for record in records if record.error}
    assert {str(variant).rpartition(":")[2] for variant, _ in failed} == {"Faults"}
    (last, *_) = reversed(rounds_in(tmp_path / "run"))
    assert isinstance(last.results, Round)
    assert {block.variant for block in last.results.blocks} == {PLAIN, CONTROL, "se"}


def test_a_variant_that_does_not_fit_is_a_record_and_the_others_go_on(
    on_cuda: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = workload.step

    def greedy(case: Case, variant: str, **_: bool) -> timing.Step:
        ready = build(case, variant)
        if variant != "sa":
            return ready
        return timing.Step({"forward": lambda: torch.empty(2**50, device="cuda")})

    monkeypatch.setattr(workload, "step", greedy)
    plan = Plan(variants=(PLAIN, CONTROL, "se", "sa"), budget_s=0.2, target=0.005)
    run = Run(on_cuda, plan, {})
    for event in latency.measure(run):
        if isinstance(event, Record):
            run.add(event)
    assert run.failures["sa"]["latency"].type == "OutOfMemoryError"
    assert {block.variant for block in run.rounds[0].blocks} == {PLAIN, CONTROL, "se"}


def test_the_facts_of_the_device_come_from_a_process_of_their_own() -> None:
    facts = environment.describe_apart("cuda")
    assert facts["gpu"]
    assert facts["gpu_uuid"]
    assert facts["cudnn_benchmark"] is False


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--dtype", "bfloat16", "--channels-last"],
        ["--mode", "training", "--batch-size", "2"],
        ["--cuda-graph"],
        ["--dtype", "amp"],
        ["--dtype", "amp", "--mode", "training", "--cuda-graph"],
        ["--dtype", "amp-float16", "--compile"],
        ["--cudnn-benchmark"],
        ["--compile"],
        ["--compile", "--cuda-graph"],
    ],
    ids=" ".join,
)
def test_the_main_job_small_on_the_device(tmp_path: Path, options: list[str]) -> None:
    small = ["--modules", "se", "--image-size", "64", "--budget", "0.5", "--device", "cuda"]
    assert call(*small, *options, "--out", str(tmp_path / "run")) == 0
    records = store.read(tmp_path / "run")
    assert all(record.environment["gpu"] for record in records)
    assert not [record.error for record in records if record.error]
    peaks = [record.results for record in records if isinstance(record.results, Memory)]
    assert all(peak.peak_allocated_bytes and peak.peak_reserved_bytes for peak in peaks)
    assert rounds_in(tmp_path / "run")


def test_eager_and_captured_steps_share_their_rounds(tmp_path: Path) -> None:
    small = ["--modules", "se", "--image-size", "64", "--budget", "2", "--device", "cuda"]
    assert call(*small, "--cuda-graph", "--eager", "--out", str(tmp_path / "run")) == 0
    eager, graph = (read_run(folder) for folder in sorted(store.runs_in(tmp_path / "run")))
    assert (eager.case.runtime, graph.case.runtime) == ("eager", "cuda-graph")
    assert not eager.failures
    assert not graph.failures
    shared = between_runtimes.paired(eager.rounds, graph.rounds)
    assert len(shared) >= 6
    between = between_runtimes.ratio(eager.rounds, graph.rounds)
    assert between is not None
    assert between.high < 1  # at this size eager PyTorch waits for Python
    own = between_runtimes.ratio(device_rounds(eager.rounds), device_rounds(graph.rounds))
    assert own is not None
    assert own.median == pytest.approx(1.0, rel=0.2)


def test_training_with_a_gradient_scaler_has_latency_and_says_why_no_device_time(
    tmp_path: Path,
) -> None:
    small = ["--modules", "se", "--image-size", "64", "--budget", "0.5", "--device", "cuda"]
    options = ["--dtype", "amp-float16", "--mode", "training", "--batch-size", "2"]
    call(*small, *options, "--out", str(tmp_path / "run"))
    records = store.read(tmp_path / "run")
    assert {record.error.step for record in records if record.error} <= {"device time"}
    assert rounds_in(tmp_path / "run")


@pytest.mark.parametrize("captured", [[], ["--cuda-graph"]], ids=["eager", "captured"])
def test_modules_alone_on_the_device(tmp_path: Path, captured: list[str]) -> None:
    small = ["--modules", "sa", "--isolated", "--budget", "0.5", "--device", "cuda", *captured]
    assert call(*small, "--out", str(tmp_path / "run")) == 0
    end = store.read(tmp_path / "run")[-1].results
    assert isinstance(end, End)
    assert end.reason in {"target", "budget"}


def test_the_ruler_holds_on_the_device() -> None:
    findings = selftest.Findings()
    list(selftest.run(1, 3, "cuda", findings))  # one simulated: of none there is no median
    (row,) = [cells for cells in findings.rows if cells[0].startswith("this machine")]
    assert row[1] == "3"
    assert row[4] == "3"  # 5% is found each time


@pytest.mark.usefixtures("small_host")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_are_evaluated_with_the_known_answers(tmp_path: Path, dtype: str) -> None:
    weights, data = colours.weights(tmp_path / "colours.pth"), colours.folder(tmp_path / "images")
    options = ["--weights", str(weights), "--data", str(data), "--image-size", colours.SIZE]
    assert call("evaluate", *options, "--dtype", dtype, "--out", str(tmp_path / "new")) == 0
    (found,) = evaluation.read(tmp_path / "new")
    assert (found.device, found.dtype) == ("cuda", dtype)
    assert (found.top1_right, found.top5_right) == (4, 7)
    assert found.environment["gpu"]


@pytest.mark.parametrize("amp", ["float32", "bfloat16", "float16"])
def test_training_on_the_device_ends_resumes_and_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amp: str
) -> None:
    small_training.use(monkeypatch)
    known = {"device": "cuda", "amp": amp, "channels_last": True, "workers": 2}
    with pytest.raises(KeyboardInterrupt):
        small_training.train(tmp_path, small_training.Log(stop_after=5), **known)
    trainings = small_training.train(tmp_path, **known)
    assert not trainings.faults
    assert trainings.figure("plain", 0) > 0.5
    assert trainings.training.environment["gpu"]
