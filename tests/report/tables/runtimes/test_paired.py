from dataclasses import replace

import pytest

from attnbench.records.run import Run
from attnbench.records.schema import Block, DeviceTime, Plan, Round
from attnbench.report.tables.grid import by_runtime
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.run import LoadedRun
from attnbench.report.tables.runtimes import paired

RATIOS = {"plain": 1.0, "control": 1.0, "se": 1.1}


@pytest.fixture
def loaded(case):
    """A run whose rounds have the names of a process, or none."""

    def make(  # noqa: PLR0913  all that a test may change
        runtime, plain_s, process="a", *, control=1.0, device_s=None, rounds=30, hour=12
    ):
        def block(name, ratio):
            device = None
            if device_s is not None:
                device = DeviceTime(steps=1, seconds=device_s * ratio, spin_s=0.1)
            seconds = plain_s * ratio
            return Block(variant=name, steps=1, seconds=seconds, issued_s=seconds, device=device)

        every = [
            Round(
                number=number,
                blocks=tuple(block(*each) for each in (RATIOS | {"control": control}).items()),
                together=None if process is None else f"{process}-{number}",
            )
            for number in range(rounds)
        ]
        plan = Plan(variants=tuple(RATIOS), budget_s=60.0, target=0.01)
        case_of = replace(case, device="cuda", runtime=runtime)
        started = f"2026-11-26T{hour}:00:00+00:00"
        return LoadedRun(Run(case_of, plan, {"gpu": "G"}, rounds=every, started=started))

    return make


def test_the_plain_host_is_compared_with_that_of_the_first_runtime_of_the_same_rounds(loaded):
    runs = {
        "eager": loaded("eager", 0.4),
        "graph": loaded("cuda-graph", 0.1),
        "compiled": loaded("compile", 0.2, "b"),
        "both": loaded("compile+cuda-graph", 0.3, "b"),
    }
    (table,) = paired.tables(runs)
    assert table.headings == ("configuration", "over", "latency ratio [95%]", "shared rounds")
    assert table.rows == (
        ("graph", "eager", "0.250 [0.250, 0.250]", "30"),
        ("both", "compiled", "1.500 [1.500, 1.500]", "30"),
    )
    assert len(table.definitions) == len(table.headings)


def test_the_devices_own_time_stands_beside_it(loaded):
    runs = {
        "eager": loaded("eager", 0.4, device_s=0.1),
        "graph": loaded("cuda-graph", 0.1, device_s=0.09),
    }
    (table,) = paired.tables(runs)
    assert table.rows == (("graph", "eager", "0.250 [0.250, 0.250]", "0.900 [0.900, 0.900]", "30"),)


def test_where_a_control_fails_it_is_too_noisy(loaded):
    runs = {"eager": loaded("eager", 0.4), "graph": loaded("cuda-graph", 0.1, control=1.2)}
    (table,) = paired.tables(runs)
    assert table.rows[0][2] == "0.250 [0.250, 0.250] too noisy"


def test_a_few_shared_rounds_give_no_interval(loaded):
    runs = {"eager": loaded("eager", 0.4), "graph": loaded("cuda-graph", 0.1, rounds=3)}
    (table,) = paired.tables(runs)
    assert table.rows[0][2:] == ("0.250 [too few rounds] too noisy", "3")


def test_repetitions_are_paired_each_with_its_own_and_pooled(loaded):
    runs = {
        "eager-run1": loaded("eager", 0.4, "a"),
        "graph-run1": loaded("cuda-graph", 0.1, "a"),
        "eager-run2": loaded("eager", 0.4, "b", hour=13),
        "graph-run2": loaded("cuda-graph", 0.2, "b", hour=13),
    }
    (table, *_) = by_runtime(pooled(runs))
    assert table.caption == paired.CAPTION
    # The geometric mean of 1/4 and 1/2.
    assert table.rows == (("CUDA graphs", "eager PyTorch", "0.354 [0.354, 0.354]", "60"),)


def test_runs_that_shared_no_rounds_have_no_such_table(loaded):
    runs = {"eager": loaded("eager", 0.4), "graph": loaded("cuda-graph", 0.1, None)}
    assert paired.tables(runs) == []
    assert paired.CAPTION not in [table.caption for table in by_runtime(runs)]
