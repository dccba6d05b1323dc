"""Windows on simulated clocks: a device of known power, whose counter integrates it."""

from contextlib import contextmanager, nullcontext

import pytest
from pydantic import ValidationError

from attnbench.measuring.energy import window
from attnbench.measuring.energy.window import Meter, StillError, Trace, measure, sampled
from attnbench.measuring.selftest.simulated import Machine
from attnbench.records.results.energy import EnergyRound, Window

IDLE_W = 50.0


class Powered(Machine):
    """A machine that takes ``watts`` while a step runs; ``counter`` integrates that."""

    def __init__(self, **known):
        super().__init__(**known)
        self.taken_j, self.watts, self.sensor = 0.0, IDLE_W, 1.0
        self.stands, self.trace = False, None

    def powered(self, cost_s, watts):
        step = self.step(cost_s)

        def run():
            begun, self.watts = self.now, watts
            step()
            self.taken_j += watts * (self.now - begun)
            if self.trace:  # as the thread does on a real machine
                self.trace.look()

        return run

    def read_j(self):
        return {"gpu": 0.0 if self.stands else self.taken_j}

    def power_w(self):
        return None if self.sensor is None else self.sensor * self.watts

    @contextmanager
    def sampling(self, trace):
        self.trace = trace
        yield
        self.trace = None

    @property
    def meter(self):
        return Meter(self, lambda: self.now, self.sampling)


def of(machine, cost_s=0.125, watts=200.0, **known):
    return measure("se", machine.powered(cost_s, watts), 2, machine, machine.meter, **known)


def test_the_joules_of_a_known_power_are_recovered():
    known = of(Powered())
    # Chunks of 0.25 s until 5 s are over: 40 steps of 0.125 s at 200 W.
    assert (known.variant, known.steps, known.seconds) == ("se", 40, 5.0)
    assert known.joules == {"gpu": pytest.approx(1000.0)}
    assert known.power_j == pytest.approx(1000.0)


def test_what_runs_before_a_window_is_not_in_it():
    machine = Powered()
    of(machine, watts=400.0)
    assert of(machine, watts=100.0).total_j == pytest.approx(500.0)
    # A second of the variant's own steps runs before each window, 5 s in it.
    assert machine.now == pytest.approx(2 * (window.LEAD_S + 5.0))


def test_a_step_longer_than_a_window_is_one_whole_step():
    known = of(Powered(), cost_s=8.0)
    assert (known.steps, known.seconds) == (2, 16.0)
    assert known.total_j == pytest.approx(3200.0)


def test_the_integral_follows_a_power_that_changes():
    machine = Powered()
    trace = Trace(machine, lambda: machine.now)
    for now, watts in ((0.0, 100.0), (1.0, 300.0), (4.0, 300.0)):
        machine.now, machine.watts = now, watts
        trace.look()
    assert trace.power_j() == pytest.approx(200.0 + 900.0)  # trapezoids of 1 s and 3 s


def test_without_a_sensor_there_is_no_integral():
    machine = Powered()
    machine.sensor = None
    assert of(machine).power_j is None


def test_a_counter_that_stands_still_is_an_error():
    machine = Powered()
    machine.stands = True
    with pytest.raises(StillError, match=r"gpu stood still for 5\.0 s"):
        of(machine)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 4.99])
def test_too_short_a_window_is_refused_when_measured_and_when_read(seconds):
    with pytest.raises(ValueError, match="lasts at least 5 s"):
        of(Powered(), window_s=seconds)
    with pytest.raises(ValidationError, match=r"lasts at least 5 s|greater than or equal"):
        Window(variant="se", steps=1, seconds=seconds, joules={"gpu": 1.0})


@pytest.mark.parametrize("joules", [{}, {"gpu": 0.0}, {"gpu": -1.0}])
def test_a_record_has_joules_of_some_domain(joules):
    with pytest.raises(ValidationError):
        Window(variant="se", steps=1, seconds=5.0, joules=joules)


def test_the_windows_of_a_round_are_of_the_same_domains():
    one = Window(variant="se", steps=1, seconds=5.0, joules={"package-0": 1.0})
    other = Window(variant="eca", steps=1, seconds=5.0, joules={"package-0": 1.0, "dram-0": 1.0})
    with pytest.raises(ValidationError, match="same domains"):
        EnergyRound(number=0, windows=(one, other))


def test_nothing_is_read_after_the_last_look():
    machine = Powered()
    trace = Trace(machine, lambda: machine.now)
    trace.look()
    trace.look(last=True)
    trace.look()
    assert len(trace.times_s) == len(trace.joules) == len(trace.powers_w) == 2


def test_the_thread_looks_until_the_body_ends():
    machine, looked = Powered(), []
    trace = Trace(machine, lambda: 0.0)
    trace.look = lambda: looked.append(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "SAMPLE_EVERY_S", 1e-4)
        with sampled(trace):
            while not looked:
                pass
    known = len(looked)
    assert known
    with nullcontext():
        assert len(looked) == known  # the thread has ended
