import os
from dataclasses import replace

import pytest

from attnbench.measuring.processes import variation
from attnbench.records.run import Run
from attnbench.records.schema import Plan

NAMES = ("plain", "control", "se", "sa", "eca", "mine.py:Mine", "sge")


@pytest.fixture
def run(case):
    return Run(case, Plan(variants=NAMES, budget_s=1.0, target=0.01), {})


def test_the_first_process_is_as_it_would_be_alone(run):
    assert variation.padding_bytes(0, 0) == 0
    assert variation.build_order(run, 0) == list(NAMES)
    assert variation.facts(run, 0) == {}


def test_further_processes_differ_by_the_seed_and_are_recorded(run):
    orders = {tuple(variation.build_order(run, process)) for process in range(1, 8)}
    assert len(orders) == 7
    assert all(sorted(order) == sorted(NAMES) for order in orders)
    assert variation.build_order(run, 3) == variation.build_order(run, 3)
    other = replace(run, case=replace(run.case, seed=run.case.seed + 1))
    assert variation.build_order(run, 3) != variation.build_order(other, 3)
    sizes = [variation.padding_bytes(run.case.seed, process) for process in range(1, 50)]
    assert min(sizes) < 1000
    assert 3000 < max(sizes) < variation.MOST_BYTES
    assert variation.facts(run, 3) == {
        "environment_padding_bytes": variation.padding_bytes(run.case.seed, 3),
        "build_order": ", ".join(variation.build_order(run, 3)),
    }


def test_custom_modules_are_built_last(run):
    assert all(variation.build_order(run, process)[-1] == "mine.py:Mine" for process in range(1, 9))


def test_compiled_networks_keep_the_order_of_the_plan(run):
    compiled = replace(run, case=replace(run.case, runtime="compile"))
    assert variation.build_order(compiled, 5) == list(NAMES)


def test_the_environment_is_larger_for_as_long_as_it_is_asked_for():
    for size in (0, 100):
        with variation.padded(size):
            assert len(os.environ.get(variation.PADDING, "")) == size
        assert variation.PADDING not in os.environ
