import pytest

from attnbench.claims.claim import Claim, Finding, catalogue, select
from attnbench.claims.published.networks import NETWORKS
from attnbench.counting import EXTRA_RULES, RULES
from attnbench.errors import UserError
from attnbench.hosts.build import HOSTS
from attnbench.hosts.detection import DETECTORS
from attnbench.modules import ATTENTION


def claim(**changes) -> Claim:
    fields = {
        "id": "x",
        "source": "a paper",
        "host": "resnet50",
        "metric": "gflops",
        "printed": "4.13",
        "unit": 10**9,
        "rule": "leaf",
        "verdict": "reproduced",
    }
    return Claim(**(fields | changes))


def test_the_catalogue_speaks_of_what_exists() -> None:
    ids = {row.id for row in catalogue()}
    for row in catalogue():
        counted = row.rule is not None
        network = (row.host, row.attention)
        assert not counted or row.host in HOSTS | DETECTORS or network in NETWORKS
        assert (row.copy_of is not None) <= (row.copy_of in ids)
        assert row.attention is None or row.attention in ATTENTION
        assert {row.rule, row.explained_by} - {None} <= set(RULES | EXTRA_RULES)
        assert (row.verdict == "explained") == (row.explained_by is not None)
        assert (row.verdict == "contradicted") == (row.true is not None or row.copy_of is not None)
        assert counted == (row.verdict not in {"needs data", "needs a V100"} and not row.copy_of)
        assert row.verdict == "reproduced" or row.note or row.verdict == "needs data"
    # 135 one by one; in the tables 104 of ImageNet, 135 of COCO, 45 of a V100.
    assert len(ids) == len(catalogue()) == 135 + 104 + 135 + 45


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (4_125_000_000, "reproduced"),  # half a digit goes up
        (4_134_999_999, "reproduced"),
        (4_124_999_999, "contradicted"),
        (4_135_000_000, "contradicted"),
    ],
)
def test_the_printed_digits_are_the_precision(figure: int, verdict: str) -> None:
    assert Finding(claim(), figure).verdict == verdict


def test_a_figure_that_another_rule_gives_is_explained() -> None:
    explained = claim(verdict="explained", explained_by="macs", printed="4.09")
    assert Finding(explained, 4_121_924_096, 4_089_184_256).holds
    assert not Finding(explained, 4_089_184_256, 4_089_184_256).holds  # it is reproduced now


def test_a_contradiction_by_another_figure_is_not_the_expected_one() -> None:
    contradicted = claim(printed="300", unit=1, verdict="contradicted", true=708)
    assert Finding(contradicted, 708).holds
    assert not Finding(contradicted, 709).holds


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="no computable claim matches 'foo'"):
        select("foo")
    with pytest.raises(UserError, match="no computable claim"):
        select("pi-resnet50-none-top1")  # an accuracy
