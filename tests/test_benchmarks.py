"""The scripts in benchmarks/: what they answer without measuring."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest
import torch
from helpers.prepared import completed
from helpers.processes import run_script
from helpers.simulated_device import SimulatedDevice

from attnbench.errors import UserError
from attnbench.hosts.placement.insert import Through
from attnbench.measuring.timing import Step
from attnbench.records import store
from attnbench.records.run import Run
from attnbench.records.schema import Block, Case, End, Plan, Round
from attnbench.stats.interval import Interval
from attnbench.system import machine_lock

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"

sys.path.append(str(BENCHMARKS))

import attack_kills  # noqa: E402  found by the line above
import attack_writes  # noqa: E402
import calibration  # noqa: E402
import call_cost  # noqa: E402
import gpu_probe  # noqa: E402
import hours  # noqa: E402
import identity  # noqa: E402
import processes  # noqa: E402
import scatter  # noqa: E402
import speed  # noqa: E402
import time_to_target  # noqa: E402


def test_help_answers_at_once() -> None:
    """Each prints it and does nothing else: not even torch or numpy is imported."""
    scripts = [str(path) for path in sorted(BENCHMARKS.glob("*.py"))]
    code = (
        "import runpy, sys\n"
        "sys.modules['torch'] = sys.modules['numpy'] = None\n"
        f"for script in {scripts!r}:\n"
        "    sys.argv = [script, '--help']\n"
        "    try:\n"
        "        runpy.run_path(script, run_name='__main__')\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0, script\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: ") == len(scripts) > 0


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that calls hours.py; whatever it starts would be an error."""

    def call(*given: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["hours.py", *map(str, given)])
        monkeypatch.setattr(hours.subprocess, "run", pytest.fail)
        try:
            hours.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return call


def test_a_folder_of_runs_is_analysed_and_nothing_is_started(answered, repeated_runs) -> None:
    folder = repeated_runs("runs", [1.1, 1.21, 1.1], ["1", "2", "3"])
    for path in store.runs_in(folder):
        plan, *_ = store.read(path)
        store.append(path, replace(plan, results=End(reason="budget", rounds=6)))
    before = sorted(folder.rglob("*"))
    status, shown = answered(folder)
    assert (status, sorted(folder.rglob("*"))) == (0, before)
    lines = shown.splitlines()
    assert lines[0] == "3 runs of resnet50, inference, batch 2, 32x32, float32, cpu"
    # log(1.21 / 1.1) = 0.0953, of which three runs deviate by 0.0953 / sqrt(3).
    assert lines[3].split() == ["sa", "1.100", "1.210", "5.50%", "0.00%"]
    assert lines[4].split() == ["plain", "50.000", "50.000", "0.00%", "0.00%", "(ms/image)"]
    assert lines[6] == "by rounds alone: 1 of 3 (33%)"
    # The median of 1.1, 1.21 and 1.1 is 1.1, which the steady rounds of the other two hold.
    assert lines[9] == "by rounds and processes: 2 of 3 (67%)"
    status, _ = answered(folder, "--run", 3)  # they are there
    assert status == 0


def test_what_cannot_be_analysed_is_one_line(answered, repeated_runs, grid_of, tmp_path) -> None:
    one = repeated_runs("one", [1.1], ["1"])
    for folder, message in (
        (tmp_path / "none", "there is no folder .*; --run N measures"),
        (one, "holds one run"),
        (grid_of("grid", {1: 1.1, 8: 1.1}), "holds several configurations"),
    ):
        status, shown = answered(folder)
        assert status == 2
        assert re.search(message, shown)
    assert not (tmp_path / "none").exists()


def test_no_failed_write_leaves_anything_half_written() -> None:
    """The short form of attack_writes.py, without whole runs."""
    only = ("compare --save", "summary", "evaluation")
    counts = attack_writes.attack(only=only, errors=attack_writes.ERRORS[:1])
    for name in only:
        assert counts[name]["writes"] == counts[name]["failed once"] > 4, name
    assert attack_writes.failures(counts) == 0


def test_records_that_are_lost_are_seen(tmp_path: Path) -> None:
    """What attack_kills.py counts; no process is started."""
    lane = attack_kills.Lane(tmp_path, attack_kills.Random(0))
    run = attack_kills.KilledRun(lane, tmp_path)
    for content, lost in ((b"one\n", 0), (b"one\ntw", 0), (b"one\ntwo\n", 0), (b"one\ntvo\n", 1)):
        run.records.write_bytes(content)
        run._check()
        assert lane.counts["lost"] == lost
    assert attack_kills.failures(lane.counts) == 1


