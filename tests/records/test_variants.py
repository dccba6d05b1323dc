import pytest

from attnbench.modules import ATTENTION
from attnbench.records.schema import Plan
from attnbench.records.variants import (
    BASELINES,
    CEILINGS,
    COPY,
    COPY_AGAIN,
    STAGES,
    IsolatedModule,
    alone,
    piece,
)


def test_a_run_of_modules_alone_times_the_ceilings_then_each_module_at_each_stage():
    assert alone(["sa", "se"]) == (
        "copy",
        "copy again",
        "product",
        "launch",
        "sa layer1",
        "sa layer2",
        "sa layer3",
        "sa layer4",
        "se layer1",
        "se layer2",
        "se layer3",
        "se layer4",
    )


def test_without_modules_the_ceilings_are_left():
    assert alone([]) == CEILINGS


def test_a_generator_of_modules_will_do():
    assert alone(name for name in ("sa",)) == alone(("sa",))


def test_an_isolated_run_has_a_plan_with_the_copy_as_its_baseline():
    plan = Plan(variants=alone(ATTENTION), budget_s=1.0, target=0.01)
    assert (plan.baseline, plan.control) == (COPY, COPY_AGAIN)
    assert plan.variants[:2] in BASELINES
    assert len(plan.variants) == 4 + 4 * len(ATTENTION)


@pytest.mark.parametrize("module", ["sa", "my module", "mine layer1", "a layer of mine", ""])
@pytest.mark.parametrize("stage", STAGES)
def test_an_isolated_module_is_parsed_from_its_name(module, stage):
    assert piece(IsolatedModule(module, stage).name) == IsolatedModule(module, stage)


def test_a_name_states_the_module_and_its_stage():
    assert IsolatedModule("sa", 3).name == "sa layer3"
    assert piece("sa layer3") == IsolatedModule(module="sa", stage=3)


@pytest.mark.parametrize("variant", [*CEILINGS, "plain", "control", "sa"])
def test_a_ceiling_is_no_isolated_module(variant):
    assert piece(variant) is None
