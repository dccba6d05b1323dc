import json
import math
from dataclasses import replace

import pytest
from helpers.command_line import SMALL_RUN, call
from helpers.stored_runs import SIX

from attnbench.analysis.pick import Limits, pick
from attnbench.cli.answers.pick import HEADINGS, cells, sentences
from attnbench.cli.output import json_text
from attnbench.records.schema import Failure


@pytest.fixture
def case(case):
    """At the size that accuracies are published for."""
    return replace(case, image_size=224)


@pytest.mark.parametrize(
    ("settings", "unlike", "plain"),
    [
        ({"image_size": 64}, "of 64x64", None),
        ({"stages": (3, 4)}, "in stages 3 4", 76.384),
        ({"image_size": (224, 64), "blocks": "last"}, "of 224x64, in last blocks", None),
    ],
)
def test_an_accuracy_is_of_the_network_that_was_published(stored, settings, unlike, plain):
    choice = pick(stored(se=1.02, sge=1.01, settings=settings), Limits(overhead=0.1))
    assert [(candidate.module, candidate.top1) for candidate in choice.candidates] == [
        ("sge", None),
        ("se", None),
    ]
    assert choice.plain_top1 == plain
    assert (
        "Top-1 is published for 224x224 with the module in all blocks; "
        f"this run is {unlike}, so none is shown; the order is that of latency."
    ) in sentences(choice)


def test_a_host_without_accuracies_is_ordered_by_latency_and_says_so(stored):
    folder = stored(sa=1.02, se=1.01, settings={"host": "alexnet"})
    choice = pick(folder, Limits(overhead=0.1))
    assert [candidate.module for candidate in choice.candidates] == ["se", "sa"]
    assert "No top-1 is published for this host" in " ".join(sentences(choice))


def test_the_answer_is_said_in_plain_words(stored):
    text = list(sentences(pick(stored(sa=SIX, se=1.01, sge=1.5), Limits(overhead=0.1))))
    assert text[0] == "Within the limits: se."
    assert text[1:3] == [
        "Cannot tell for sa: too close to 10% to call.",
        "More runs in the folder make an interval narrower, and so do more rounds (run --budget).",
    ]
    assert next(sentences(pick(stored("out", sa=1.5), Limits(overhead=0.1)))) == (
        "No module is certainly within the limits."
    )


def test_what_failed_alike_is_said_once_and_more_rounds_are_no_advice(stored):
    failure = Failure(step="latency", type="MemoryError", message="no room.")
    other = replace(failure, message="no answer")
    failures = [("gc", failure), ("sk", failure), ("mine", other)]
    folder = stored(gc=[], sk=[], mine=[], failures=failures, sa=1.01)
    text = list(sentences(pick(folder, Limits(overhead=0.1))))
    assert text[:3] == [
        "Within the limits: sa.",
        "Cannot tell for sk, gc: it was not timed; latency failed: MemoryError: no room.",
        "Cannot tell for mine: it was not timed; latency failed: MemoryError: no answer.",
    ]
    assert "--budget" not in " ".join(text)
    failed = list(
        sentences(pick(stored("other", sa=1.1, se=1.1, control=1.05), Limits(overhead=0.5)))
    )
    assert failed[1] == (
        "Cannot tell for se, sa: the control failed: the plain host "
        "against itself is significantly different from 1."
    )
    assert "--budget" not in " ".join(failed)


def test_the_plain_host_is_there_to_compare_accuracies_with(stored):
    text = " ".join(sentences(pick(stored(sge=1.01), Limits(overhead=0.1))))
    assert "The plain host has 76.38 there." in text
    assert "The plain host has" not in " ".join(
        sentences(pick(stored("sa", sa=1.01), Limits(overhead=0.1)))  # SA-Net prints SA alone
    )


def test_a_recipe_without_any_of_the_modules_gives_no_order(stored):
    text = list(sentences(pick(stored(mine=1.01), Limits(overhead=0.1))))
    assert text[1] == (
        "PytorchInsight has no top-1 of these modules in this host; the order is that of latency."
    )


def test_json_is_strict_and_whole(stored):
    choice = pick(stored(sa=[1.1] * 3 + [1.1] * 3, se=1.1), Limits(overhead=0.2))
    endless = replace(
        choice.candidates[0], ratio=replace(choice.candidates[0].ratio, high=math.inf)
    )
    text = json_text(replace(choice, candidates=(endless, *choice.candidates[1:])))
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["limits"] == {"overhead": 0.2, "added_params": None, "memory": None}
    assert data["recipe"]["source"].startswith("implus/PytorchInsight")
    assert data["candidates"][0]["ratio"]["high"] is None
    assert data["candidates"][1]["answer"] == "in"
    assert [known["code"] for known in data["candidates"]] == ["within"] * len(data["candidates"])


def test_a_row_has_a_cell_for_every_heading(stored):
    (candidate,) = pick(stored(sa=1.1), Limits(overhead=0.2)).candidates
    assert len(cells(candidate)) == len(HEADINGS)
    figures = ("77.88", "+10.0% [+10.0, +10.0]", "+708", "+50.0%")
    assert cells(candidate) == ("sa", "in", "within", *figures, "")


def test_a_figure_that_there_is_not_is_a_dash(stored):
    failure = Failure(step="latency", type="MemoryError", message="no room")
    (candidate,) = pick(
        stored(mine=[], failures=[("mine", failure)]), Limits(overhead=0.5)
    ).candidates
    assert cells(candidate)[2:7] == ("untimed", "–", "–", "–", "–")


def test_a_module_without_an_accuracy_has_no_place(stored):
    text = list(sentences(pick(stored(eca=1.01, se=1.02, sa=1.03), Limits(overhead=0.1))))
    assert "Not ranked, as that recipe has none for them: eca, sa." in " ".join(text)


@pytest.mark.parametrize(
    ("limit", "status", "text"),
    [
        (["--max-overhead", "50%"], 0, "Within the limits: sa."),
        (["--max-overhead", "5%"], 1, "No module is certainly within the limits."),
        (["--max-added-params", "708", "--max-memory", "0.5"], 0, "Within the limits: sa."),
    ],
)
def test_pick_answers_in_words_and_with_its_status(
    limit: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("pick", *limit, str(SMALL_RUN)) == status
    assert text in capsys.readouterr().out
    assert call("pick", *limit, "--format", "json", str(SMALL_RUN)) == status
    assert json.loads(capsys.readouterr().out)["runs"] == 1
