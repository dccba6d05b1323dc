from dataclasses import replace

import pytest

from attnbench.claims.published_accuracy import recipe, recipes, top1, unlike_published
from attnbench.errors import UserError


def test_the_recipe_with_most_modules_comes_first():
    known = recipe("resnet50")
    assert known.name == "PytorchInsight"
    assert known.described.startswith("implus/PytorchInsight README @2864528; 100 epochs")
    assert known.top1 == {
        "plain": 76.384,
        "se": 77.184,
        "sk": 77.538,
        "cbam": 77.626,
        "sge": 77.584,
    }


def test_the_recipe_with_most_of_the_modules_asked_for_is_taken():
    assert recipe("resnet50", modules=["gc", "se"]).name == "DCANet"
    assert recipe("resnet50", modules=["eca"]).name == "ECANet"
    # One each: of these the one with most overall, and the catalogue's first of as many.
    assert recipe("resnet50", modules=["sa", "se"]).name == "PytorchInsight"
    assert recipe("resnet50", modules=["sa", "eca"]).name == "SA-Net"
    assert recipe("resnet50", modules=["mine"]).name == "PytorchInsight"


@pytest.fixture
def published(case):
    return replace(case, image_size=224)


def test_a_network_as_published_has_its_accuracy(published):
    known = recipe("resnet50")
    assert top1(known, published, "se") == 77.184
    assert top1(known, published, "plain") == 76.384
    assert top1(known, published, "sa") is None  # by another recipe
    assert top1(known, published, "sge,groups=32") is None
    assert top1(None, published, "se") is None


@pytest.mark.parametrize(
    ("change", "module", "plain"),
    [
        ({}, None, None),
        ({"image_size": 288}, "of 288x288", "of 288x288"),
        ({"image_size": (224, 288)}, "of 224x288", "of 224x288"),
        ({"stages": (3, 4)}, "in stages 3 4", None),
        ({"blocks": "last"}, "in last blocks", None),
        (
            {"batch_size": 8, "mode": "training", "dtype": "float16", "runtime": "compile"},
            None,
            None,
        ),
    ],
)
def test_other_networks_have_none_and_it_is_said_why(published, change, module, plain):
    case = replace(published, **change)
    for variant, why in (("se", module), ("plain", plain)):
        assert unlike_published(case, variant) == why
        assert (top1(recipe("resnet50"), case, variant) is None) == (why is not None)


def test_each_source_is_a_recipe_of_its_own():
    names = {known.name: set(known.top1) for known in recipes("resnet50")}
    assert names["DCANet"] == {"plain", "se", "cbam", "gc"}
    assert names["SA-Net"] == {"sa"}
    sizes = [len(known.top1) for known in recipes("resnet50")]
    assert sizes == sorted(sizes, reverse=True)


def test_several_trainings_of_one_source_are_recipes_of_their_own():
    known = recipe("resnet50", "pytorch-image-models A1")
    assert known.described.startswith("huggingface/pytorch-image-models results csv @aa4b5850, a1;")
    assert known.top1 == {"plain": 80.382, "se": 80.012}  # not those of 288x288
    last = recipe("resnet50", "PytorchInsight last epoch")
    assert last.top1 == {"plain": 76.300, "cbam": 77.618, "sge": 77.546, "sk": 77.438}


def test_a_figure_that_its_source_replaced_is_no_recipe():
    assert [known.top1 for known in recipes("resnet50") if "ECANet" in known.name] == [
        {"eca": 77.42}
    ]
    assert recipe("resnet50", "SA-Net").top1 == {"sa": 77.882}  # 77.75 eight days before


def test_a_recipe_is_chosen_by_its_name():
    assert recipe("resnet50", "dcanet").top1["gc"] == 74.90
    assert recipe("resnet101", "PytorchInsight").top1["plain"] == 78.2


def test_a_recipe_that_is_not_known_is_bad_input():
    with pytest.raises(UserError, match=r"no recipe .mine. with .* in resnet50; known: Pytorch"):
        recipe("resnet50", "mine")
    with pytest.raises(UserError, match="known: none"):
        recipe("alexnet", "mine")


def test_a_host_without_published_accuracies_has_no_recipe():
    assert recipe("alexnet") is None
    assert recipes("alexnet") == ()
