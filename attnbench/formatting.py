"""The only place that rounds: from base units to the text that people read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from math import floor, isfinite, log10

from attnbench.modules import ATTENTION
from attnbench.stats.interval import Interval
from attnbench.text import printable

MIB = 2**20
LEAST = 0.1
"""Smaller values get two significant digits."""

NOTHING = "–"
"""Printed where a figure does not exist."""


class IntervalText(str):
    """``1.182 [1.171, 1.193]``, and how papers print the same."""

    plus_minus: str
    """``1.182 ± 0.011``: the median and the distance to the farther end."""

    def __new__(cls, brackets: str, plus_minus: str) -> IntervalText:
        text = super().__new__(cls, brackets)
        text.plus_minus = plus_minus
        return text


def at_least(text: str) -> str:
    """Return a printed figure as one that may be larger: ``≥ 12.3``."""
    if isinstance(text, IntervalText):
        return IntervalText(f"≥ {text}", f"≥ {text.plus_minus}")
    return f"≥ {text}"


def _number(value: float | None, spec: str, unit: float = 1, *, signed: bool = False) -> str:
    if value is None or not isfinite(value):
        return NOTHING
    return format(value / unit, "+" * signed + spec)


whole = partial(_number, spec=",.0f")
"""``25,557,740``; ``signed`` for a difference."""

giga = partial(_number, spec=".3f", unit=1e9)
"""Operations in 1e9: ``4.125``."""

mega = partial(_number, spec=",.3f", unit=1e6)
"""Operations in 1e6: ``2.760``; ``signed`` for a difference."""

fraction = partial(_number, spec=".3f")
"""A ratio of two exact figures: ``1.571``."""

tenths = partial(_number, spec=".1f")
"""A figure with one digit after the point: ``12.3``."""

hundredths = partial(_number, spec=".2f")
"""An accuracy in percent: ``77.18``."""

thousandths = partial(_number, spec=".2f", unit=1e-3)
"""Seconds in 1e-3: ``76.31``."""


def error(value: float | None) -> str:
    """Return a relative error: ``0.00008%``, ``0.41%``, with two significant digits."""
    if value is None or not isfinite(value):
        return NOTHING
    return f"{100 * value:.{1 if value == 0 else max(0, 1 - floor(log10(100 * value)))}f}%"


def mebibytes(value: float | None, *, signed: bool = False) -> str:
    """Return bytes in 2**20: ``16.8``, ``0.0020``; with a sign for a difference."""
    digits = 0 if value is None or not isfinite(value) else _digits(value / MIB)
    return _number(value, f",.{digits}f", MIB, signed=signed)


def _digits(value: float) -> int:
    """Return how many to print after the point: one, or as many as two significant digits take."""
    size = abs(value)
    return 1 if size == 0 or size >= LEAST else 1 - floor(log10(size))


def with_interval(
    interval: Interval | None, *, digits: int | None = None, scale: float = 1, unit: str = ""
) -> str:
    """Return a figure with its interval and unit: ``12.3 [12.1, 12.6] GB/s``."""
    if interval is None:
        return NOTHING
    low, median, high = (end * scale for end in (interval.low, interval.median, interval.high))
    spec = f".{_digits(median) if digits is None else digits}f"
    text = f"{median:{spec}}"
    if not isfinite(interval.half_width):
        return f"{text} [too few rounds]{unit}"
    farther = max(median - low, high - median)
    brackets = f"{text} [{low:{spec}}, {high:{spec}}]{unit}"
    return IntervalText(brackets, f"{text} ± {farther:{spec}}{unit}")


milliseconds = partial(with_interval, scale=1e3, digits=2)
"""Seconds with their interval in 1e-3: ``76.31 [75.90, 76.82]``."""

millijoules = partial(with_interval, scale=1e3)
"""Joules with their interval in 1e-3: ``812.4 [810.9, 813.7]``."""

microseconds = partial(with_interval, scale=1e6, digits=1)
"""Seconds with their interval in 1e-6: ``76.3 [75.9, 76.8]``."""

ratio = partial(with_interval, digits=3)
"""A ratio with its interval: ``1.182 [1.171, 1.193]``."""

accuracy = partial(with_interval, digits=3)
"""A percentage of images with its interval: ``77.184 [76.814, 77.550]``."""

share = partial(with_interval, scale=100, digits=0, unit="%")
"""A share in whole percent with its interval: ``38 [36, 41]%``."""

giga_with_doubt = partial(with_interval, scale=1e-9)
"""Bytes a second in 1e9 with their interval: ``78.6 [69.2, 91.7]``."""


def overhead(interval: Interval | None) -> str:
    """Return a ratio as overhead in percent, with its interval: ``+16.8% [+13.5, +20.3]``."""
    if interval is None:
        return NOTHING
    low, median, high = (end - 1 for end in (interval.low, interval.median, interval.high))
    if not isfinite(interval.half_width):
        return f"{median:+.1%} [too few rounds]"
    return f"{median:+.1%} [{low * 100:+.1f}, {high * 100:+.1f}]"


def points(interval: Interval | None) -> str:
    """Return a difference of shares in percentage points: ``+0.34 [-1.20, +1.88]``."""
    if interval is None:
        return NOTHING
    low, middle, high = (100 * end for end in (interval.low, interval.median, interval.high))
    if not isfinite(interval.half_width):
        return f"{middle:+.2f} [too few seeds]"
    text = f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]"
    return IntervalText(text, f"{middle:+.2f} ± {max(middle - low, high - middle):.2f}")


def percent(value: float, digits: int = 1) -> str:
    """Return a share: ``1.3%``."""
    return f"{value:.{digits}%}"


def stated_percent(value: float) -> str:
    """Return a share as a user would state it: ``10%``, ``2.5%``."""
    return f"{100 * value:.6g}%"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 run``, ``2 runs``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def seconds(value: float) -> str:
    """Return a duration: ``1 min 40 s``."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def other_word(code: str, verdict: str) -> str:
    """Return the code of a verdict; nothing where the verdict is the same word."""
    return NOTHING if code == verdict else code


def moment(text: str) -> str:
    """Return a time of ISO 8601 for readers, ``2026-11-26 17:30:48 UTC``; other text as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when.tzinfo else text


def joined(names: Iterable[str]) -> str:
    """Return ``SE, SA``; with semicolons where a name contains a comma."""
    listed = list(names)
    return ("; " if any("," in name for name in listed) else ", ").join(listed)


def title(variant: str) -> str:
    """Return a variant's name for tables and plots, on one line that can be displayed."""
    label = ATTENTION[variant].label if variant in ATTENTION else ""
    return label or printable(variant)
