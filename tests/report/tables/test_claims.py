from dataclasses import replace

from attnbench.claims.claim import UNITS, catalogue
from attnbench.records.run import Run
from attnbench.records.schema import Count
from attnbench.report.tables.claims import findings, table, unchecked


def verdicts(run: Run) -> dict[str, str]:
    return {found.claim.id: found.verdict for found in findings(run)}


def test_published_figures_are_held_against_the_runs_own_counts(run: Run) -> None:
    found = verdicts(run)
    assert found["sa-abstract-module-params"] == "contradicted"  # 300, and 708 in these records
    assert found["sa-abstract-module-gflops"] == "reproduced"
    assert found["pi-resnet50-none-params"] == "reproduced"


def test_a_count_that_changed_changes_the_verdict(run: Run) -> None:
    wrong = dict(run.counts["sa"]) | {"leaf": Count(operations=5_000_000_000)}
    changed = replace(run, counts=run.counts | {"sa": wrong})
    assert verdicts(changed)["sa-abstract-module-gflops"] == "contradicted"


def test_only_networks_of_this_run_are_spoken_of(run: Run) -> None:
    networks = {(found.claim.host, found.claim.attention) for found in findings(run)}
    assert networks == {("resnet50", None), ("resnet50", "sa")}  # SK's counts failed
    assert findings(replace(run, case=replace(run.case, host="resnet101"))) != findings(run)


def test_operations_of_another_image_size_are_not_those_that_were_printed(run: Run) -> None:
    small = replace(run, case=replace(run.case, image_size=64))
    assert "sa-abstract-module-params" in verdicts(small)
    assert "sa-abstract-module-gflops" not in verdicts(small)


def test_a_detectors_operations_are_held_at_the_published_size_alone(run: Run) -> None:
    counts = {
        "eca": {
            "learnable": Count(params=41_531_883),
            "leaf": Count(operations=207_201_652_660),
            "leaf, mmdetection": Count(operations=207_181_960_372),
        }
    }
    case = replace(run.case, host="fasterrcnn_resnet50_fpn", image_size=(1280, 800))
    plan = replace(run.plan, variants=("plain", "control", "eca"))
    detector = replace(run, case=case, plan=plan, counts=counts)
    assert verdicts(detector) == {
        "eca-fasterrcnn50-params": "reproduced",
        "eca-fasterrcnn50-gflops": "explained",
    }
    other = replace(detector, case=replace(case, image_size=(800, 1333)))
    assert verdicts(other) == {"eca-fasterrcnn50-params": "reproduced"}


def test_what_cannot_be_judged_is_counted(run: Run) -> None:
    assert unchecked(replace(run, counts={})) == unchecked(run) + len(findings(run))


def test_a_row_says_what_is_printed_in_which_unit_and_what_is_true(run: Run) -> None:
    rows = {row[0]: row for row in table(run).rows if "SA-Net abstract" in row[1]}
    assert rows["sa in resnet50: added params"][2:] == (
        "300",
        "708 (learnable)",
        "contradicted",
        "contradicted, 708",
    )
    assert rows["resnet50: params"][2] == "25.56 M"


def test_every_unit_of_the_catalogue_has_a_sign() -> None:
    assert {claim.unit for claim in catalogue()} <= set(UNITS)
