import json
import math
from dataclasses import replace

import pytest

from attnbench import repeated, store
from attnbench.errors import UserError
from attnbench.picking import HEADINGS, Limits, as_json, cells, pick, sentences
from attnbench.pieces import alone
from attnbench.records import Block, Count, Counts, Failure, Memory, Plan, Record, Round


@pytest.fixture(autouse=True)
def steady_runs(monkeypatch):
    """No scatter between runs, so that limits can be put where intervals end."""
    monkeypatch.setattr(repeated, "ASSUMED", 0.0)


PARAMS = {"plain": 1_000, "sa": 1_708, "se": 3_000}
LIVE = {"plain": 100, "sa": 150, "se": 104}


@pytest.fixture
def stored(tmp_path, case):
    """Makes the folder of a run from each module's ratio in its rounds, or one for six of them."""

    def store_run(name="run", *, control=1.0, failures=(), settings=(), **ratios):
        given = {"plain": 1.0, "control": control, **ratios}
        rounds = {
            key: [each] * 6 if isinstance(each, float) else each for key, each in given.items()
        }
        results = [(None, Plan(variants=tuple(given), budget_s=10.0, target=0.01))]
        results += [
            (each, Counts(rules={"learnable": Count(params=PARAMS[each])}))
            for each in given
            if each in PARAMS
        ]
        results += [(each, Memory(peak_live_bytes=LIVE[each])) for each in given if each in LIVE]
        results += [
            (
                None,
                Round(
                    number=number,
                    blocks=tuple(
                        Block(variant=each, steps=1, seconds=values[number])
                        for each, values in rounds.items()
                        if values
                    ),
                ),
            )
            for number in range(6)
        ]
        its_case = replace(case, **({"image_size": 224} | dict(settings)))
        facts = {"cpu": "A", "time": "noon"}
        for variant, each in results:
            record = Record(case=its_case, variant=variant, results=each, environment=facts)
            store.append(tmp_path / name, record)
        for variant, failure in failures:
            record = Record(case=its_case, variant=variant, error=failure, environment=facts)
            store.append(tmp_path / name, record)
        return tmp_path / name

    return store_run


def answers(choice):
    return {each.module: each.answer for each in choice.candidates}


SIX = [1.10, 1.08, 1.10, 1.10, 1.12, 1.10]
"""Of six rounds the interval is from the least to the greatest: +8% to +12%."""


@pytest.mark.parametrize(
    ("limit", "answer"),
    [(0.13, "in"), (0.12 + 1e-9, "in"), (0.119, "cannot say"), (0.08, "cannot say"), (0.07, "out")],
)
def test_latency_is_in_or_out_only_where_the_whole_interval_is(stored, limit, answer):
    choice = pick(stored(sa=SIX), Limits(overhead=limit))
    assert answers(choice) == {"sa": answer}


def test_the_interval_allows_for_other_hours(stored, monkeypatch):
    monkeypatch.setattr(repeated, "ASSUMED", 0.01)
    (found,) = pick(stored(sa=1.1), Limits(overhead=0.11)).candidates
    assert found.answer == "cannot say"
    assert found.ratio.high == pytest.approx(1.1 * math.exp(2.447 * 0.01), rel=1e-4)


@pytest.mark.parametrize(("most", "answer"), [(708, "in"), (707, "out")])
def test_parameters_are_held_exactly(stored, most, answer):
    (found,) = pick(stored(sa=1.1), Limits(added_params=most)).candidates
    assert (found.answer, found.added_params) == (answer, 708)
    assert found.reasons == (() if answer == "in" else ("added parameters above 707",))


@pytest.mark.parametrize(("most", "answer"), [(0.5, "in"), (0.499, "out")])
def test_memory_is_held_exactly(stored, most, answer):
    (found,) = pick(stored(sa=1.1), Limits(memory=most)).candidates
    assert (found.answer, found.memory_ratio) == (answer, 1.5)


