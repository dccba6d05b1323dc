"""How much a share of some images says of the share of all images like them."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from attnbench.statistics import CONFIDENCE, Interval


def wilson(successes: int, trials: int) -> Interval:
    """The share and its 95% interval (Wilson 1927), which stays within 0 and 1.

    It takes the trials for independent draws. What it does not speak of: the same weights on the
    same images have no such doubt, and other training would move the share by more.

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = successes / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = z * sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    # Rounding alone could leave the share outside, where none or all succeeded.
    low, high = min(share, centre - reach), max(share, centre + reach)
    return Interval(share, max(0.0, low), min(1.0, high))
