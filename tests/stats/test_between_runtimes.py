from math import inf

import pytest

from attnbench.records.schema import Block, Round
from attnbench.stats import between_runtimes

SLOW = (1.0, 3.0, 2.0, 5.0, 1.0, 4.0)
"""How much slower the machine is, round by round: in both runtimes alike."""


def rounds(plain_s, name="a", *, slow=SLOW, first=0):
    return [
        Round(
            number=first + number,
            together=None if name is None else f"{name}-{number}",
            blocks=(
                Block(variant="plain", steps=2, seconds=2 * plain_s * factor),
                Block(variant="control", steps=1, seconds=plain_s * factor),
            ),
        )
        for number, factor in enumerate(slow)
    ]


def test_what_slows_the_machine_cancels_between_runtimes():
    known = between_runtimes.ratio(rounds(0.4), rounds(0.1, first=7))
    for end in (known.median, known.low, known.high):
        assert end == pytest.approx(0.25)


def test_each_round_has_a_sample_to_either_copy_of_the_first_runtimes_plain_host():
    eager = [
        Round(
            number=number,
            together=f"a-{number}",
            blocks=(
                Block(variant="plain", steps=1, seconds=1.0),
                Block(variant="control", steps=1, seconds=4.0),
            ),
        )
        for number in range(6)
    ]
    graph = rounds(1.0, slow=[1.0] * 6)
    assert between_runtimes.ratio(eager, graph).median == pytest.approx(
        0.5
    )  # of 1 and 1/4, in logarithms


def test_rounds_are_paired_by_their_name_and_not_by_their_number():
    assert len(between_runtimes.paired(rounds(1.0), rounds(1.0, slow=SLOW[:2], first=3))) == 2
    assert between_runtimes.ratio(rounds(1.0), rounds(1.0, "b")) is None


def test_rounds_without_a_name_are_never_the_same():
    assert between_runtimes.paired(rounds(1.0, None), rounds(1.0, None)) == []


def test_of_few_rounds_there_is_no_interval():
    known = between_runtimes.ratio(rounds(1.0), rounds(0.5, slow=SLOW[:5]))
    assert (known.median, known.half_width) == (0.5, inf)


def test_a_round_in_which_the_plain_host_is_missing_is_left_out():
    graph = rounds(1.0)
    graph[0] = Round(number=0, together="a-0", blocks=graph[0].blocks[1:])
    assert len(between_runtimes.paired(rounds(1.0), graph)) == 5
