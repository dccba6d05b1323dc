import pytest

from attnbench import formatting
from attnbench.stats.interval import Interval


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.whole(25_557_740), "25,557,740"),
        (formatting.whole(708, signed=True), "+708"),
        (formatting.giga(4_124_683_776), "4.125"),
        (formatting.mega(2_759_680, signed=True), "+2.760"),
        (formatting.mebibytes(17_661_952), "16.8"),
        (formatting.mebibytes(2**11), "0.0020"),  # 2**11 / 2**20 = 0.00195
        (formatting.mebibytes(-(2**15), signed=True), "-0.031"),
        (formatting.mebibytes(0, signed=True), "+0.0"),
        (formatting.giga_with_doubt(Interval(0.537e9, 0.27e9, 1.07e9)), "0.5 [0.3, 1.1]"),
        (formatting.giga_with_doubt(Interval(0.0123e9, 0.01e9, 0.02e9)), "0.012 [0.010, 0.020]"),
        (
            formatting.with_interval(Interval(0.05, 0.04, 0.06), unit=" us"),
            "0.050 [0.040, 0.060] us",
        ),
        (formatting.fraction(1.5), "1.500"),
        (formatting.percent(0.013), "1.3%"),
        (formatting.stated_percent(0.1), "10%"),
        (formatting.stated_percent(0.07), "7%"),  # 100 * 0.07 is 7.000000000000001
        (formatting.stated_percent(0.0325), "3.25%"),
        (formatting.counted(0, "run"), "0 runs"),
        (formatting.counted(1, "run"), "1 run"),
        (formatting.counted(2_000, "entry", "entries"), "2,000 entries"),
        (formatting.seconds(100.4), "1 min 40 s"),
        (formatting.seconds(59.4), "59 s"),
        (formatting.milliseconds(Interval(0.07631, 0.0759, 0.07682)), "76.31 [75.90, 76.82]"),
        (formatting.ratio(Interval(1.1824, 1.1711, 1.1935)), "1.182 [1.171, 1.194]"),
    ],
)
def test_a_figure_is_rounded_as_readers_expect(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    "show", [formatting.whole, formatting.giga, formatting.mega, formatting.mebibytes]
)
def test_a_figure_that_does_not_exist_is_not_printed_as_zero(show) -> None:
    assert show(None) == show(float("nan")) == formatting.NOTHING


def test_a_ratio_without_an_interval_says_so() -> None:
    doubtful = Interval(1.2, float("-inf"), float("inf"))
    assert formatting.ratio(doubtful) == "1.200 [too few rounds]"
    assert formatting.ratio(None) == formatting.NOTHING


def test_names_that_have_commas_are_told_apart_by_semicolons():
    assert formatting.joined(["SE", "SA"]) == "SE, SA"
    assert formatting.joined(["SE", "file.py:C,sizes=(3, 5)"]) == "SE; file.py:C,sizes=(3, 5)"
    assert formatting.joined(["sa,groups=32"]) == "sa,groups=32"
    assert formatting.joined([]) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26T17:30:48+00:00", "2026-11-26 17:30:48 UTC"),
        ("2026-11-26T19:30:48+02:00", "2026-11-26 17:30:48 UTC"),
        ("2026-11-26T17:30:48", "2026-11-26T17:30:48"),
        ("None", "None"),
    ],
)
def test_a_moment_is_written_for_readers(text: str, expected: str) -> None:
    assert formatting.moment(text) == expected
