import pytest

from attnbench.errors import UserError
from attnbench.measuring import runner
from attnbench.measuring.events import BESIDE, Beginning, Waiting
from attnbench.measuring.repetitions import Turns
from attnbench.measuring.runner import _BesideThePlan
from attnbench.records.case import RunOptions
from attnbench.records.run import Run
from attnbench.records.schema import Block, Counts, Plan, Record, Round
from attnbench.system.machine_lock import Turn


@pytest.fixture
def run(case):
    return Run(case, Plan(variants=("plain", "control"), budget_s=1.0, target=0.01), {})


@pytest.fixture
def other():
    """Another measurement on this machine."""
    turn = Turn()
    assert turn.take() is None
    yield turn
    turn.end()


def test_a_run_waits_for_the_other_and_keeps_others_out_until_the_next(run, other):
    waits = []

    def notify(_, event):
        waits.append(event)
        if len(waits) == 2:
            other.end()

    series = Turns("wait", notify, sleep=lambda _: None).each([run, run])
    assert next(series) is run
    assert len(waits) == 2
    assert all(isinstance(event, Waiting) and "process" in event.holder for event in waits)
    assert other.take() is not None
    next(series)
    assert next(series, None) is None
    assert other.take() is None


def test_what_must_not_wait_is_refused_before_it_measures(run, other):  # noqa: ARG001
    with pytest.raises(UserError, match="measures on this machine"):
        next(Turns("refuse", lambda *_: None).each([run]))


def test_an_error_while_it_measures_ends_its_turn(run):
    series = Turns("wait", lambda *_: None).each([run])
    next(series)
    with pytest.raises(KeyboardInterrupt):
        series.throw(KeyboardInterrupt)
    turn = Turn()
    assert turn.take() is None
    turn.end()


def test_rounds_beside_another_measurement_are_marked(run, other):
    turns = Turns("share", lambda *_: None)
    series = turns.each([run])
    next(series)
    blocks = (Block(variant="plain", steps=1, seconds=1.0),)
    rounds = [Round(number=number, blocks=blocks) for number in range(3)]
    records = [Record(case=run.case, results=timed, environment={}) for timed in rounds]
    counts = Record(
        case=run.case, variant="plain", results=Counts(rules={}), environment={"time": "12:00"}
    )
    events = turns.marked(iter([Beginning("round", None), counts, *records]))
    assert (next(events), next(events)) == (Beginning("round", None), counts)
    said = next(events)  # before the first such round, once
    assert said == Beginning(BESIDE, None, said.why)
    assert said.why.startswith("process ")
    assert said.why.endswith(", which measures on this machine")
    assert next(events).results.shared
    assert next(events).results.shared
    other.end()
    assert not next(events).results.shared
    assert next(events, None) is None
    series.close()


def test_a_refusal_comes_before_anything_is_planned_and_leaves_no_folder(other, tmp_path):
    assert other.devices == ()
    options = RunOptions(modules=("sa",), device="cpu", if_busy="refuse")
    with pytest.raises(UserError, match="measures on this machine"):
        runner.run(options, tmp_path / "reports" / "mine")
    assert not (tmp_path / "reports").exists()
    other.end()
    assert other.take() is None  # the refused one holds no lock


def test_the_first_run_measures_in_the_turn_that_was_taken_before_it_was_planned(run):
    turns = Turns("refuse", lambda *_: None)
    turns.require_free(lambda: ())
    assert Turn().take() is not None
    series = turns.each([run])
    assert next(series) is run
    assert next(series, None) is None
    turn = Turn()
    assert turn.take() is None
    turn.end()


def test_a_folder_that_is_resumed_is_refused_at_its_first_run(other):
    assert other.devices == ()
    Turns("refuse", lambda *_: None).require_free(lambda: None)


def test_a_training_on_a_gpu_is_flagged_in_a_run_on_the_cpu_that_does_not_wait(run):
    training = Turn(("GPU-0a1b",), "trains")
    assert training.take() is None
    training.leave_cores()
    waits = []
    turns = Turns("wait", lambda _, event: waits.append(event))
    series = turns.each([run])
    next(series)
    assert not waits
    round_ = Round(number=0, blocks=(Block(variant="plain", steps=1, seconds=1.0),))
    known = Record(case=run.case, results=round_, environment={})
    said, marked = turns.marked_together(iter([(0, known)]))
    assert said[1].why.endswith(", which trains on this machine")
    assert marked[1].results.shared
    training.end()
    assert [*turns.marked(iter([known]))] == [known]
    series.close()


@pytest.mark.parametrize("if_busy", ["wait", "share"])
def test_what_may_wait_or_share_plans_first(other, if_busy):
    assert other.devices == ()
    Turns(if_busy, lambda *_: None).require_free(lambda: ())


def test_a_run_is_held_back_no_longer_than_its_rounds_take_unless_it_is_stated() -> None:
    short, long = (Plan(variants=("plain", "control"), budget_s=s, target=0.1) for s in (5.0, 90.0))
    unstated = _BesideThePlan(profiling=False, wait_for_quiet_s=None)
    assert (unstated.wait_s(short), unstated.wait_s(long)) == (5.0, 60.0)
    for stated in (0.0, 300.0):
        beside = _BesideThePlan(profiling=False, wait_for_quiet_s=stated)
        assert (beside.wait_s(short), beside.wait_s(long)) == (stated, stated)