@pytest.mark.parametrize(("host_us", "device_us"), [(24, 9.0), (10, 60.0)])
def test_the_probe_of_a_gpu_tells_issuing_from_the_devices_work(
    host_us: int, device_us: float
) -> None:
    device = SimulatedDevice()
    step, graph = device.step(100, host_us, device_us), device.step(1, 5, 100 * device_us)
    kernels = 100 * device_us * 1e-6, 100
    row = gpu_probe.probe(step, device, lambda _: kernels, lambda: graph)
    truth = 100 * device_us * 1e-3
    assert row.host == pytest.approx(100 * host_us * 1e-3, rel=1e-6)
    assert row.device == pytest.approx(truth, rel=1e-3)
    assert row.graph == pytest.approx(truth, rel=0.01)
    assert (row.kernels, row.number) == (pytest.approx(truth), 100)
    assert row.latency == pytest.approx(max(truth, row.host), rel=0.02)
    text = gpu_probe.table([("float32, batch 1", "plain", row)], "A GPU")
    heading, _, cells = text.splitlines()[2:]
    assert heading.count("|") == cells.count("|") == len(gpu_probe.HEADINGS) + 1


def test_the_probe_says_what_it_could_not_know() -> None:
    device = SimulatedDevice()
    step = device.step(10, 10, 5)

    def waits() -> None:
        step()
        device.synchronize()

    row = gpu_probe.probe(Step({"it": waits}), device, lambda _: None, None)
    assert row.cells.count("–") == 5  # all but issuing and latency


