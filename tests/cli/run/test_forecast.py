import re
from dataclasses import replace

import pytest

from attnbench.cli.run import forecast
from attnbench.records.run import Run
from attnbench.records.schema import Block, Plan, Round

PLAN = Plan(variants=("plain", "control", "sa"), budget_s=100.0, target=0.01)


@pytest.fixture
def run(case) -> Run:
    return Run(case, PLAN, {})


def after(run: Run, *seconds: float) -> Run:
    for number, each in enumerate(seconds):
        block = Block(variant="plain", steps=1, seconds=each)
        run.rounds.append(Round(number=number, blocks=(block,)))
    return run


def test_what_lies_outside_the_budget_is_said_before(run: Run, case) -> None:
    # Counts and memory of two networks (1.5 and 2.5 s each), warm-up of three (1 s): 11 s.
    told = forecast.before_all([run])
    assert told.startswith("At most 1 min 40 s of timed rounds; counts, memory and warm-up before")
    assert told.endswith(" about 11 s.")
    both = [run, Run(replace(case, runtime="compile"), PLAN, {})]
    assert forecast.before_all(both).startswith("At most 3 min 20 s of timed rounds")
    assert forecast.before_all(both).endswith("about 22 s, and as long as it takes to compile.")


def test_profiles_take_time_where_they_are_asked_for(run: Run, case) -> None:
    run.profiling = True  # of two networks, 4 s each
    assert forecast.before_all([run]).endswith(" about 19 s.")
    training = Run(replace(case, mode="training"), PLAN, {}, profiling=True)  # cannot be profiled
    assert forecast.before_all([training]).endswith(" about 11 s.")


@pytest.mark.parametrize(
    ("seconds", "environment", "text"),
    [
        (
            [8.0],
            {},
            "About 12 rounds fit into the budget; 6 are needed for an interval, 30 to",
        ),
        ([8.0], {"load_average": 1.5, "cores": 2}, "before it is spent."),
        ([8.0], {"load_average": 8, "cores": 2}, "; load 8 on 2 cores: expect no verdict."),
        ([8.0], {"load_average": 8, "cores": 8, "cores_allowed": 2}, "load 8 on 2 cores"),
        # 30 rounds of 25 s.
        ([20.0, 30.0], {}, "About 4 rounds fit into .*: expect no verdict; --budget 750 would do."),
        ([300.0], {}, "About 1 round fits"),
    ],
)
def test_how_many_rounds_fit_is_said_after_the_first(
    run: Run, seconds: list[float], environment: dict, text: str
) -> None:
    assert re.search(text, forecast.of_rounds(after(run, *seconds), environment))


def test_what_processes_and_witnesses_take_is_said_before(case) -> None:
    # Counts and memory take 8 s (above), the statistics of two networks 1 s each; then six
    # processes with three warm-ups of 0.7 s each, and 4 s for the start of each but the first.
    run = Run(case, replace(PLAN, processes=6), {})
    assert forecast.beside_the_rounds_s(run) == pytest.approx(8 + 2 + 6 * 2.1 + 5 * 4)
    told = forecast.before_all([run])
    assert "about 43 s. A run's rounds are spread over 6 fresh processes" in told
    assert "about 6 s each of that. --processes 1 saves it" in told
    # In training a network has no need of statistics: 1 s each, as in a single process.
    training = Run(replace(case, mode="training"), replace(PLAN, processes=6), {})
    assert forecast.beside_the_rounds_s(training) == 8 + 6 * 3 + 5 * 4
    # A custom module's witness: 4 s and two warm-ups a process, and two blocks a round of three.
    custom = replace(PLAN, variants=("plain", "control", "a.py:A"), sources={"a.py:A": "sha256 0"})
    beside = forecast.beside_the_rounds_s(Run(case, custom, {}))
    assert beside == pytest.approx(11 + 6 + 100 * 2 / 3)
    # A custom host's code runs beside every variant: nothing to witness.
    host = replace(PLAN, sources={"plain": "sha256 0"})
    assert forecast.beside_the_rounds_s(Run(case, host, {})) == 11