def test_one_limit_that_is_broken_puts_a_module_out_whatever_the_others_say(stored):
    (found,) = pick(stored(sa=SIX), Limits(overhead=0.1, memory=0.1)).candidates
    assert (found.answer, found.reasons) == ("out", ("live peak above 10.0%",))
    (found,) = pick(stored("other", sa=SIX), Limits(overhead=0.1, memory=0.6)).candidates
    assert (found.answer, found.reasons) == (
        "cannot say",
        ("the interval of the latency holds 10.0%",),
    )


def test_a_control_that_failed_answers_no_question_of_latency(stored):
    folder = stored(sa=1.1, se=1.1, control=1.05)
    choice = pick(folder, Limits(overhead=0.5))
    assert set(answers(choice).values()) == {"cannot say"}
    assert "the control failed: the plain host against itself" in choice.candidates[0].reasons[0]
    assert answers(pick(folder, Limits(memory=0.1))) == {"se": "in", "sa": "out"}


def test_what_was_not_measured_cannot_be_said_with_its_error(stored):
    failure = Failure(step="latency", type="MemoryError", message="no\nroom")
    choice = pick(stored(mine=[], failures=[("mine", failure)]), Limits(overhead=0.5, memory=0.5))
    (found,) = choice.candidates
    assert found.answer == "cannot say"
    assert found.reasons == (
        "it was not timed",
        "no live peak in the records",
        "latency failed: MemoryError: no room",
    )
    assert cells(found)[2:6] == ("–", "–", "–", "–")


def test_the_surest_stand_first_and_of_them_the_most_accurate(stored):
    folder = stored(sa=1.01, se=1.02, sge=1.03, cbam=1.5, eca=1.005)
    choice = pick(folder, Limits(overhead=0.1))
    # 77.584 and 77.184 in that recipe, which has none for ECA and SA: these go by latency.
    assert [each.module for each in choice.candidates] == ["sge", "se", "eca", "sa", "cbam"]
    assert "That recipe has none for eca, sa: their place says nothing." in " ".join(
        sentences(choice)
    )


def test_the_order_is_of_the_recipe_that_is_asked_for(stored):
    folder = stored(gc=1.01, se=1.02, cbam=1.03)
    first = pick(folder, Limits(overhead=0.1), "dcanet").candidates[0]
    assert (first.module, first.top1) == ("se", 77.29)
    with pytest.raises(UserError, match="no recipe 'mine'"):
        pick(folder, Limits(overhead=0.1), "mine")


def test_without_a_recipe_it_is_the_one_with_most_of_the_modules(stored):
    choice = pick(stored(gc=1.01, se=1.02), Limits(overhead=0.1))
    assert choice.recipe.name == "DCANet"  # PytorchInsight has most of all, but no GC
    assert [(each.module, each.top1) for each in choice.candidates] == [("se", 77.29), ("gc", 74.9)]


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
    assert [(each.module, each.top1) for each in choice.candidates] == [("sge", None), ("se", None)]
    assert choice.plain_top1 == plain
    assert (
        "Top-1 is published for 224x224 with the module in all blocks; "
        f"this run is {unlike}, so none is shown. The order is that of latency."
    ) in sentences(choice)


def test_a_host_without_accuracies_is_ordered_by_latency_and_says_so(stored):
    folder = stored(sa=1.02, se=1.01, settings={"host": "alexnet"})
    choice = pick(folder, Limits(overhead=0.1))
    assert [each.module for each in choice.candidates] == ["se", "sa"]
    assert "No top-1 is published for this host" in " ".join(sentences(choice))


def test_the_answer_is_said_in_plain_words(stored):
    said = sentences(pick(stored(sa=SIX, se=1.01, sge=1.5), Limits(overhead=0.1)))
    assert said[0] == "Within the limits: se."
    assert said[1:3] == [
        "The records do not allow an answer for sa: the interval of the latency holds 10.0%.",
        "An interval that is too wide becomes narrower with more runs in the folder, and with "
        "more rounds (--budget).",
    ]
    assert sentences(pick(stored("out", sa=1.5), Limits(overhead=0.1)))[0] == (
        "Nothing is surely within the limits."
    )


def test_a_module_that_is_in_and_failed_in_later_rounds_says_so(stored):
    failure = Failure(step="latency", type="MemoryError", message="no room")
    (found,) = pick(
        stored(mine=1.01, failures=[("mine", failure)]), Limits(overhead=0.5)
    ).candidates
    assert (found.answer, found.reasons) == ("in", ("latency failed: MemoryError: no room",))


