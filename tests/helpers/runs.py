"""What tests of measuring share: variants, how long their rounds take, and views of records."""

from itertools import groupby

from helpers.processes import TickingClock

from attnbench.records.schema import Memory, Record, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.system.disturbance import Counters

TICK_S = TickingClock().tick_s  # what any block of real work takes here: 1 / 32 s
VARIANTS = (PLAIN, CONTROL, "se", "eca")
ROUND_S = len(VARIANTS) * TICK_S
LONG = 500 * ROUND_S
PARTS = ("forward", "backward", "optimizer")


def undisturbed():
    return Counters(awake_s=0.0)


def raise_(error):
    raise error


def no_memory(_, variant):
    return Memory(peak_live_bytes=len(variant))


def first_records(run):
    """What a run's file begins with."""
    return [Record(case=run.case, results=run.plan, environment=run.environment)]


def kinds(records):
    return [
        (each.results.kind if each.results else each.error.step, each.variant) for each in records
    ]


def rounds_in(records):
    return [each.results for each in records if isinstance(each.results, Round)]


def names(each):
    return {block.variant for block in each.blocks}


def ran(run):
    """Who ran in the run's rounds, told once where it stays the same."""
    return [who for who, _ in groupby(run.rounds, names)]


WARM_UP_CALLS = 1 + 1 + 3  # the look at the output, the first step, and three blocks
