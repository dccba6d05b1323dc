import pytest

from attnbench.errors import UserError
from attnbench.training.recipes import RECIPES, recipe


def test_recipes_are_as_their_sources_print_them() -> None:
    """``published.md``: SGD 0.1, momentum 0.9, weight decay 1e-4, batch 256, a tenth every 30."""
    for name, epochs, milestones in (
        ("pytorchinsight", 100, (30, 60, 90)),
        ("sa-net", 90, (30, 60)),
        ("ecanet", 100, (30, 60, 90)),
    ):
        known = RECIPES[name]
        assert (known.epochs, known.milestones, known.factor) == (epochs, milestones, 0.1)
        assert (known.learning_rate, known.momentum, known.weight_decay) == (0.1, 0.9, 1e-4)
        assert (known.batch_size, known.crop_least, known.flip) == (256, 0.08, 0.5)
    light = RECIPES["ecanet-mobilenetv2"]
    assert (light.learning_rate, light.weight_decay, light.batch_size) == (0.045, 4e-5, 96)
    assert (light.epochs, light.schedule, light.factor) == (400, "exponential", 0.98)
    assert all(known.source and not known.changed for known in RECIPES.values())


def test_a_field_can_be_stated_otherwise() -> None:
    known = recipe(
        "SA-Net", ["epochs=30", "milestones=10,20", "Learning-Rate=0.05", "nesterov=true"]
    )
    assert (known.epochs, known.milestones, known.learning_rate) == (30, (10, 20), 0.05)
    assert known.nesterov is True
    assert known.changed == ("epochs", "milestones", "learning_rate", "nesterov")
    assert recipe("sa-net", ["epochs=90"]).changed == ()  # as it was
    assert recipe("short", ["clip_norm=35"]).clip_norm == 35
    assert recipe("short", ["clip_norm=none"]).clip_norm is None


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("shrot", (), r"unknown recipe 'shrot' \(did you mean short\?\)"),
        ("short", ("epochs",), "--set 'epochs' is not FIELD=VALUE"),
        ("short", ("epoch=3",), r"unknown field of a recipe 'epoch' \(did you mean epochs\?\)"),
        ("short", ("name=mine",), "unknown field of a recipe 'name'"),
        ("short", ("epochs=0",), "recipe short: epochs: "),
        ("short", ("epochs=many",), "recipe short: epochs: "),
        ("short", ("epochs=1", "epochs=2"), "states a field twice"),
        ("short", ("learning_rate=nan",), "recipe short: learning_rate: "),
        ("short", ("schedule=cosine",), "recipe short: schedule: "),
        ("short", ("schedule=step",), "the schedule 'step' needs milestones"),
        ("sa-net", ("epochs=20",), "milestones 30,60 with 20 epochs: the last must lie before"),
        ("sa-net", ("milestones=60,30",), "milestones must rise"),
    ],
)
def test_what_a_recipe_cannot_be(name: str, changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(name, changes)