def test_the_probe_times_networks_that_the_suite_knows() -> None:
    settings = dict(gpu_probe.cases("cuda", [1, 8]))
    assert list(settings) == [
        *("float32, batch 1", "float32, batch 8"),
        *("bfloat16, channels last, batch 1", "bfloat16, channels last, batch 8"),
    ]
    captured = replace(settings["float32, batch 8"], runtime="cuda-graph")
    assert (captured.batch_size, captured.runtime, captured.device) == (8, "cuda-graph", "cuda")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "no CUDA device is available to torch; use --device cpu"),
        (["--device", "cpu"], "--device cpu: only CUDA has all that is compared here"),
    ],
)
def test_without_a_gpu_the_probe_is_one_line(options: list[str], error: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = completed(run_script, str(BENCHMARKS / "gpu_probe.py"), *options)
    assert done.returncode == 1
    assert done.stderr == f"error: {error}\n"


def test_an_identity_that_is_not_timed_as_one_fails_where_the_control_holds(capsys) -> None:
    one, above = Interval(1.001, 0.99, 1.01), Interval(1.02, 1.01, 1.03)
    tried: list[tuple[str, str, int]] = []

    def measured(known: dict[str, list[tuple[Interval, Interval]]]) -> int:
        def measure(host: str, at: str, number: int) -> tuple[Interval, Interval]:
            tried.append((host, at, number))
            return known[host][number - 1]

        tried.clear()
        return identity.examine([*known], measure)

    # By chance one interval in twenty leaves 1: the second measurement decides.
    chance = {"swin_t": [(one, above), (one, one)], "resnet50": [(one, one)]}
    assert measured(chance) == 0
    assert tried == [
        ("swin_t", "features.*.*.mlp", 1),
        ("swin_t", "features.*.*.mlp", 2),
        ("resnet50", "", 1),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("control 1.001 [0.990, 1.010], identity 1.020 [1.010, 1.030]: NOT 1")
    assert lines[-1] == "2 of 2 networks take as long with an identity"
    assert measured({"resnet50": [(one, above), (one, above)]}) == 1
    assert measured({"resnet50": [(above, above), (above, one)]}) == 3
    unknown = Interval(0.9, 0.0, float("inf"))
    assert measured({"resnet50": [(one, unknown), (unknown, one)]}) == 3
    both = {"resnet50": [(above, one), (above, one)], "swin_t": [(one, above), (one, above)]}
    assert measured(both) == 1


@pytest.mark.parametrize(
    ("script", "times", "taken"),
    [
        (scatter, "once", (1.2, 2.0)),
        (speed, "seconds", 0.5),
        (processes, "one_process", (1.2, 0.1)),
    ],
)
def test_what_times_by_itself_keeps_other_measurements_out(
    script, times, taken, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("ATTNBENCH_LOCKS", str(tmp_path))
    values = count(1)

    def timed(*_):
        beside = machine_lock.Turn()
        with pytest.raises(UserError, match="measures"):
            list(machine_lock.begin(beside, "refuse"))
        number = next(values)  # a series without any scatter has none to print
        return (taken[0] * number, taken[1]) if isinstance(taken, tuple) else taken

    monkeypatch.setattr(script, times, timed)
    monkeypatch.setattr(sys, "argv", ["script"])
    script.main()
    assert next(values) > 2
    after = machine_lock.Turn()
    assert list(machine_lock.begin(after, "refuse")) == []
    after.end()


@pytest.fixture
def unfinished(stored, tmp_path: Path) -> Path:
    """A folder with a finished run and one that was killed."""
    for name in ("runs/01", "runs/02"):
        stored(name, sa=1.2)
    folder = tmp_path / "runs"
    plan, *_ = store.read(folder / "01")
    store.append(folder / "01", replace(plan, results=End(reason="budget", rounds=6)))
    return folder


def ended(status: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess((), status)


def test_hours_goes_on_with_a_run_that_was_killed(unfinished: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(
        hours.subprocess, "run", lambda command, **_: asked.append(command[-1]) or ended(0)
    )
    hours.run_missing(unfinished, 4, 0.0)
    assert asked == [str(unfinished / name) for name in ("02", "03", "04")]


def test_hours_says_which_run_has_failed(unfinished: Path, monkeypatch) -> None:
    monkeypatch.setattr(hours.subprocess, "run", lambda *_, **__: ended(1))
    with pytest.raises(SystemExit, match=r"this has failed: .* run --out .*02"):
        hours.run_missing(unfinished, 2, 0.0)


def test_a_coverage_counts_the_intervals_of_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Medians 1.0, 1.1 and 1.2, known to ±0.05: one of three holds 1.1; by ±3% more, one as well.

    What is assumed of other times is 2.447 * 1.3% = 3.2%, in quadrature with 5%: 5.9%.
    """

    class Runs:
        modules = ("sa",)

        def intervals(self, _: str) -> list[Interval]:
            return [Interval(m, m - 0.05, m + 0.05) for m in (1.0, 1.1, 1.2)]

    hours.show_coverage(Runs())  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert "by rounds and processes: 1 of 3 (33%)" in shown
    assert "by these and other times: 1 of 3 (33%)" in shown


def test_time_to_target_reads_when_a_run_was_known(case: Case) -> None:
    variants = ("plain", "control", "sa")
    run = Run(case, Plan(variants=variants, budget_s=9.0, target=0.01), {})
    for number in range(40):
        blocks = tuple(Block(variant=name, steps=1, seconds=1.0) for name in variants)
        run.rounds.append(Round(number=number, process=number // 10, blocks=blocks))
    for definition in time_to_target.DEFINITIONS.values():
        assert time_to_target.reached_s(run, definition) == 90  # 30 rounds of three seconds
    run.rounds[20:] = []
    assert time_to_target.reached_s(run, time_to_target.one_copy) == float("inf")
    assert time_to_target.seconds(float("inf"), 60.0) == ">60"


def test_time_to_target_knows_ratios_and_not_their_logarithms(case: Case) -> None:
    """By every definition a module that takes four times as long has four times the half-width."""
    variants = ("plain", "control", "near", "far")
    run = Run(case, Plan(variants=variants, budget_s=9.0, target=0.01), {})
    for number in range(60):
        off = (0.99, 1.01)[number % 2]
        step_s = {"plain": 1.0, "control": 1.0, "near": off, "far": 4 * off}
        blocks = tuple(Block(variant=n, steps=1, seconds=s) for n, s in step_s.items())
        run.rounds.append(Round(number=number, process=number // 10, blocks=blocks))
    for half_width in time_to_target.DEFINITIONS.values():
        near, far = (half_width(run.rounds, name) for name in ("near", "far"))
        assert 0 < near < 0.02
        assert far == pytest.approx(4 * near)


def test_time_to_target_waits_for_the_control(case: Case) -> None:
    variants = ("plain", "control", "sa")
    run = Run(case, Plan(variants=variants, budget_s=9.0, target=0.01), {})
    for number in range(30):
        # Of 30 values in turn, the control's interval reaches from 0.95 to 1.05.
        step_s = {"plain": 1.0, "control": (0.95, 1.05)[number % 2], "sa": 1.0}
        blocks = tuple(Block(variant=n, steps=1, seconds=s) for n, s in step_s.items())
        run.rounds.append(Round(number=number, blocks=blocks))
    assert time_to_target.one_copy(run.rounds, "sa") == 0
    assert time_to_target.reached_s(run, time_to_target.one_copy) == float("inf")


def test_time_to_target_replays_rounds_without_modules_that_would_have_sat_out(case: Case) -> None:
    variants = ("plain", "control", "sa", "se")
    run = Run(case, Plan(variants=variants, budget_s=9.0, target=1e-6), {})
    for number in range(60):
        # The control is known to ±1% at once; sa is where most of its rounds are alike: of 30 the
        # interval holds all of the first 20, of 60 none of them.
        step_s = dict.fromkeys(variants, 1.0)
        if number < 20:
            step_s["sa"] = (0.9, 1.1)[number % 2]
        blocks = tuple(Block(variant=n, steps=1, seconds=s) for n, s in step_s.items())
        run.rounds.append(Round(number=number, blocks=blocks))
    # From round 30 on se sits out; sa is known at the next of every ten rounds where it is by all.
    known = time_to_target.reached_s(run, time_to_target.both_copies)
    rounds = known / 4
    assert rounds > 30
    assert time_to_target.replayed_s(run) == pytest.approx(30 * 4 + (rounds - 30) * 3, abs=0.5)


def test_time_to_target_prints_the_rules_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule in time_to_target.RULES:
        shutil.copytree(ROOT / "tests" / "data" / "small-run", tmp_path / f"{rule}-1")
    time_to_target.show(tmp_path)
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[1:5]] == [
        "old-1",
        "its",
        "one-process-1",
        "six-processes-1",
    ]
    # A run of few rounds has not reached ±1% by any rule.
    assert "median of one-process by its own definition (*): more than the budgets\n" in shown
    assert "ratios by process (six-processes: 1)" in shown


def test_time_to_target_leaves_out_runs_that_have_not_ended(tmp_path: Path) -> None:
    """In the order of their numbers: ten comes after two."""
    for number in (10, 2, 3):
        shutil.copytree(ROOT / "tests" / "data" / "small-run", tmp_path / f"old-{number}")
    records = tmp_path / "old-3" / "records.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:-1]))
    assert list(time_to_target.runs_of(tmp_path, "old-*")) == ["old-2", "old-10"]


def test_the_runs_of_time_to_target_fit_into_its_minutes() -> None:
    # 1200 s for four runs: 300 s each, of which 30 s and 15 s for each process are none of rounds.
    assert time_to_target.budget(1200.0, 4, 1) == 255
    assert time_to_target.budget(1200.0, 4, 6) == 180
    assert time_to_target.budget(0.0, 1, 6) == time_to_target.LEAST_BUDGET_S


def test_call_cost_is_against_the_mean_of_both_steps_without_a_call() -> None:
    rounds = [
        {"no call": 1.0, "no call again": 1.2, "hook": 1.1 + 20e-6 * number, "forward": 1.1}
        for number in (1, 2, 30)
    ]
    assert call_cost.added_us(rounds, "hook", sites=10) == pytest.approx(4.0)  # 40 µs, ten sites
    assert call_cost.added_us(rounds, "forward", sites=10) == pytest.approx(0.0)


@torch.inference_mode()
def test_call_cost_calls_a_module_in_the_way_that_it_times() -> None:
    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    part, one = torch.nn.ReLU(), torch.ones(1)
    part.forward = through = Through(part, Doubled(), 1)  # type: ignore[assignment,method-assign]
    for way, returned, hooks in (("no call", 1, 0), ("hook", 2, 1), ("forward", 2, 0)):
        with call_cost.called(way, [(part, through)]):
            assert part(one).item() == returned
            assert len(part._forward_hooks) == hooks
        assert part.forward is through
        assert not part._forward_hooks


def test_calibration_replays_the_steps_of_a_run_in_their_order() -> None:
    noise = calibration.noise_of(ROOT / "tests" / "data" / "small-run")
    assert all(len(known) == len(noise[0]) for known in noise)
    rounds = [[10.0 * number, 10.0 * number + 1] for number in range(calibration.STRETCH)]
    steps = calibration.replayed(rounds, Random(0))
    assert [next(steps) for _ in range(16)] == [step for known in rounds for step in known]


def test_calibration_says_how_well_the_control_is_known() -> None:
    seen = calibration.Seen(widths=[(0.001, 0.002), (0.003, 0.01), (0.002, 0.004)])
    assert seen.control_known == "±0.20% ±0.40%"


def test_calibration_says_how_far_the_mean_of_two_copies_leads_away() -> None:
    # Of steps 0, 0 and 3, the slow one is 3 above the mean of the others, in either order; each
    # other one is 1.5 below the mean of 0 and 3, four times in all.
    assert calibration.offset_of_mean([[0.0, 0.0, 3.0]]) == -1.5
