"""For whom a training waits, and who waits for it. One process stands for several."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import small_training
from helpers.small_training import Log, train

from attnbench.errors import UserError
from attnbench.system import environment, machine_lock
from attnbench.system.machine_lock import Turn
from attnbench.training import options as training_options
from attnbench.training.processes import Processes
from attnbench.training.setup.turn import NotHereError, hold

GPU = "GPU-0a1b"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv(machine_lock.FOLDER, str(tmp_path / "locks"))
    monkeypatch.setattr(
        environment, "lock_names_apart", lambda devices: tuple(d for d in devices if d != "cpu")
    )


@pytest.fixture
def other() -> Iterator[Turn]:
    """A measurement on this machine's cores."""
    measuring = Turn()
    assert measuring.take() is None
    yield measuring
    measuring.end()


def test_a_training_waits_for_a_measurement_and_says_so(other: Turn) -> None:
    log, pauses = Log(), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            other.end()

    with hold(Processes(), "wait", log, pause) as own:
        assert own is not None
        assert pauses == [machine_lock.LOOK_S] * 3
        assert other.take().work == "trains"  # type: ignore[union-attr]
    assert len(log.waits) == 3
    assert "which measures on this machine" in log.waits[0]
    assert other.take() is None


@pytest.mark.usefixtures("other")
def test_a_training_that_waits_can_be_stopped() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        hold(Processes(), "wait", Log(stop_after=0), lambda _: pytest.fail("it stops at once")),
    ):
        pytest.fail("it has no turn")


def test_of_several_processes_one_holds_all_gpus_of_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = {"cuda:0": True, "cuda:1": True, "cuda:2": False}
    monkeypatch.setattr(Processes, "every", lambda _, value: [value, (None, None)])
    monkeypatch.setattr(Processes, "greatest", lambda _, value: value)
    second = Processes(1, 2, "cuda", rank_here=1, count_here=2)
    with hold(second, "wait", Log()) as own:
        assert own is None
        timed = Turn(("cuda:1",))
        assert timed.take() is None  # this one holds none itself
        timed.end()
    first = Processes(0, 2, "cuda", rank_here=0, count_here=2)
    with hold(first, "wait", Log()) as own:
        assert own is not None
        for device, is_held in every.items():
            timed = Turn((device,))
            assert (timed.take() is not None) == is_held
            timed.end()


def test_processes_wait_for_another_machine_s_and_let_go_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else two trainings that begin at once could each hold one machine, and wait for ever."""
    answers = [(None, "process 3 (attnbench run), which measures"), (None, None)]
    monkeypatch.setattr(Processes, "every", lambda _, value: [value, answers.pop(0)])
    monkeypatch.setattr(Processes, "greatest", lambda _, value: value)
    log, paused = Log(), []

    def pause(_: float) -> None:
        mine = Turn()
        paused.append(mine.take())
        mine.end()

    with hold(Processes(0, 2), "wait", log, pause):
        pass
    assert paused == [None]
    assert log.waits == ["process 3 (attnbench run), which measures"]


def test_a_device_that_cannot_be_used_ends_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def broken(_: object) -> None:
        raise UserError("the device cannot be used: gone")

    monkeypatch.setattr(environment, "lock_names_apart", broken)
    monkeypatch.setattr(Processes, "every", lambda _, value: told.append(value) or [value])
    with pytest.raises(UserError, match="gone"), hold(Processes(), "wait", Log()):
        pytest.fail("it has no turn")
    assert told == [("the device cannot be used: gone", None)]


def test_a_fault_of_another_process_ends_this_one_without_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Processes, "every", lambda _, value: [("not now", None), value])
    with pytest.raises(NotHereError), hold(Processes(1, 2, rank_here=1), "refuse", Log()):
        pytest.fail("it has no turn")


def test_a_refusal_comes_before_anything_is_planned_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Turn
) -> None:
    small_training.use(monkeypatch)
    with pytest.raises(UserError, match=r"process \d+ .* measures on this machine; --no-wait"):
        train(tmp_path / "out", if_busy="refuse")
    assert not (tmp_path / "out").exists()
    other.end()
    assert other.take() is None


def test_trainings_hold_the_machine_until_they_end_and_what_is_done_waits_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_training.use(monkeypatch)
    timed, seen = Turn(), []

    class Looking(Log):
        def recorded(self, *_: object) -> None:
            seen.append(timed.take())

    changes = ("epochs=1", "batch_size=8")
    train(tmp_path / "out", Looking(), changes)
    assert len(seen) == 3
    assert all(holder.work == "trains" for holder in seen)
    # It is released, and what is done is shown without it; another seed asks for it again.
    assert timed.take() is None
    log = Log()
    train(tmp_path / "out", log, changes, if_busy="refuse")
    with pytest.raises(UserError, match="--no-wait"):
        train(tmp_path / "out", log, changes, if_busy="refuse", seeds=2)
    assert not log.waits
    # Beside the measurement, if it is said so, which that one sees.
    sharing = Looking()
    sharing.recorded = lambda *_: seen.append(timed.beside())  # type: ignore[method-assign]
    train(tmp_path / "out", sharing, changes, if_busy="share", seeds=2)
    assert len(seen) == 6
    assert not sharing.waits
    assert all(holder.work == "trains" for holder in seen)
    assert timed.beside() is None
    timed.end()


def test_a_training_on_a_gpu_leaves_the_cores_once_it_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_training.use(monkeypatch)
    monkeypatch.setattr(environment, "lock_names_apart", lambda _: (GPU,))
    cores, gpu, seen = Turn(), Turn((GPU,)), []

    class Looking(Log):
        def planned(self, *_: object) -> None:
            seen.append((cores.take(), cores.beside()))
            cores.end()
            seen.append((gpu.take(), None))

    train(tmp_path / "out", Looking(), ("epochs=1", "batch_size=8"))
    (holder, beside), (other, _) = seen
    assert holder is None
    assert beside.work == other.work == "trains"
    assert gpu.take() is None
    gpu.end()


def test_what_is_measured_for_a_capacity_control_is_measured_alone(tmp_path: Path) -> None:
    given = small_training.options(if_busy="share", capacity_control=True, image_size=32)
    with pytest.raises(UserError, match="--share would spoil"):
        training_options.checked(given, tmp_path / "out")
