import pytest

from attnbench.modules import ATTENTION
from attnbench.records.schema import Plan
from attnbench.records.variants import (
    CEILINGS,
    COPY,
    COPY_AGAIN,
    RESERVED,
    STAGES,
    IsolatedModule,
    alone,
    is_reserved,
    map_copy,
    map_of,
    piece,
    planned,
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


MAPS = ((256, 56, 56), (64, 56, 56))


def test_with_the_maps_that_modules_see_a_copy_of_the_first_is_the_baseline():
    variants = alone(["sa"], MAPS)
    assert variants == (
        "copy 256x56x56",
        "copy 256x56x56 again",
        "copy",
        "product",
        "launch",
        "copy 64x56x56",
        "sa layer1",
        "sa layer2",
        "sa layer3",
        "sa layer4",
    )
    assert planned(variants) == variants
    plan = Plan(variants=variants, budget_s=1.0, target=0.01)
    assert (plan.baseline, plan.control) == ("copy 256x56x56", "copy 256x56x56 again")


def test_the_name_of_a_map_copy_states_its_size():
    assert map_copy((256, 56, 28)) == "copy 256x56x28"
    assert map_of("copy 256x56x28") == map_of("copy 256x56x28 again") == (256, 56, 28)
    others = (*RESERVED, "copy 0x56x28", "copy 1x2", "copy 1x2x3x4", "copy 1x2x3 layer1", "sa")
    assert [name for name in others if map_of(name)] == []


@pytest.mark.parametrize("name", [*RESERVED, "copy 1x2x3", "copy 1x2x3 again"])
def test_what_is_no_module_has_a_name_of_its_own(name):
    assert is_reserved(name)
    assert piece(name) is None


@pytest.mark.parametrize("name", [*CEILINGS, "copy 1x2x3", "copy 1x2x3 again", " "])
def test_no_module_has_such_a_name(name):
    with pytest.raises(ValueError, match="no module can have the name"):
        planned(("plain", "control", name))


def moved(variants, before, after):
    left = [name for name in variants if name != before]
    left.insert(left.index(after), before)
    return tuple(left)


@pytest.mark.parametrize(
    "variants",
    [
        moved(alone(["sa"], MAPS), "copy", "copy 256x56x56 again"),  # no control
        moved(alone(["sa"], MAPS), "sa layer1", "copy 64x56x56"),
        alone(["sa"], MAPS)[:-1],  # no last stage
        tuple(name for name in alone(["sa"], MAPS) if name != "launch"),
        (*alone(["sa"]), "copy 64x56x56"),
        ("copy 64x56x56 again", "copy 64x56x56", "copy", "product", "launch"),
        ("product", "launch"),
    ],
)
def test_an_isolated_plan_has_its_ceilings_before_its_modules(variants):
    with pytest.raises(ValueError, match="an isolated plan names the ceilings"):
        planned(variants)
