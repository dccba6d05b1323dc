from pathlib import Path

import pytest

from attnbench.claims.limits.file import read
from attnbench.claims.limits.latency import LatencyLimit, is_latency, parse
from attnbench.errors import UserError

FILE = Path("gates/limits.txt")


def parsed(text: str) -> LatencyLimit:
    return parse(text, FILE, 3, "sa", "resnet50")


@pytest.mark.parametrize(
    ("text", "quantity", "most", "unit", "written"),
    [
        ("latency ratio <= 1.10", "latency ratio", 1.1, "1", "<= 1.10"),
        ("latency ratio<=2", "latency ratio", 2.0, "1", "<= 2"),
        ("latency <= 50 ms", "latency", 0.05, "s", "<= 50 ms"),
        ("latency <= 50ms", "latency", 0.05, "s", "<= 50 ms"),
        ("latency <= 0.5 s", "latency", 0.5, "s", "<= 0.5 s"),
        ("latency <= 250 us", "latency", 0.00025, "s", "<= 250 us"),
    ],
)
def test_a_limit_is_a_ratio_or_seconds(
    text: str, quantity: str, most: float, unit: str, written: str
) -> None:
    limit = parsed(text)
    assert (limit.quantity, limit.unit, limit.written) == (quantity, unit, written)
    assert limit.most == pytest.approx(most)
    assert limit.where == f"{FILE}, line 3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency <= 50", "'latency <= 50' needs s, ms, us: latency <= 50 ms"),
        ("latency <= 50 min", "needs s, ms, us"),
        ("latency ratio <= 1.1 ms", "needs no unit, as it is a ratio: latency ratio <= 1.10"),
        (
            "latency ratio <= 10%",
            "is not of the form 'latency ratio <= 1.10' or 'latency <= 50 ms'; as a ratio that is "
            "1.1$",
        ),
        ("latency ratio < 1.1", "is not of the form"),
        ("latency <= -5 ms", "is not of the form"),
        ("latency <= 1e9 s", "is not of the form|needs"),
        ("latency <= 0 ms", "can never hold"),
        ("latency ratio <= 0.0", "can never hold"),
        ("added latency <= 5 ms", "is not of the form"),
        ("latency", "is not of the form"),
    ],
)
def test_what_is_written_otherwise_is_refused(text: str, message: str) -> None:
    assert is_latency(text)
    with pytest.raises(UserError, match=f"^gates/limits.txt, line 3: .*({message})"):
        parsed(text)


def test_a_file_may_hold_both_kinds(tmp_path: Path) -> None:
    path = tmp_path / "limits.txt"
    path.write_text("\nsa in resnet50: added params <= 708, latency ratio <= 1.2\n")
    exact, measured = read(path)
    assert not isinstance(exact, LatencyLimit)
    assert measured == LatencyLimit(path, 2, "sa", "resnet50", "latency ratio", 1.2, "<= 1.2")
