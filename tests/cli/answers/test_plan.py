"""The command plan, on stored runs."""

import json
from math import exp
from random import Random
from shutil import copytree

import pytest
from helpers.command_line import call

from attnbench.records import store
from attnbench.records.schema import Block, Plan, Record, Round

NOISE = {"plain": 0.002, "control": 0.002, "sa": 0.01}
PROCESS_S = 12
"""Seconds between the rounds of two processes, beside those of the rounds."""


@pytest.fixture
def measured(case, tmp_path):
    """Make runs of four processes of twelve rounds, whose processes and runs scatter by 0.5%."""

    def make(folder, runs=3, seed=0):
        random, plan = (
            Random(seed),
            Plan(variants=("plain", "control", "sa"), budget_s=60.0, target=0.01, processes=4),
        )
        for number in range(runs):
            run, seconds, facts = random.gauss(0, 0.005), 0, {"cpu": "A", "cores": 2, "time": ""}
            lines = [plan]
            for process in range(4):
                placed = run + random.gauss(0, 0.005)
                for _ in range(12):
                    ratio = {"plain": 0, "control": 0, "sa": placed}
                    blocks = tuple(
                        Block(variant=v, steps=1, seconds=exp(r + random.gauss(0, NOISE[v])) / 3)
                        for v, r in ratio.items()
                    )
                    lines.append(Round(number=len(lines) - 1, blocks=blocks, process=process))
            for line in lines:
                time = f"2026-01-01T{number:02}:{seconds // 60:02}:{seconds % 60:02}+00:00"
                record = Record(case=case, results=line, environment=facts | {"time": time})
                store.append(tmp_path / folder / str(number), record)
                seconds += 1
                if isinstance(line, Round) and line.number % 12 == 11:
                    seconds += PROCESS_S
        return tmp_path / folder

    return make


def test_the_answer_is_a_command_and_how_long_it_takes(measured, capsys):
    assert call("plan", str(measured("runs")), "--to", "2%") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 runs: standard deviation of a log-ratio by what each level adds" in shown
    assert "Here a round takes 1.0 s, a process 12.0 s beside its rounds" in shown
    assert "Within one run, ±2% of every module: 1 run of " in shown
    assert "With what differs between runs, ±2% of every module: " in shown
    assert "attnbench run --processes " in shown


def test_json_has_the_variances_the_seconds_and_the_mixes(measured, capsys):
    assert call("plan", str(measured("runs")), "--to", "2%", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["goal"] == {"value": 0.02, "unit": "1"}
    assert set(found["variances"]) == {"control", "sa"}
    assert found["seconds"]["process_s"] == pytest.approx(PROCESS_S, abs=0.2)
    mix, cost = found["one_run"], found["seconds"]
    assert mix["half_width"] <= 0.02
    beside = cost["run_s"] + mix["processes"] * cost["process_s"]
    assert mix["seconds"] == pytest.approx(
        beside + mix["processes"] * mix["rounds"] * cost["round_s"]
    )
    assert found["several"]["runs"] >= 2


def test_what_a_process_takes_is_assumed_where_no_run_shows_it(stored, capsys, tmp_path):
    stored("one", sa=[1.1, 1.2, 1.1, 1.15, 1.1, 1.2])
    call("plan", str(tmp_path / "one"), "--to", "20%")
    shown = " ".join(capsys.readouterr().out.split())
    assert "a process 7.0 s beside its rounds" in shown  # 4 s, and 1 s for each of three networks
    assert "No run has three processes" in shown


def test_what_cannot_be_reached_is_said_with_status_1(measured, capsys):
    assert call("plan", str(measured("runs")), "--to", "0.01%") == 1
    assert "no mix reaches it (unreached); quiet the machine" in " ".join(
        capsys.readouterr().out.split()
    )


def test_what_one_run_does_not_show_is_said(measured, capsys):
    call("plan", str(measured("runs", runs=1)))
    assert "One run does not show what differs between runs" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_copy_is_no_second_run_and_another_machine_is_refused(measured, stored, tmp_path, capsys):
    one = measured("one", runs=1)
    copytree(one, tmp_path / "copy")
    assert call("plan", str(one), str(tmp_path / "copy"), "--to", "2%", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == 1
    assert found["remarks"][0] == "1 copy of a run left out"
    for name, facts in (("a", {"cpu": "A"}), ("b", {"cpu": "B"}), ("c", {"cpu": "A"})):
        mine = {"mine.py:Mine": f"sha256 {'b' if name == 'c' else 'a'}" + "0" * 63}
        stored(name, **{"mine.py:Mine": [1.1] * 6}, facts=facts, sources=mine)
    assert call("plan", str(tmp_path / "a"), str(tmp_path / "b")) == 2
    assert "one machine and its software: cpu is A in one run and B" in capsys.readouterr().err
    assert call("plan", str(tmp_path / "a"), str(tmp_path / "c")) == 2
    assert "one version of the code of mine.py:Mine" in capsys.readouterr().err


@pytest.mark.parametrize("goal", ["0", "100%", "much"])
def test_a_goal_that_is_none_is_refused(measured, capsys, goal):
    assert call("plan", str(measured("runs", runs=1)), "--to", goal) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_runs_of_several_configurations_or_none_are_refused(grid_of, tmp_path, capsys):
    assert call("plan", str(grid_of("grid", {1: 1.1, 8: 1.1}))) == 2
    assert "plan takes runs of one configuration: " in capsys.readouterr().err
    assert call("plan", str(tmp_path / "none")) == 2
    assert capsys.readouterr().err.count("\n") == 1
