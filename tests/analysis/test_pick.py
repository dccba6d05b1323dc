import math
from dataclasses import replace

import pytest
from helpers.stored_runs import SIX

from attnbench.analysis.pick import Limits, pick
from attnbench.errors import UserError
from attnbench.records import store
from attnbench.records.schema import Failure, Plan, Record
from attnbench.records.variants import alone
from attnbench.stats import between_runs
from attnbench.stats.verdicts.explanations import REASONS


@pytest.fixture
def case(case):
    """At the size that accuracies are published for."""
    return replace(case, image_size=224)


def answers(choice):
    return {candidate.module: candidate.answer for candidate in choice.candidates}


@pytest.mark.parametrize(
    ("limit", "answer"),
    [
        (0.13, "in"),
        (0.12 + 1e-9, "in"),
        (0.119, "cannot tell"),
        (0.08, "cannot tell"),
        (0.07, "out"),
    ],
)
def test_latency_is_in_or_out_only_where_the_whole_interval_is(stored, limit, answer):
    choice = pick(stored(sa=SIX), Limits(overhead=limit))
    assert answers(choice) == {"sa": answer}


def test_the_interval_allows_for_other_hours(stored, monkeypatch):
    monkeypatch.setattr(between_runs, "ASSUMED", 0.01)
    (candidate,) = pick(stored(sa=1.1), Limits(overhead=0.11)).candidates
    assert candidate.answer == "cannot tell"
    assert candidate.ratio.high == pytest.approx(1.1 * math.exp(2.447 * 0.01), rel=1e-4)


@pytest.mark.parametrize(("most", "answer"), [(708, "in"), (707, "out")])
def test_parameters_are_held_exactly(stored, most, answer):
    (candidate,) = pick(stored(sa=1.1), Limits(added_params=most)).candidates
    assert (candidate.answer, candidate.added_params) == (answer, 708)
    assert candidate.reasons == (() if answer == "in" else ("added parameters above 707",))


@pytest.mark.parametrize(("most", "answer"), [(0.5, "in"), (0.499, "out")])
def test_memory_is_held_exactly(stored, most, answer):
    (candidate,) = pick(stored(sa=1.1), Limits(memory=most)).candidates
    assert (candidate.answer, candidate.memory_ratio) == (answer, 1.5)


def test_one_limit_that_is_broken_puts_a_module_out_whatever_the_others_say(stored):
    (candidate,) = pick(stored(sa=SIX), Limits(overhead=0.1, memory=0.1)).candidates
    assert (candidate.answer, candidate.reasons) == ("out", ("activation memory above 10%",))
    (candidate,) = pick(stored("other", sa=SIX), Limits(overhead=0.1, memory=0.6)).candidates
    assert (candidate.answer, candidate.reasons) == (
        "cannot tell",
        ("too close to 10% to call",),
    )


def test_a_control_that_failed_answers_no_question_of_latency(stored):
    folder = stored(sa=1.1, se=1.1, control=1.05)
    choice = pick(folder, Limits(overhead=0.5))
    assert set(answers(choice).values()) == {"cannot tell"}
    assert "the control failed: the plain host against itself" in choice.candidates[0].reasons[0]
    assert answers(pick(folder, Limits(memory=0.1))) == {"se": "in", "sa": "out"}


def test_what_was_not_measured_cannot_be_said_with_its_error(stored):
    failure = Failure(step="latency", type="MemoryError", message="no\nroom")
    choice = pick(stored(mine=[], failures=[("mine", failure)]), Limits(overhead=0.5, memory=0.5))
    (candidate,) = choice.candidates
    assert candidate.answer == "cannot tell"
    assert candidate.reasons == (
        "it was not timed",
        "no activation memory in the records",
        "latency failed: MemoryError: no room",
    )
    assert (candidate.ratio, candidate.added_params, candidate.memory_ratio, candidate.top1) == (
        None,
    ) * 4