def test_what_failed_alike_is_said_once_and_more_rounds_are_no_advice(stored):
    failure = Failure(step="latency", type="MemoryError", message="no room.")
    folder = stored(
        gc=[], sk=[], mine=[], failures=[(name, failure) for name in ("gc", "sk")], sa=1.01
    )
    said = sentences(pick(folder, Limits(overhead=0.1)))
    assert said[:3] == [
        "Within the limits: sa.",
        "The records do not allow an answer for sk, gc: it was not timed; latency failed: "
        "MemoryError: no room.",
        "The records do not allow an answer for mine: it was not timed.",
    ]
    assert "--budget" not in " ".join(said)
    failed = sentences(pick(stored("other", sa=1.1, se=1.1, control=1.05), Limits(overhead=0.5)))
    assert failed[1] == (
        "The records do not allow an answer for se, sa: the control failed: the plain host "
        "against itself is told apart from 1."
    )
    assert "--budget" not in " ".join(failed)


def test_the_plain_host_is_there_to_compare_accuracies_with(stored):
    said = " ".join(sentences(pick(stored(sge=1.01), Limits(overhead=0.1))))
    assert "The plain host has 76.38 there." in said
    assert "The plain host has" not in " ".join(
        sentences(pick(stored("sa", sa=1.01), Limits(overhead=0.1)))  # SA-Net prints SA alone
    )


def test_a_recipe_without_any_of_the_modules_gives_no_order(stored):
    said = sentences(pick(stored(mine=1.01), Limits(overhead=0.1)))
    assert said[1] == (
        "PytorchInsight has no top-1 of these modules in this host; the order is that of latency."
    )


def test_several_runs_of_one_configuration_are_taken_together(stored, tmp_path):
    for number, ratio in enumerate((1.0, 1.21)):
        stored(f"runs/{number}", sa=ratio, settings={"seed": number})
    choice = pick(tmp_path / "runs", Limits(overhead=0.5))
    assert choice.runs == 2
    assert choice.candidates[0].ratio.median == pytest.approx(1.1)  # the geometric mean


def test_several_configurations_are_refused_by_their_names(stored, tmp_path):
    for batch_size in (1, 8):
        stored(f"runs/{batch_size}", sa=1.1, settings={"batch_size": batch_size})
    with pytest.raises(UserError, match=r"several configurations.*batch 1,.*batch 8,"):
        pick(tmp_path / "runs", Limits(overhead=0.5))


def test_a_question_without_a_limit_is_none(stored):
    with pytest.raises(UserError, match="name a limit: --max-overhead"):
        pick(stored(sa=1.1), Limits())


def test_modules_alone_have_no_overhead(tmp_path, case):
    plan = Plan(variants=alone(("sa",)), budget_s=10.0, target=0.01)
    record = Record(case=replace(case, isolated=True), results=plan, environment={})
    store.append(tmp_path, record)
    with pytest.raises(UserError, match="modules alone"):
        pick(tmp_path, Limits(overhead=0.5))


def test_json_is_strict_and_whole(stored):
    choice = pick(stored(sa=[1.1] * 3 + [1.1] * 3, se=1.1), Limits(overhead=0.2))
    endless = replace(
        choice.candidates[0], ratio=replace(choice.candidates[0].ratio, high=math.inf)
    )
    text = as_json(replace(choice, candidates=(endless, *choice.candidates[1:])))
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["limits"] == {"overhead": 0.2, "added_params": None, "memory": None}
    assert data["recipe"]["source"].startswith("implus/PytorchInsight")
    assert data["candidates"][0]["ratio"]["high"] is None
    assert data["candidates"][1]["answer"] == "in"


def test_a_row_has_a_cell_for_every_heading(stored):
    (found,) = pick(stored(sa=1.1), Limits(overhead=0.2)).candidates
    assert len(cells(found)) == len(HEADINGS)
    assert cells(found) == ("sa", "in", "77.88", "+10.0% [+10.0, +10.0]", "+708", "+50.0%", "")
