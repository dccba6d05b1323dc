from collections import Counter
from dataclasses import replace

import pytest

from attnbench import modules
from attnbench.claims.check import check
from attnbench.claims.claim import Claim, Finding, catalogue, off_by, select
from attnbench.hosts.build import HOSTS
from attnbench.modules import ATTENTION, in_file


@pytest.fixture
def findings(every_finding: list[Finding]) -> dict[str, Finding]:
    return {finding.claim.id: finding for finding in every_finding}


def test_every_verdict_is_the_expected_one(findings: dict[str, Finding]) -> None:
    assert [finding.outcome().fault for finding in findings.values() if not finding.holds] == []
    assert Counter(finding.verdict for finding in findings.values()) == {
        "reproduced": 83,
        "explained": 13,
        "contradicted": 3,
    }


def test_every_claim_is_computed_unless_it_is_measured(findings: dict[str, Finding]) -> None:
    counted = ("params", "gflops", "flops")
    measured = {claim.id: claim for claim in catalogue() if claim.metric.split()[-1] not in counted}
    assert {claim.id for claim in catalogue()} == set(measured) | set(findings)
    assert not set(measured) & set(findings)
    for claim in measured.values():
        times = claim.metric in {"images/s", "s/iteration", "GB"}
        needed = "needs a V100" if times else "needs data"
        assert claim.verdict == ("contradicted" if claim.copy_of else needed)


def test_the_abstracts_two_figures(findings: dict[str, Finding]) -> None:
    params = findings["sa-abstract-module-params"]
    # 6 vectors shared by all groups: 2 channels in 3 blocks, 4 in 4, 8 in 6, 16 in 3.
    assert params.computed == 6 * (2 * 3 + 4 * 4 + 8 * 6 + 16 * 3) == 708
    assert params.verdict == "contradicted"
    assert off_by(params.claim, params.computed) == "2.36 times what is printed"
    assert findings["sa-abstract-module-gflops"].computed == 2_759_680


def test_no_rule_gives_what_is_called_contradicted() -> None:
    contradicted = [c for c in catalogue() if c.verdict == "contradicted" and c.rule]
    speaking = {
        "params": ("learnable", "thop", "fvcore", "stored"),
        "gflops": ("macs", "leaf", "thop", "thop 0.0.23"),  # the quick ones
    }
    for claim in contradicted:
        rules = speaking[claim.metric.split()[-1]]
        for finding in check([replace(claim, rule=rule) for rule in rules]):
            assert finding.verdict == "contradicted", (finding.claim.rule, finding.computed)


def test_the_eca_papers_figures_in_its_own_units(findings: dict[str, Finding]) -> None:
    assert findings["eca-r50-gflops"].computed == 4_147_732_480  # / 2**30 = 3.8629
    assert findings["eca-r101-gflops"].computed == 7_887_349_760  # / 2**30 = 7.3457
    assert findings["eca-r50-params"].computed == 25_557_112  # / 2**20 = 24.373


def test_eca_in_other_networks(findings: dict[str, Finding]) -> None:
    # Kernels by stage, as its weights are named: 2 blocks of each in ResNet-18, 3, 4, 6 and 3 in
    # ResNet-34, 3, 8, 36 and 3 in ResNet-152; in MobileNetV2 k = 1 in 10 blocks and 3 in 7.
    assert findings["eca-r18-params"].computed == 11_689_512 + 2 * (3 + 5 + 7 + 7)
    assert findings["eca-r34-params"].computed == 21_797_672 + 3 * 3 + 4 * 3 + 6 * 5 + 3 * 7
    assert findings["eca-r152-params"].computed == 60_192_808 + 3 * 3 + 8 * 3 + 36 * 5 + 3 * 7
    assert findings["eca-mobilenetv2-params"].computed == 3_504_872 + 10 * 1 + 7 * 3
    # 57.41 Mi begins 698 parameters above the plain network: 57.405 * 2^20 = 60,193,505.3.
    assert findings["eca-r152-params"].verdict == "contradicted"


def test_ecas_detectors_are_what_mmdetection_counts(findings: dict[str, Finding]) -> None:
    # Their rows are exact to the last printed digit by that rule, and by no other.
    detectors = [finding for key, finding in findings.items() if "_fpn" in finding.claim.host]
    assert len(detectors) == 12
    gflops = [finding for finding in detectors if finding.claim.metric == "gflops"]
    assert {finding.claim.explained_by for finding in gflops} == {"leaf, mmdetection"}
    assert {finding.claim.image_size for finding in gflops} == {(1280, 800)}
    assert findings["eca-fasterrcnn50-params"].computed == 41_531_812 + 4 * 5 + 6 * 5 + 3 * 7
    assert findings["eca-retinanet50-params"].explanation == 37_743_419


def test_a_backbone_is_counted_for_the_size_that_its_row_states(
    findings: dict[str, Finding],
) -> None:
    plain = findings["pi-backbone101-none-gflops"]
    assert plain.claim.subject == "resnet101_backbone: gflops at 800x1333"
    assert plain.computed == 167_906_009_600
    se = findings["pi-backbone101-se-gflops"]
    assert (se.verdict, se.computed) == ("contradicted", 168_101_628_400)
    assert Claim(**({**vars(plain.claim), "size": None})).image_size == 224


def test_the_original_sknets(findings: dict[str, Finding]) -> None:
    assert findings["sk-sknet50-params"].computed == 27_479_784
    assert findings["sk-sknet50-params"].verdict == "reproduced"
    assert findings["sk-sknet101-params"].verdict == "explained"


def changed(
    monkeypatch: pytest.MonkeyPatch, name: str, build, hosts=("resnet50",), figure: str = ""
) -> set[str]:
    """The ids of the module's claims that do not hold once it is built otherwise.

    Of those for some hosts, whose metric ends in that figure.
    """
    monkeypatch.setitem(modules.ATTENTION, name, replace(ATTENTION[name], build=build))
    concerned = [
        claim
        for claim in select(None)
        if claim.attention == name and claim.host in hosts and claim.metric.endswith(figure)
    ]
    return {finding.claim.id for finding in check(concerned) if not finding.holds}


def test_another_group_number_in_sa_turns_the_check_red(monkeypatch: pytest.MonkeyPatch) -> None:
    build = in_file("sa", "ShuffleAttention")
    coarser = lambda channels: build(channels, groups=32)  # noqa: E731
    assert changed(monkeypatch, "sa", coarser, HOSTS) == {"sa-abstract-module-params"}


def test_se_without_biases_turns_the_check_red(monkeypatch: pytest.MonkeyPatch) -> None:
    build = in_file("se", "SqueezeExcitation")

    def unbiased(channels: int):
        module = build(channels)
        for layer in (module.fc[0], module.fc[2]):
            layer.register_parameter("bias", None)
        return module

    red = changed(monkeypatch, "se", unbiased, figure="params")
    assert {"pi-resnet50-se-params", "img-resnet50-se-params"} <= red  # 28.07M, not 28.09M


@pytest.mark.parametrize("name", ["se", "sge", "sa", "cbam", "eca", "sk"])
def test_pooling_by_a_function_turns_the_check_red(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    build = ATTENTION[name].build

    def functional(channels: int, **settings):
        module = build(channels, **settings)
        for part in list(module.modules()):
            if "avg_pool" in dict(part.named_children()):
                del part.avg_pool
                part.__dict__["avg_pool"] = lambda x: x.mean((2, 3), keepdim=True)
        return module

    # The printed digits of ECA's smaller network do not show it.
    host = "resnet101" if name == "eca" else "resnet50"
    assert changed(monkeypatch, name, functional, (host,), "gflops")