@pytest.mark.parametrize(
    ("measured", "limits", "code"),
    [
        ({"sa": 1.01}, Limits(overhead=0.1), "within"),
        ({"sa": 1.5}, Limits(overhead=0.1), "over"),
        ({"sa": SIX}, Limits(overhead=0.1), "undecided"),
        ({"sa": 1.1, "control": 1.05}, Limits(overhead=0.5), "control"),
        ({"sa": 1.1, "control": 1.05}, Limits(memory=0.6), "within"),  # it asks for no latency
        ({"sa": 1.1}, Limits(added_params=707), "over"),
        ({"mine": []}, Limits(overhead=0.5), "untimed"),
        ({"mine": []}, Limits(memory=0.5), "uncounted"),
        ({"mine": []}, Limits(overhead=0.5, memory=0.5), "untimed"),  # latency stands first
    ],
)
def test_every_answer_carries_a_code_that_explain_knows(stored, measured, limits, code):
    failure = Failure(step="latency", type="MemoryError", message="no room")
    failures = [("mine", failure)] if "mine" in measured else []
    (candidate,) = pick(stored(**measured, failures=failures), limits).candidates
    assert candidate.code == code
    assert code in REASONS


def test_the_surest_stand_first_and_of_them_the_most_accurate(stored):
    folder = stored(sa=1.01, se=1.02, sge=1.03, cbam=1.5, eca=1.005)
    choice = pick(folder, Limits(overhead=0.1))
    # 77.584 and 77.184 in that recipe, which has none for ECA and SA: these go by latency.
    assert [candidate.module for candidate in choice.candidates] == [
        "sge",
        "se",
        "eca",
        "sa",
        "cbam",
    ]


def test_the_order_is_of_the_recipe_that_is_asked_for(stored):
    folder = stored(gc=1.01, se=1.02, cbam=1.03)
    first = pick(folder, Limits(overhead=0.1), "dcanet").candidates[0]
    assert (first.module, first.top1) == ("se", 77.29)
    with pytest.raises(UserError, match="no recipe 'mine'"):
        pick(folder, Limits(overhead=0.1), "mine")


def test_without_a_recipe_it_is_the_one_with_most_of_the_modules(stored):
    choice = pick(stored(gc=1.01, se=1.02), Limits(overhead=0.1))
    assert choice.recipe.name == "DCANet"  # PytorchInsight has most of all, but no GC
    assert [(candidate.module, candidate.top1) for candidate in choice.candidates] == [
        ("se", 77.29),
        ("gc", 74.9),
    ]


def test_a_module_that_is_in_and_failed_in_later_rounds_says_so(stored):
    failure = Failure(step="latency", type="MemoryError", message="no room")
    (candidate,) = pick(
        stored(mine=1.01, failures=[("mine", failure)]), Limits(overhead=0.5)
    ).candidates
    assert (candidate.answer, candidate.reasons) == (
        "in",
        ("latency failed: MemoryError: no room",),
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


def test_modules_alone_among_other_runs_are_left_out_with_a_remark(stored, tmp_path, case):
    plan = Plan(variants=alone(("sa",)), budget_s=10.0, target=0.01)
    record = Record(case=replace(case, isolated=True), results=plan, environment={})
    store.append(tmp_path / "alone", record)
    stored("network", sa=1.1)
    choice = pick(tmp_path, Limits(overhead=0.5))
    assert answers(choice) == {"sa": "in"}
    assert choice.remarks == (
        f"alone in {tmp_path} is left out: its modules ran alone, without a host",
    )


def test_one_machine_of_several_is_chosen_by_its_words(stored, tmp_path):
    for name, cpu, ratio in (("a", "AMD EPYC 7763", 1.1), ("b", "Apple M2", 1.3)):
        stored(name, facts={"cpu": cpu}, sa=ratio)
    limits = Limits(overhead=0.2)
    assert answers(pick(tmp_path, limits, on="epyc")) == {"sa": "in"}
    assert answers(pick(tmp_path, limits, on="M2")) == {"sa": "out"}
    with pytest.raises(UserError, match="two machines"):
        pick(tmp_path, limits)
    with pytest.raises(UserError, match="is on 'M'; there are AMD EPYC 7763, Apple M2"):
        pick(tmp_path, limits, on="M")
    stored("c", facts={"cpu": "Apple M2"}, settings={"batch_size": 8}, sa=1.3)
    with pytest.raises(UserError, match=r"batch 8, .* on Apple M2"):
        pick(tmp_path, limits, on="M2")
