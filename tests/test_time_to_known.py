"""benchmarks/time_to_known.py: when all modules count as known, and what either rule takes."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import calibration
import time_to_known

from attnbench.records.schema import Block, Round

STEADY = [[0.0] * len(time_to_known.TRUTHS)] * calibration.STRETCH
"""The noise of rounds that are all alike."""


def rounds_of(levels: tuple[float, ...], modules: tuple[str, ...]) -> list[Round]:
    """Return ten rounds of each process, in which these modules take 1 + level seconds."""
    return [
        Round(
            number=number,
            process=number // 10,
            blocks=tuple(
                Block(variant=v, steps=1, seconds=1.0 + levels[number // 10] * (v in modules))
                for v in time_to_known.TRUTHS
            ),
        )
        for number in range(10 * len(levels))
    ]


def test_a_module_is_known_by_what_processes_leave_open() -> None:
    """Three processes at +0, +1 and +2% by logarithms: Student's 4.30 * 1% / sqrt(3) is 2.5%."""
    rounds = rounds_of((0.0, 0.01005, 0.0202), time_to_known.MODULES[:1])
    for copies in (1, 2):
        assert time_to_known.known(rounds, 0.0253, copies=copies)
        assert not time_to_known.known(rounds, 0.0243, copies=copies)


def test_two_processes_know_nothing_of_what_differs_between_them() -> None:
    assert not time_to_known.known(rounds_of((0.0, 0.0), ()), 1.0, copies=2)


def test_steady_machines_take_the_fewest_processes_of_either_rule() -> None:
    """Old: three runs of 30 rounds. New: six processes, known at the first look: three whole."""
    settings = {"process": 0.0}
    old = time_to_known.old(calibration.machine_of(settings, 0, STEADY), 0.01)
    assert [len([r for r in old if r.process == p]) for p in range(4)] == [30, 30, 30, 0]
    new = time_to_known.new(calibration.machine_of(settings, 0, STEADY), 0.01)
    assert len(new) == 30
    assert new[-1].process >= 2
