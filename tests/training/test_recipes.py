import pytest

from attnbench.errors import UserError
from attnbench.training.recipes import RECIPES, recipe
from attnbench.training.schedule import learning_rate


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


def test_the_papers_schedules_on_coco() -> None:
    """``published.md``: 0.02 for 16 images, warm-up of 500 from a third, gradients to 35."""
    for name, epochs, milestones in (
        ("1x", 12, (8, 11)),
        ("2x", 24, (16, 22)),
        ("2x-retinanet", 24, (16, 22)),
    ):
        known = RECIPES[name]
        assert (known.task, known.epochs, known.milestones) == ("detection", epochs, milestones)
        assert (known.batch_size, known.momentum, known.weight_decay) == (16, 0.9, 1e-4)
        assert (known.clip_norm, known.flip, known.norms, known.frozen) == (35, 0.5, "fixed", True)
        assert (known.warm_up_steps, known.warm_up_from) == (500, pytest.approx(1 / 3))
    assert RECIPES["1x"].learning_rate == RECIPES["2x"].learning_rate == 0.02
    assert RECIPES["2x-retinanet"].learning_rate == 0.01


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.02 / 3),  # warm-up begins at a third
        (250, 0.02 * (1 - 1 / 2 * 2 / 3)),  # half way
        (500, 0.02),
        (8 * 1000 - 1, 0.02),
        (8 * 1000, 0.002),
        (11 * 1000, 0.0002),
    ],
)
def test_the_rate_of_a_step_on_coco(step: int, rate: float) -> None:
    assert learning_rate(RECIPES["1x"], step, 1000) == pytest.approx(rate)


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
        ("short", ("epochs=0",), "recipe short: epochs must be at least 1, not 0"),
        ("short", ("epochs=many",), 'epochs must be a whole number, not "many"'),
        ("short", ("epochs=1", "epochs=2"), "states a field twice"),
        ("short", ("learning_rate=nan",), 'learning_rate must be a finite number, not "nan"'),
        (
            "short",
            ("schedule=cosine",),
            'schedule must be one of step, exponential, one_cycle, not "cosine"',
        ),
        ("short", ("schedule=step",), "recipe short: the schedule 'step' needs milestones"),
        ("sa-net", ("epochs=20",), "milestones 30,60 with 20 epochs: the last must lie before"),
        ("sa-net", ("milestones=60,30",), "milestones must rise"),
        (
            "sa-net",
            ("milestones=a,b",),
            "--set milestones takes whole numbers with commas, .*'a,b'",
        ),
        ("sa-net", ("milestones=3.5,7",), "milestones.0 must be a whole number, not 3.5"),
        ("short", ("epochs=true",), "epochs is no switch, so it cannot be true or false"),
        ("short", ("nesterov=perhaps",), 'nesterov must be true or false, not "perhaps"'),
        ("short", ("clip_norm=-1",), "clip_norm must be above 0, not -1"),
        ("short", ("schedule=one-cycle",), r".* \(did you mean one_cycle\?\)"),
    ],
)
def test_what_a_recipe_cannot_be(name: str, changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(name, changes)
