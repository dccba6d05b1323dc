from dataclasses import replace

import pytest
from attnbench.modules import ATTENTION, in_file

from attnbench import modules
from attnbench.claims import Finding, catalogue, check


def test_the_catalogues_claims_hold() -> None:
    found = {finding.claim.id: finding for finding in check(catalogue())}
    params = found["sa-abstract-module-params"]
    assert (params.computed, params.verdict) == (708, "contradicted")
    operations = found["sa-abstract-module-gflops"]
    assert (operations.computed, operations.verdict) == (2_759_680, "reproduced")
    assert all(finding.holds for finding in found.values())


@pytest.mark.parametrize(
    ("computed", "verdict"),
    [
        (2_759_680, "reproduced"),  # 2.75968e-3
        (2_755_000, "reproduced"),  # 2.755e-3, to even
        (2_764_999, "reproduced"),
        (2_754_999, "contradicted"),
        (2_765_001, "contradicted"),
    ],
)
def test_the_printed_digits_are_the_precision(computed: int, verdict: str) -> None:
    claim = next(each for each in catalogue() if each.printed == "2.76e-3")
    assert Finding(claim, computed).verdict == verdict


def test_another_group_number_in_sa_turns_the_check_red(monkeypatch: pytest.MonkeyPatch) -> None:
    build = in_file("sa", "ShuffleAttention")
    coarser = replace(ATTENTION["sa"], build=lambda channels: build(channels, groups=32))
    monkeypatch.setitem(modules.ATTENTION, "sa", coarser)
    by_metric = {finding.claim.metric: finding for finding in check(catalogue())}
    assert by_metric["added parameters"].computed == 2 * 708  # twice as wide halves
    assert not by_metric["added parameters"].holds
    assert by_metric["added GFLOPs"].holds  # half of the channels are pooled in any case


def test_pooling_by_a_function_turns_the_check_red(monkeypatch: pytest.MonkeyPatch) -> None:
    build = in_file("sa", "ShuffleAttention")

    def functional(channels: int):
        module = build(channels)
        del module.avg_pool
        module.__dict__["avg_pool"] = lambda x: x.mean((2, 3), keepdim=True)
        return module

    monkeypatch.setitem(modules.ATTENTION, "sa", replace(ATTENTION["sa"], build=functional))
    by_metric = {finding.claim.metric: finding for finding in check(catalogue())}
    assert by_metric["added GFLOPs"].computed == 0
    assert not by_metric["added GFLOPs"].holds
