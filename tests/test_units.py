import pytest

from attnbench import units
from attnbench.stats.interval import Interval


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (units.whole(25_557_740), "25,557,740"),
        (units.whole(708, signed=True), "+708"),
        (units.giga(4_124_683_776), "4.125"),
        (units.mega(2_759_680, signed=True), "+2.760"),
        (units.mebibytes(17_661_952), "16.8"),
        (units.mebibytes(2**11), "0.0020"),  # 2**11 / 2**20 = 0.00195
        (units.mebibytes(-(2**15), signed=True), "-0.031"),
        (units.mebibytes(0, signed=True), "+0.0"),
        (units.giga_with_doubt(Interval(0.537e9, 0.27e9, 1.07e9)), "0.5 [0.3, 1.1]"),
        (units.giga_with_doubt(Interval(0.0123e9, 0.01e9, 0.02e9)), "0.012 [0.010, 0.020]"),
        (units.tenths_with_doubt(Interval(0.05, 0.04, 0.06), "us"), "0.050 [0.040, 0.060] us"),
        (units.fraction(1.5), "1.500"),
        (units.percent(0.013), "1.3%"),
        (units.seconds(100.4), "1 min 40 s"),
        (units.seconds(59.4), "59 s"),
        (units.milliseconds(Interval(0.07631, 0.0759, 0.07682)), "76.31 [75.90, 76.82]"),
        (units.ratio(Interval(1.1824, 1.1711, 1.1935)), "1.182 [1.171, 1.194]"),
    ],
)
def test_a_figure_is_rounded_as_readers_expect(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize("show", [units.whole, units.giga, units.mega, units.mebibytes])
def test_a_figure_that_does_not_exist_is_not_printed_as_zero(show) -> None:
    assert show(None) == show(float("nan")) == units.NOTHING


def test_a_ratio_without_an_interval_says_so() -> None:
    doubtful = Interval(1.2, float("-inf"), float("inf"))
    assert units.ratio(doubtful) == "1.200 [too few rounds]"
    assert units.ratio(None) == units.NOTHING
