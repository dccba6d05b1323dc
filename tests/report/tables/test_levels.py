"""What rounds, processes and runs leave open of a ratio, as tables show it."""

from dataclasses import replace
from math import exp, isnan, sqrt

import pytest

from attnbench.records.run import Run
from attnbench.records.schema import Block, Plan, Round
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, tables

LOGS = (0.10, 0.11, 0.12, 0.15)
"""Of SA over the plain host, in each of four processes: without any scatter within."""

REACH = 3.182446305 * sqrt((0.02**2 + 0.01**2 + 0.03**2) / 3 / 4)
"""Their mean is 0.12; Student's t of three degrees of freedom."""


def run_of(case, logs=LOGS, rounds=6, **changes):
    run = Run(case, Plan(variants=("plain", "control", "sa"), budget_s=9.0, target=0.01), {})
    for process, ratio in enumerate(logs):
        for _ in range(rounds):
            seconds = {"plain": 1.0, "control": 1.0, "sa": exp(ratio)}
            blocks = tuple(Block(variant=v, steps=1, seconds=s) for v, s in seconds.items())
            number = len(run.rounds)
            run.rounds.append(Round(number=number, blocks=blocks, process=process, **changes))
    return run


def row(loaded, variant="sa"):
    return loaded.frame.set_index("variant").loc[variant]


def test_the_frame_has_what_each_level_leaves_open(case):
    loaded = LoadedRun(run_of(case))
    sa = row(loaded)
    assert sa["ratio"] == pytest.approx(exp(0.12))
    assert sa["ratio_high"] == pytest.approx(exp(0.12 + REACH))
    assert sa["ratio_rounds"] == pytest.approx(0, abs=1e-12)
    assert sa["ratio_processes"] == pytest.approx(exp(REACH) - 1)
    assert sa["processes"] == 4
    assert isnan(row(loaded, "plain")["ratio_rounds"])


def test_the_table_of_latencies_shows_the_levels_and_a_remark_the_processes(case):
    loaded = LoadedRun(run_of(case))
    (latency,) = (table for table in tables(loaded) if table.caption.startswith("Latency within"))
    place = latency.headings.index("of which rounds, processes")
    assert [cells[place] for cells in latency.rows] == [
        "–",
        "±0.0% rounds, ±0.0% processes",
        "±0.0% rounds, ±3.5% processes",  # exp(0.0344) - 1
    ]
    assert any(line.startswith("The rounds ran in 4 processes") for line in remarks(loaded))


def test_a_run_of_one_process_shows_neither(case):
    loaded = LoadedRun(run_of(case, logs=(0.1,)))
    assert isnan(row(loaded)["ratio_processes"])
    assert all("of which rounds" not in table.headings[-2] for table in tables(loaded))
    assert not any("processes" in line for line in remarks(loaded))


def test_who_sat_out_is_said(case):
    run = run_of(case)
    resting = Round(number=24, process=3, blocks=run.rounds[0].blocks[:2], sits_out=("sa",))
    run.rounds.append(resting)
    expected = "Rounds without a module that had as many as it needs: SA 1."
    assert expected in remarks(LoadedRun(run))
    assert row(LoadedRun(run))["rounds"] == 24


def test_of_several_runs_each_level_is_that_of_their_mean(case):
    runs = {name: LoadedRun(replace(run_of(case), environment={"time": name})) for name in "ab"}
    (loaded,) = pooled(runs).values()
    sa = row(loaded)
    assert sa["ratio_processes"] == pytest.approx(exp(REACH / sqrt(2)) - 1)
    assert sa["processes"] == 8
