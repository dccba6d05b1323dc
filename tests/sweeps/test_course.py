from attnbench.sweeps.device.slots import Slot

SLOT = Slot({"name": "lab1", "device": "cpu"}, threads=1)


def test_a_configuration_that_loses_three_machines_fails(course_of) -> None:
    course, steps = course_of(1, 2)
    known = course.waiting[0]
    for _ in range(3):
        assert course.waiting[0] is known  # it goes first again
        course.start(known, SLOT)
        course.lose(known)
    assert [step.state for step in steps] == [*("running", "lost") * 2, "running", "failed"]
    assert course.failed == {known.name: "3 machines were lost while they measured it"}
    assert len(course.waiting) == 1


def test_time_left_is_that_of_what_waits_on_the_slots_that_are_there(course_of) -> None:
    course, _ = course_of(1, 2, 3)
    assert course.left_s is None
    course.slots = (SLOT,)
    assert course.left_s == 30.0
    course.start(course.waiting[0], SLOT)
    course.give_up(course.waiting[0], "it cannot be")
    assert course.left_s == 20.0
    assert list(course.failed.values()) == ["it cannot be"]


def test_damaged_records_are_set_aside_and_a_failure(course_of, tmp_path) -> None:
    from attnbench.sweeps.device.process import Answer

    course, steps = course_of(1)
    known = course.waiting[0]
    course.start(known, SLOT)
    course.folder.put(known.name, 0, b'{"schema": 99}\n')
    course.end(known, Answer())
    assert "line 1: schema 99" in steps[-1].message
    assert [path.name for path in (tmp_path / "out" / "lost").iterdir()] == [f"{known.name}-1"]
