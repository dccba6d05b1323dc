"""Student's t for whole degrees of freedom, exact also for one or two of them."""

from __future__ import annotations

from functools import lru_cache
from math import atan, cos, pi, sin, sqrt, tan

from attnbench.stats.interval import CONFIDENCE


def within(t: float, freedom: int) -> float:
    """Return the probability of -t to t (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = atan(t / sqrt(freedom))
    cosine, sine = cos(angle), sin(angle)
    odd = freedom % 2 == 1
    # The series of cosines: 1, 2/3, 2*4/(3*5) for odd degrees; 1, 1/2, 1*3/(2*4) for even ones.
    term, total = (cosine if odd else 1.0), 0.0
    for step in range((freedom - 1) // 2 if odd else freedom // 2):
        total += term
        upper = 2 * step + (2 if odd else 1)
        term *= cosine**2 * upper / (upper + 1)
    return 2 / pi * (angle + sine * total) if odd else sine * total


@lru_cache(maxsize=1024)
def quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return the t within whose two sides that share lies; by halving an angle's range.

    Raises:
        ValueError: there are no degrees of freedom.
    """
    if freedom < 1:
        raise ValueError("no degrees of freedom")
    low, high = 0.0, pi / 2
    for _ in range(60):  # to the last digit of a float
        middle = (low + high) / 2
        if within(tan(middle) * sqrt(freedom), freedom) < confidence:
            low = middle
        else:
            high = middle
    return tan(low) * sqrt(freedom)
