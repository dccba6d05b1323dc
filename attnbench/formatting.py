"""The only place that rounds: from base units to the text that people read."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, isfinite, log10

from attnbench.stats.interval import Interval

MIB = 2**20
LEAST = 0.1
"""What is less has its digits behind the zeros."""

NOTHING = "–"
"""Printed where a figure does not exist."""


class IntervalText(str):
    """``1.182 [1.171, 1.193]``, and how papers print the same."""

    __slots__ = ("plus_minus",)

    plus_minus: str
    """``1.182 ± 0.011``: the median and the distance to the farther end."""

    def __new__(cls, brackets: str, plus_minus: str) -> IntervalText:
        text = super().__new__(cls, brackets)
        text.plus_minus = plus_minus
        return text


def whole(value: float | None, *, signed: bool = False) -> str:
    """``25,557,740``; with a sign where it is a difference."""
    return NOTHING if _missing(value) else f"{value:{'+' if signed else ''},.0f}"


def giga(value: float | None) -> str:
    """Operations in 1e9: ``4.125``."""
    return NOTHING if _missing(value) else f"{value / 1e9:.3f}"  # type: ignore[operator]


def mega(value: float | None, *, signed: bool = False) -> str:
    """Operations in 1e6: ``+2.760``."""
    if _missing(value):
        return NOTHING
    return f"{value / 1e6:{'+' if signed else ''},.3f}"  # type: ignore[operator]


def mebibytes(value: float | None, *, signed: bool = False) -> str:
    """Bytes in 2**20: ``16.8``, ``0.0020``; with a sign where it is a difference."""
    if value is None or _missing(value):
        return NOTHING
    return f"{value / MIB:{'+' if signed else ''},.{_digits(value / MIB)}f}"


def fraction(value: float | None) -> str:
    """A ratio without doubt, between two exact figures: ``1.571``."""
    return NOTHING if _missing(value) else f"{value:.3f}"


def milliseconds(interval: Interval | None) -> str:
    """Seconds with their interval in 1e-3: ``76.31 [75.90, 76.82]``."""
    return _doubted(interval, scale=1e3, digits=2)


def ratio(interval: Interval | None) -> str:
    """A ratio with its interval: ``1.182 [1.171, 1.193]``."""
    return _doubted(interval, scale=1, digits=3)


def overhead(interval: Interval | None) -> str:
    """A ratio as what is over 1, with its interval: ``+16.8% [+13.5, +20.3]``."""
    if interval is None:
        return NOTHING
    low, median, high = (each - 1 for each in (interval.low, interval.median, interval.high))
    if not isfinite(interval.half_width):
        return f"{median:+.1%} [too few rounds]"
    return f"{median:+.1%} [{low * 100:+.1f}, {high * 100:+.1f}]"


def tenths(value: float | None) -> str:
    """A figure of which one digit after the point matters: ``12.3``."""
    return NOTHING if _missing(value) else f"{value:.1f}"


def hundredths(value: float | None) -> str:
    """An accuracy in percent: ``77.18``."""
    return NOTHING if _missing(value) else f"{value:.2f}"


def accuracy(interval: Interval | None) -> str:
    """A percentage of images with its interval: ``77.184 [76.814, 77.550]``."""
    return _doubted(interval, scale=1, digits=3)


def thousandths(value: float | None) -> str:
    """Seconds in 1e-3: ``76.31``."""
    return NOTHING if _missing(value) else f"{value * 1e3:.2f}"  # type: ignore[operator]


def tenths_with_doubt(interval: Interval | None, unit: str = "") -> str:
    """The same with its interval and unit: ``12.3 [12.1, 12.6] GB/s``."""
    digits = _digits(interval.median) if interval else 1
    return _doubted(interval, scale=1, digits=digits, unit=unit and f" {unit}")


def microseconds(interval: Interval | None) -> str:
    """Seconds with their interval in 1e-6: ``76.3 [75.9, 76.8]``."""
    return _doubted(interval, scale=1e6, digits=1)


def giga_with_doubt(interval: Interval | None) -> str:
    """Bytes a second in 1e9 with their interval: ``78.6 [69.2, 91.7]``."""
    digits = _digits(interval.median * 1e-9) if interval else 1
    return _doubted(interval, scale=1e-9, digits=digits)


def share(interval: Interval | None) -> str:
    """A share in whole percent with its interval: ``38 [36, 41]%``."""
    return _doubted(interval, scale=100, digits=0, unit="%")


def percent(value: float, digits: int = 1) -> str:
    """A share: ``1.3%``."""
    return f"{value:.{digits}%}"


def seconds(value: float) -> str:
    """A duration: ``1 min 40 s``."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _doubted(interval: Interval | None, scale: float, digits: int, unit: str = "") -> str:
    if interval is None:
        return NOTHING
    low, median, high = (each * scale for each in (interval.low, interval.median, interval.high))
    shown = f"{median:.{digits}f}"
    if not isfinite(interval.half_width):
        return f"{shown} [too few rounds]{unit}"
    farther = max(median - low, high - median)
    return IntervalText(
        f"{shown} [{low:.{digits}f}, {high:.{digits}f}]{unit}",
        f"{shown} ± {farther:.{digits}f}{unit}",
    )


def _digits(value: float) -> int:
    """One after the point, or as many as it takes for two that are not zero."""
    size = abs(value)
    return 1 if size == 0 or size >= LEAST else 1 - floor(log10(size))


def _missing(value: float | None) -> bool:
    return value is None or not isfinite(value)


def joined(names: Iterable[str]) -> str:
    """``SE, SA``; with semicolons where a name has a comma of its own."""
    found = list(names)
    return ("; " if any("," in name for name in found) else ", ").join(found)


TITLES = {name: name.upper() for name in ("se", "cbam", "eca", "gc", "sk", "sge", "sa")}
"""As the papers write them; any other name stands as it is."""


def title(variant: str) -> str:
    """The name that tables and plots show, on one line; for what cannot be shown stands ``�``.

    No file may be broken by it: a control character has no place in an SVG, and one that turns
    the direction of writing would turn its neighbours too.
    """
    return TITLES.get(variant) or "".join(map(_shown, variant))


def printable(text: str) -> str:
    """Return any text on one line, with ``�`` for what cannot be displayed."""
    return "".join(map(_shown, " ".join(text.split())))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
