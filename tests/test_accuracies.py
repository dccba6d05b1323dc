import pytest

from attnbench.accuracies import recipe, recipes
from attnbench.errors import UserError


def test_the_recipe_with_most_modules_comes_first():
    found = recipe("resnet50")
    assert found.name == "PytorchInsight"
    assert found.described.startswith("implus/PytorchInsight README @2864528; 100 epochs")
    assert found.top1 == {
        "plain": 76.384,
        "se": 77.184,
        "sk": 77.538,
        "cbam": 77.626,
        "sge": 77.584,
    }


def test_each_source_is_a_recipe_of_its_own():
    names = {each.name: set(each.top1) for each in recipes("resnet50")}
    assert names["DCANet"] == {"plain", "se", "cbam", "gc"}
    assert names["SA-Net"] == {"sa"}
    sizes = [len(each.top1) for each in recipes("resnet50")]
    assert sizes == sorted(sizes, reverse=True)


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
