from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.measuring.events import Waiting
from attnbench.measuring.options.check import check
from attnbench.measuring.planning import outline, prepare
from attnbench.measuring.repetitions import paced
from attnbench.records import store
from attnbench.records.case import RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import End, Plan, Record

SMALL = RunOptions(modules=("sa",), image_size=(64,), budget_s=1.0, device="cpu")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Clock:
    """Seconds that pass while something sleeps or works."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def __call__(self) -> float:
        return self.now_s


def started(run: Run, *, ago_s: float) -> Run:
    time = (NOON - timedelta(seconds=ago_s)).isoformat()
    run.add(
        Record(case=run.case, results=End(reason="failed", rounds=0), environment={"time": time})
    )
    return run


def test_repetitions_go_through_the_grid_before_they_begin_again(tmp_path: Path) -> None:
    wanted = replace(SMALL, batch_size=(1, 2), repeat=2)
    prepared, folder, _ = prepare(wanted, tmp_path / "runs")
    assert [place.name for _, place in prepared] == [
        "inference-float32-b1-64-run1",
        "inference-float32-b2-64-run1",
        "inference-float32-b1-64-run2",
        "inference-float32-b2-64-run2",
    ]
    again, _, _ = prepare(RunOptions(), folder)
    assert [place for _, place in again] == [place for _, place in prepared]
    with pytest.raises(UserError, match="repeat is 2 there and 3 here"):
        prepare(replace(wanted, repeat=3), folder)
    assert not check(wanted, folder)
    for run, place in prepared:
        end = End(reason="budget", rounds=0)
        store.append(place, Record(case=run.case, results=end, environment=run.environment))
    assert check(wanted, folder)
    with pytest.raises(UserError, match="repeat is 2 there and 1 here"):
        check(replace(wanted, repeat=1), folder)


def test_the_tenth_repetition_comes_after_the_second(tmp_path: Path) -> None:
    prepared, folder, _ = prepare(replace(SMALL, repeat=10), tmp_path / "runs")
    again, _, _ = prepare(RunOptions(), folder)
    assert [place.name for _, place in again] == [
        f"inference-float32-b1-64-run{number}" for number in range(1, 11)
    ]
    assert len(prepared) == 10


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"repeat": 0}, "repeat must be at least 1 and at most 1000, not 0"),
        ({"repeat": 2, "every_minutes": -1.0}, "every must be a number of minutes, at least 0"),
        ({"repeat": 2, "every_minutes": float("nan")}, "every must be a number of minutes"),
        ({"every_minutes": 5.0}, "say how many with --repeat N"),
    ],
)
def test_repetitions_that_cannot_be_are_refused(
    tmp_path: Path, stated: dict[str, float], message: str
) -> None:
    for refuse in (check, prepare):
        with pytest.raises(UserError, match=message):
            refuse(replace(SMALL, **stated), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_each_repetition_waits_until_it_is_due(case) -> None:
    plan = Plan(variants=("plain", "control"), budget_s=1.0, target=0.01)
    other = replace(case, batch_size=8)
    runs = [Run(each, plan, {}) for each in (case, other, case, other, case, other)]
    clock, seen, waits = Clock(), [], []
    due = paced(runs, 60.0, lambda _, event: waits.append(event), clock=clock, sleep=clock.sleep)
    for _, work_s in zip(due, (10.0, 20.0, 40.0, 50.0, 5.0, 5.0), strict=True):
        seen.append(clock.now_s)
        clock.sleep(work_s)
    # 30 s of work and 30 s of waiting; 90 s of work, which is late, and no waiting.
    assert seen == [1000.0, 1010.0, 1060.0, 1100.0, 1150.0, 1155.0]
    assert waits == [Waiting(float(left)) for left in range(30, 0, -1)]


def test_an_interrupted_run_waits_for_what_is_left(case) -> None:
    plan = Plan(variants=("plain", "control"), budget_s=1.0, target=0.01)
    runs = [started(Run(case, plan, {}), ago_s=45.0), Run(case, plan, {}), Run(case, plan, {})]
    runs[0].end = End(reason="budget", rounds=0)
    clock, seen = Clock(), []
    due = paced(runs, 60.0, lambda *_: None, clock=clock, sleep=clock.sleep, now=lambda: NOON)
    for run in due:
        seen.append((runs.index(run), clock.now_s))
        assert run is not runs[0]
    assert [at for _, at in seen] == [1015.0, 1075.0]


def test_an_outline_writes_nothing(tmp_path: Path) -> None:
    known = outline(replace(SMALL, modules=("sa", "timm:nope"), repeat=3), tmp_path / "runs")
    assert [run.plan.variants for run in known.runs] == [("plain", "control", "sa")] * 3
    assert "nope" in known.left_out["timm:nope"]
    assert (known.resumed, list(tmp_path.iterdir())) == (False, [])
