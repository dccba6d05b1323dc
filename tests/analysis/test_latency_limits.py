import math
from pathlib import Path

import pytest
from helpers.stored_runs import SIX

from attnbench.analysis.latency_limits import check
from attnbench.claims.limits.latency import LatencyLimit, parse
from attnbench.errors import UserError
from attnbench.stats import between_runs

FILE = Path("limits.txt")


def limit(text: str, module: str = "sa", host: str = "resnet50") -> LatencyLimit:
    return parse(text, FILE, 7, module, host)


def judged(  # noqa: PLR0913  what a test may change
    folder, text, *, module="sa", host="resnet50", origin=None, scatter=None
):
    ((outcome,),) = check(folder, [limit(text, module, host)], {module: origin}, scatter)
    return outcome


@pytest.mark.parametrize(
    ("most", "verdict", "holds", "undecided"),
    [
        # Of six rounds the interval is from the least to the greatest: 1.08 to 1.12.
        ("1.13", "within", True, False),
        ("1.1199", "cannot tell: the interval holds the limit", False, True),
        ("1.0801", "cannot tell: the interval holds the limit", False, True),
        ("1.05", "OVER by 0.030 or more", False, False),
    ],
)
def test_a_ratio_is_within_or_over_only_with_its_whole_interval(
    stored, most, verdict, holds, undecided
):
    outcome = judged(stored(sa=SIX), f"latency ratio <= {most}")
    assert (outcome.verdict, outcome.holds, outcome.undecided) == (verdict, holds, undecided)
    assert (outcome.computed, outcome.low, outcome.high) == pytest.approx((1.1, 1.08, 1.12))
    assert outcome.computed_text == "1.100 [1.080, 1.120]"
    assert (outcome.unit, outcome.stated_text) == ("1", f"<= {most}")
    assert (outcome.file, outcome.line) == ("limits.txt", 7)
    assert outcome.subject == (
        "sa in resnet50: latency ratio (resnet50, inference, batch 2, 32x32, float32, cpu)"
    )


def test_a_ratio_has_the_scatter_between_runs(stored):
    outcome = judged(stored(sa=1.1), "latency ratio <= 1.12", scatter=0.01)
    # Student's t of the six runs that are assumed: 2.447 times 1%.
    assert outcome.high == pytest.approx(1.1 * math.exp(2.447 * 0.01), rel=1e-4)
    assert outcome.rule == "95% interval of 1 run; scatter between runs assumed: 1.0%"
    assert outcome.undecided
    assert judged(stored("again", sa=1.1), "latency ratio <= 1.12").holds  # without any scatter


def test_a_latency_is_of_one_image_and_scatters_more_between_runs(stored):
    folder = stored(sa=1.2, plain_s=0.1)  # a batch of two: 0.06 s an image
    reach = math.exp(2.447 * between_runs.LATENCY_ASSUMED)
    outcome = judged(folder, "latency <= 60 ms")
    assert outcome.undecided
    assert (outcome.computed, outcome.unit) == (pytest.approx(0.06), "s")
    assert outcome.low == pytest.approx(0.06 / reach, rel=1e-4)
    assert outcome.high == pytest.approx(0.06 * reach, rel=1e-4)
    assert outcome.computed_text == "60.00 [36.78, 97.88] ms/image"
    assert judged(folder, "latency <= 98 ms").verdict == "within"
    assert judged(folder, "latency <= 36 ms").verdict == "OVER by 0.78 ms or more"


def test_more_runs_tell_more(repeated_runs, stored):
    one = stored("one", sa=1.2)
    four = repeated_runs("four", [1.2] * 4, ["1", "2", "3", "4"])
    assert judged(one, "latency <= 75 ms").undecided
    assert judged(four, "latency <= 75 ms").holds


@pytest.mark.parametrize("text", ["latency ratio <= 9", "latency <= 9 s", "latency <= 1 us"])
def test_a_control_that_fails_allows_no_verdict(stored, text):
    outcome = judged(stored(sa=1.1, control=1.05), text)
    assert outcome.undecided
    assert outcome.verdict == (
        "cannot tell: the control failed: the plain host against itself is significantly "
        "different from 1"
    )


def test_what_was_not_timed_cannot_be_told(stored):
    outcome = judged(stored(sa=[], se=1.1), "latency ratio <= 1.1")
    assert (outcome.verdict, outcome.undecided) == ("cannot tell: it was not timed", True)
    assert (outcome.computed, outcome.computed_text) == (None, "–")


def test_too_few_rounds_cannot_be_told(stored):
    outcome = judged(stored(sa=[1.1] * 3), "latency ratio <= 1.2")
    assert outcome.undecided
    assert (outcome.low, outcome.high) == (0.0, None)


def test_every_configuration_has_to_hold(grid_of):
    folder = grid_of("grid", {1: 1.1, 8: 1.3})
    ((one, eight),) = check(folder, [limit("latency ratio <= 1.2")], {})
    assert (one.holds, eight.holds) == (True, False)
    assert "batch 8" in eight.subject


def test_a_module_or_host_that_was_not_run_is_bad_input(stored):
    folder = stored(sa=1.1)
    for module, host in (("se", "resnet50"), ("sa", "resnet18")):
        with pytest.raises(
            UserError, match=f"line 7: .* no run of {module} in {host}; it holds sa"
        ):
            judged(folder, "latency ratio <= 1.1", module=module, host=host)


def test_a_module_in_a_file_is_known_by_its_code(stored):
    ran = {"docs/mine.py:Mine": 1.1}
    folder = stored(**ran, sources={"docs/mine.py:Mine": "sha256 a"})
    for name in ("mine.py:Mine", "docs/mine.py:Mine", "/elsewhere/mine.py:Mine"):
        assert judged(folder, "latency ratio <= 1.2", module=name, origin="sha256 a").holds
    with pytest.raises(
        UserError, match=r"other code of docs/mine.py:Mine: sha256 a there, sha256 b"
    ):
        judged(folder, "latency ratio <= 1.2", module="docs/mine.py:Mine", origin="sha256 b")
    for name, origin, said in (
        ("mine.py:Mine", "sha256 b", "; the code of docs/mine.py:Mine there is other code"),
        ("mine.py:Other", "sha256 a", "docs/mine.py:Mine in resnet50"),
    ):
        with pytest.raises(UserError, match=f"no run of {name} in .*{said}$"):
            judged(folder, "latency ratio <= 1.2", module=name, origin=origin)


def test_a_host_in_a_file_is_known_by_its_code(stored):
    host, settings = "nets.py:net", {"host": "gates/nets.py:net"}
    folder = stored(sa=1.1, settings=settings, sources={"plain": "sha256 a"})
    wanted = [limit("latency ratio <= 1.2", host=host)]
    ((known,),) = check(folder, wanted, {"sa": None, host: "sha256 a"})
    assert known.holds
    for origin in ("sha256 b", None):
        with pytest.raises(UserError, match=r"the code of gates/nets.py:net there is other code"):
            check(folder, wanted, {"sa": None, host: origin})
