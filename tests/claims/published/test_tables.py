from attnbench.claims.claim import Claim, catalogue
from attnbench.claims.published import tables

CLAIMS = {claim.id: claim for claim in catalogue()}


def test_a_row_is_a_claim_for_each_of_its_figures() -> None:
    table = {
        "id": "x",
        "source": "a paper",
        "training": "1x",
        "columns": ["id", "host", "attention", "size", "box ap", "mask ap"],
        "rows": [["a", "maskrcnn_resnet50_fpn", "", "800x1333", "37.3", ""]],
    }
    assert [Claim(**row) for row in tables._of(table)] == [
        Claim(
            id="x-a-box-ap",
            source="a paper",
            host="maskrcnn_resnet50_fpn",
            size="800x1333",
            metric="box ap",
            printed="37.3",
            training="1x",
            verdict="needs data",
        )
    ]


def test_gcnets_times_are_as_printed() -> None:
    rates = [CLAIMS[f"gcnet-time-r50-fixbn-{row}-images-per-s"] for row in ("none", "r16", "r4")]
    assert [claim.printed for claim in rates] == ["10.6", "10.1", "9.9"]
    seconds = [CLAIMS[f"gcnet-time-r50-fixbn-{row}-s-per-iteration"] for row in ("none", "r16")]
    assert [claim.printed for claim in seconds] == ["0.453", "0.533"]
    assert {claim.verdict for claim in (*rates, *seconds)} == {"needs a V100"}
    assert (rates[0].unit_name, seconds[0].unit_name) == ("images a second", "seconds an iteration")


def test_a_networks_figures_agree_between_tables() -> None:
    # GCNet prints AP, times and memory in one row: the tables must hold the same networks.
    timed = {(c.host, c.attention, c.options) for c in CLAIMS.values() if c.metric == "GB"}
    scored = {
        (c.host, c.attention, c.options) for c in CLAIMS.values() if c.id.startswith("gcnet-coco")
    }
    assert timed <= scored


def test_average_precisions_are_in_order() -> None:
    """AP50 is at least AP75, and AP, a mean over both and stricter ones, at most AP50."""
    rows: dict[str, dict[str, float]] = {}
    for claim in CLAIMS.values():
        for kind in ("box", "mask"):
            if claim.metric.startswith(f"{kind} ap"):
                row = rows.setdefault(f"{claim.id.partition(f'-{kind}-ap')[0]} {kind}", {})
                row[claim.metric.removeprefix(f"{kind} ")] = float(claim.printed)
    whole = [row for row in rows.values() if len(row) == 3]
    assert len(whole) == 6 + 2 + 2 + 15
    assert all(row["ap"] < row["ap75"] < row["ap50"] for row in whole)
