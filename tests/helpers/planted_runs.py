"""Runs of known times, as the self-test takes them."""

from attnbench.measuring.selftest.selftest import (
    intervals,
)
from attnbench.records.schema import Block, Round
from attnbench.records.variants import CONTROL, PLAIN

TRUE = {PLAIN: 1.0, CONTROL: 1.0, "+2%": 1.02, "+5%": 1.05}


def run_of(*control_s, **others):
    """Rounds of the control's seconds, one after the other, and of steady other variants."""
    costs = TRUE | others
    return [
        Round(
            number=number,
            blocks=tuple(
                Block(variant=name, steps=1, seconds=costs[name] if name != CONTROL else took)
                for name in costs
            ),
        )
        for number, took in enumerate(control_s)
    ]


def good(count):
    return [intervals(run_of(*[1.0] * 6))] * count


def biased(count):
    return [intervals(run_of(*[1.01] * 6))] * count


def faster(count):
    return [intervals(run_of(*[0.99] * 6))] * count


def blind(count):
    return [intervals(run_of(*[1.0] * 6, **{"+2%": 1.0}))] * count


def wide(high):
    # Of six samples the interval reaches from the least to the greatest.
    return intervals(run_of(1.0, 1.0, 1.0, 1.0, 1.0, high))
