from attnbench.sweeps import forecast
from attnbench.sweeps.device.slots import Slot

ONE, TWO = (Slot({"name": name, "device": "cpu"}) for name in ("one", "two"))


def test_time_left_is_that_of_the_last_slot(sweep_of) -> None:
    known = sweep_of(1, 2, 3, 4, 5).configurations
    assert forecast.left_s(known, [], [ONE], lambda _: 10.0) == 50.0
    assert forecast.left_s(known, [], [ONE, TWO], lambda _: 10.0) == 30.0
    # One runs on the first slot already, so that the other takes two of the three that wait.
    assert forecast.left_s(known[:3], [(known[3], ONE)], [ONE, TWO], lambda _: 10.0) == 20.0
    assert forecast.left_s([], [], [ONE], lambda _: 10.0) == 0.0


def test_time_left_is_unknown_where_something_fits_no_slot(sweep_of) -> None:
    known = sweep_of(1, on={"gpu": "H100"}).configurations
    assert forecast.left_s(known, [], [ONE], lambda _: 10.0) is None
    assert forecast.left_s(known, [], [], lambda _: 10.0) is None
