"""Rounds of energy of a run whose networks have known costs and powers, on a simulated machine."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers.runs import TICK_S, VARIANTS, no_memory, undisturbed

from attnbench.devices.energy.counter import NoCounterError
from attnbench.measuring.energy import rounds
from attnbench.measuring.energy.window import Meter
from attnbench.measuring.events import Beginning
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.measuring.selftest.simulated import Machine
from attnbench.measuring.steps.execute import execute
from attnbench.measuring.timing import Step
from attnbench.records.schema import End, EnergyRound, Failure, Record
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.stats import ratios
from attnbench.stats.quantities.joules import energy_rounds
from attnbench.system.worker import ChildDiedError

pytestmark = pytest.mark.usefixtures("small_host", "counted")

STEP_S = 0.25
JOULES = {PLAIN: 20.0, CONTROL: 20.0, "se": 24.0, "eca": 21.0}


class Powered(Machine):
    """Steps that take joules by their variant, with noise; ``sampling`` reads nothing between."""

    def __init__(self, joules, noise=0.0):
        super().__init__(noise=noise)
        self.joules, self.taken_j = joules, 0.0
        self.fails = {}

    def network(self, _, variant):
        step = self.step(STEP_S, variant)

        def run():
            step()
            if error := self.fails.get(variant):
                raise error
            self.taken_j += self.joules[variant] * (1 + self.random.gauss(0, self.noise))

        return Step({"step": run})

    def read_j(self):
        return {"package-0": self.taken_j}

    def power_w(self):
        return None

    @property
    def meter(self):
        from contextlib import nullcontext

        return Meter(self, lambda: self.now, lambda _: nullcontext())


@pytest.fixture
def powered(monkeypatch):
    """A function that makes a machine whose networks are those of the run."""

    def make(joules=JOULES, noise=0.0):
        machine = Powered(joules, noise)
        monkeypatch.setattr(warm_up, "step", machine.network)
        return machine

    return make


@pytest.fixture
def energy_run(new_run):
    """A function that makes a run with rounds of energy, of short rounds of time."""

    def make(count=6, **known):
        run = new_run(budget_s=TICK_S, **known)
        run.plan = replace(run.plan, energy_rounds=count)
        return run

    return make


def perform(run, machine, measure=None):
    here = partial(latency.measure, clock=machine, look=undisturbed)
    energy = measure or partial(rounds.measure, clock=machine, meter=machine.meter)
    told = execute([run], measure_memory=no_memory, measure_latency=here, measure_energy=energy)
    return [event for _, event in told]


def records(events):
    return [event for event in events if isinstance(event, Record)]


def failed(run):
    return {name: known["energy"].message for name, known in run.failures.items()}


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_every_variant_and_the_control_have_a_window_in_every_round(energy_run, powered, mode):
    run, machine = energy_run(mode=mode), powered()
    events = records(perform(run, machine))
    known = [each.results for each in events if isinstance(each.results, EnergyRound)]
    assert [each.number for each in known] == list(range(6))
    for each in known:
        assert Counter(window.variant for window in each.windows) == Counter(VARIANTS)
        for window in each.windows:
            assert (window.steps, window.seconds) == (20, 5.0)
            assert window.joules == {"package-0": pytest.approx(20 * JOULES[window.variant])}
            assert window.power_j is None
    orders = [tuple(window.variant for window in each.windows) for each in known]
    assert len(set(orders)) > 1
    # Energy comes before the rounds, and the run ends as any other.
    assert isinstance(events[-1].results, End)
    assert run.finished
    assert len(run.energy) == 6


def test_known_ratios_are_recovered_and_the_control_holds(energy_run, powered):
    run, machine = energy_run(count=12), powered(noise=0.02)
    perform(run, machine)
    known = energy_rounds(run)
    for name in ("se", "eca"):
        ratio = ratios.ratio(known, name)
        assert ratio.low < JOULES[name] / JOULES[PLAIN] < ratio.high
        assert ratio.half_width < 0.02
    assert ratios.control_fault(known, run.plan.target) is None
    assert ratios.verdict(ratios.ratio(known, "se")) == "slower"


def test_a_control_that_takes_other_joules_allows_no_verdict(energy_run, powered):
    run = energy_run()
    perform(run, powered(JOULES | {CONTROL: 20.5}))
    fault = ratios.control_fault(energy_rounds(run), run.plan.target)
    assert "significantly different from 1" in fault


def test_a_run_without_the_option_measures_none(energy_run, powered):
    run = energy_run(count=0)

    def none(_):
        raise AssertionError

    perform(run, powered(), measure=none)
    assert run.finished
    assert not run.energy


def test_an_interrupted_run_goes_on_where_it_was(energy_run, powered):
    run, machine = energy_run(), powered()
    whole = [[window.variant for window in each.windows] for each in _measured(run, machine)]
    run.energy = run.energy[:4]
    run.end, run.rounds, run.moments = None, [], []
    again = [[window.variant for window in each.windows] for each in _measured(run, machine)]
    assert again == whole


def _measured(run, machine):
    perform(run, machine)
    return run.energy


def test_a_counter_that_stands_still_is_a_record_and_ends_the_energy_alone(energy_run, powered):
    run = energy_run()
    perform(run, powered(dict.fromkeys(JOULES, 0.0)))
    assert list(failed(run)) == [PLAIN]
    assert "package-0 stood still for 5.0 s" in failed(run)[PLAIN]
    assert energy_rounds(run) == []
    assert run.finished  # latency is known all the same
    assert run.rounds


def test_a_counter_that_is_not_there_is_a_record(energy_run, powered):
    def refuse(_):
        raise NoCounterError("--energy: no counter")

    run, machine = energy_run(), powered()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            rounds.__dict__,
            "kind_of",
            lambda _: type("Kind", (), {"energy": staticmethod(refuse), "facts": lambda _: {}}),
        )
        perform(run, machine, measure=partial(rounds.measure, clock=machine))
    assert failed(run) == {PLAIN: "--energy: no counter"}
    assert run.finished


def test_a_variant_that_fails_leaves_the_others(energy_run, powered):
    run, machine = energy_run(), powered()
    machine.fails["se"] = RuntimeError("se is out of memory")
    perform(run, machine)
    assert run.failures["se"]["energy"].message == "se is out of memory"
    assert len(run.energy) == 6
    assert {window.variant for each in run.energy for window in each.windows} == {*VARIANTS} - {
        "se"
    }


def test_a_process_that_dies_costs_its_variant_alone(energy_run, powered):
    run, machine = energy_run(), powered()

    def dying(run):
        if not run.failed("eca", "energy"):
            yield Beginning("energy", "eca")
            raise ChildDiedError("the worker process was killed")
        yield from rounds.measure(run, clock=machine, meter=machine.meter)

    perform(run, machine, measure=dying)
    assert failed(run) == {"eca": "the worker process was killed"}
    assert len(run.energy) == 6


def test_a_process_that_dies_again_and_again_ends_the_energy(energy_run, powered):
    run, machine, started = energy_run(), powered(), []

    def dying(_):
        started.append(1)
        yield Beginning("energy", "eca")
        raise ChildDiedError("the worker process was killed")

    perform(run, machine, measure=dying)
    assert list(failed(run)) == ["eca", PLAIN]
    assert len(started) == 2
    assert run.finished


def test_what_would_be_a_defect_at_latency_takes_no_energy(energy_run, powered, monkeypatch):
    run, machine = energy_run(), powered()

    def network(case, variant):
        step = machine.network(case, variant)
        (run_step,) = step.parts.values()
        value = float("nan") if variant == "se" else 1.0
        return Step({"step": lambda: (run_step(), torch.tensor(value))[1]})

    monkeypatch.setattr(warm_up, "step", network)
    perform(run, machine)
    assert run.failures["se"]["energy"].message.startswith("the output is not finite")
    assert {window.variant for window in run.energy[0].windows} == {*VARIANTS} - {"se"}


def test_what_was_not_exported_has_no_failure_of_its_own_at_energy(new_run):
    run = new_run()
    run.case = replace(run.case, runtime="onnxruntime")
    run.failures["se"] = {"export": Failure(step="export", type="E", message="no")}
    assert run.failed("se", "energy")
    assert not run.failed("eca", "energy")
