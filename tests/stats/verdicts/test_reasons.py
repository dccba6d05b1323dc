from math import inf
from typing import get_args

import pytest

from attnbench.equivalence import same
from attnbench.hosts.placement import listing
from attnbench.records.schema import Block, Disturbance, Round
from attnbench.stats.interval import Interval
from attnbench.stats.verdicts import reasons
from attnbench.stats.verdicts.explanations import REASONS
from attnbench.stats.verdicts.reasons import of_control, of_ratio
from attnbench.system.doctor import findings

HOLDS, OFF, WIDE = Interval(1.0, 0.995, 1.005), Interval(1.02, 1.01, 1.03), Interval(1.0, 0.9, 1.1)
STOLEN = Disturbance(elapsed_s=1.0, stolen_s=0.5)


def test_every_code_is_explained_and_is_one_word():
    constants = [value for name, value in vars(reasons).items() if name.isupper()]
    # Rooms that may not import this one state their own.
    elsewhere = {*get_args(same.Code), *get_args(findings.State), listing.TAKEN}
    assert {value for value in constants if isinstance(value, str)} | elsewhere == set(REASONS)
    assert all(code == code.lower() and code.replace("-", "").isalpha() for code in REASONS)
    for reason in REASONS.values():
        assert reason.means.endswith(".")
        assert reason.advice.endswith(".")


@pytest.mark.parametrize(
    ("low", "high", "code"),
    [(1.01, 1.2, "slower"), (0.8, 0.99, "faster"), (0.9, 1.1, "tie"), (1.0, 1.1, "tie")],
)
def test_the_code_of_a_ratio_is_where_its_interval_lies(low, high, code):
    assert of_ratio(Interval((low + high) / 2, low, high)) == code


def rounds(count, **changes):
    """Return ten rounds, of which that many have the changes."""
    blocks = (Block(variant="plain", steps=1, seconds=1.0),)
    flagged = [Round(number=number, blocks=blocks, **changes) for number in range(count)]
    return [*flagged, *(Round(number=number, blocks=blocks) for number in range(count, 10))]


@pytest.mark.parametrize(
    ("control", "timed", "throttled", "code"),
    [
        (HOLDS, rounds(10, shared=True), 10, None),  # it holds all the same
        (None, [], 0, "few-rounds"),
        (Interval(1.0, -inf, inf), rounds(0), 0, "few-rounds"),
        (OFF, rounds(0), 0, "control"),
        (WIDE, rounds(0), 0, "noisy"),
        (WIDE, rounds(5, shared=True), 0, "noisy"),  # half of them are not most
        (WIDE, rounds(6, shared=True), 0, "shared"),
        (OFF, rounds(6, disturbance=STOLEN), 0, "disturbed"),
        (OFF, rounds(6, disturbance=STOLEN), 6, "throttled"),
    ],
)
def test_the_code_of_a_control_names_what_most_rounds_were_flagged_for(
    control, timed, throttled, code
):
    assert of_control(control, 0.01, timed, throttled) == code
