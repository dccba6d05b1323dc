from dataclasses import replace

import pytest

from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.records.run import Run
from attnbench.report.formats import paper
from attnbench.report.tables.run import LoadedRun


def test_a_row_has_its_figures_its_doubt_and_its_citation(run: Run) -> None:
    text = paper.table(LoadedRun(run), paper.columns("added_params,ratio,peak_live_ratio"))
    lines = [line.strip() for line in text.splitlines()]
    # 1.2 [1.19, 1.211] within the run, and 1.3% between runs: 1.2 [1.161, 1.240].
    assert r"SA~\cite{sa2021} & +708 & 1.200 $\pm$ 0.040 & 1.500 \\" in lines
    assert r"plain & +0 & 1 & 1.000 \\" in lines
    (caption,) = [line for line in lines if line.startswith(r"\caption{")]
    assert "resnet50, inference, batch 2, 224x224, float32, cpu, on An imagined CPU" in caption
    assert "cover rounds and runs" in caption
    assert caption.endswith(r"\label{tab:attnbench-resnet50-cpu-inference-float32-b2-224}")


def test_what_covers_one_run_alone_and_what_was_too_noisy_is_said(run: Run) -> None:
    keys = paper.columns("latency_s,ratio")
    assert "Other intervals cover the rounds of one run." in paper.table(LoadedRun(run), keys)
    few = replace(run, rounds=run.rounds[:5])
    assert "too noisy to judge" in paper.table(LoadedRun(few), keys)


def test_a_custom_module_has_a_row_and_no_citation(run: Run) -> None:
    plan = replace(run.plan, variants=("plain", "control", "mine.py:A_B", "sa"))
    counts = run.counts | {"mine.py:A_B": run.counts["sa"]}
    own = LoadedRun(replace(run, plan=plan, counts=counts))
    assert r"mine.py:A\_B & +708 \\" in paper.table(own, ("added_params",))
    assert paper.bibliography(own.run.modules).count("@misc") == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("added_params,speed", r"unknown column 'speed'.*; known: params, added_params"),
        ("ratio,ratio", "a column twice"),
        ("ratio_low", "unknown column 'ratio_low'"),  # an end of an interval is not printed alone
        ("", "unknown column ''"),
        ("compile_s", "this run has no figure for 'compile_s'"),
    ],
)
def test_columns_that_cannot_be_printed_are_refused(run: Run, columns: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        paper.table(LoadedRun(run), paper.columns(columns))


def test_every_paper_has_an_entry_with_the_facts_of_its_row() -> None:
    text = paper.bibliography(list(ATTENTION))
    assert text.count("@misc{") == text.count("author = {") == len(ATTENTION)
    assert (
        paper.bibliography(["sa"])
        == """@misc{sa2021,
  title = {{SA-Net: Shuffle Attention for Deep Convolutional Neural Networks}},
  author = {Qing-Long Zhang and Yu-Bin Yang},
  year = {2021},
  eprint = {2102.00240},
  archivePrefix = {arXiv},
}
"""
    )
