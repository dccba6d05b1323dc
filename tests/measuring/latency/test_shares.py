"""The engine's own rounds, spread over processes on a simulated machine."""

import pytest
from helpers.runs import TICK_S, VARIANTS, first_records

from attnbench.measuring.latency import warm_up
from attnbench.measuring.processes import variation
from attnbench.records import store
from attnbench.records.run import gather
from attnbench.records.schema import End

pytestmark = pytest.mark.usefixtures("small_host", "counted")


@pytest.fixture
def uneven(machine, monkeypatch):
    """A machine on which ECA costs as much as ever, and SE now more and now less."""

    def step(_, variant):
        if variant != "se":
            return machine.step(TICK_S, variant)
        return machine.steps_of(lambda calls: TICK_S * (0.8, 1.25)[calls % 2], variant)

    monkeypatch.setattr(warm_up, "step", step)
    return machine


def test_a_module_with_its_rounds_sits_out_and_runs_again_in_the_next_process(
    new_run, perform, uneven, tmp_path
):
    run = new_run(processes=3, budget_s=60 * 4 * TICK_S)
    records = perform(run, clock=uneven)
    for process in range(3):
        rounds = [timed for timed in run.rounds if timed.process == process]
        assert {timed.sits_out for timed in rounds[:6]} == {None}
        assert {timed.sits_out for timed in rounds[6:]} == {("eca",)}
        for timed in rounds[6:]:
            assert {block.variant for block in timed.blocks} == {*VARIANTS} - {"eca"}
    assert run.end == End(reason="budget", rounds=len(run.rounds))
    for record in first_records(run) + records:
        store.append(tmp_path, record)
    assert gather(store.read(tmp_path), "file") == run


def test_what_differs_between_processes_is_in_the_first_record_of_each(new_run, perform, uneven):
    run = new_run(processes=3, budget_s=60 * 4 * TICK_S)
    perform(run, clock=uneven)
    first = [
        number
        for number, timed in enumerate(run.rounds)
        if number == 0 or timed.process > run.rounds[number - 1].process
    ]
    assert len(first) == 3
    for number, moment in enumerate(run.moments):
        process = run.rounds[number].process
        expected = variation.facts(run, process) if number in first else {}
        stated = {
            key: moment[key]
            for key in ("build_order", "environment_padding_bytes")
            if key in moment
        }
        assert stated == expected


def test_a_steady_machine_takes_the_fewest_rounds_of_a_run_and_no_more(new_run, perform, machine):
    run = new_run(processes=3, budget_s=1000.0)
    perform(run, clock=machine)
    assert run.end == End(reason="target", rounds=30)
