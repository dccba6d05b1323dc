from dataclasses import replace
from math import isnan

import pandas as pd
import pytest

from attnbench import report
from attnbench.report.frame import COLUMNS
from attnbench.runs import Run

# The stored run: plain takes 100 ms a step of two images, except 110 and 90 ms in rounds 1 and
# 3; SA takes 1.20, 1.21, 1.19, 1.20, 1.22, 1.18, 1.20, 1.21, 1.19 times as long.


def test_every_variant_has_a_row_and_every_column_is_there(table: pd.DataFrame) -> None:
    assert list(table["variant"]) == ["plain", "control", "sa", "sk"]
    assert list(table.columns) == [column.key for column in COLUMNS]


def test_counts_are_exact_and_less_the_plain_hosts(table: pd.DataFrame) -> None:
    sa = table.loc["sa"]
    assert sa["added_params"] == 25_557_740 - 25_557_032
    assert sa["added_leaf_operations"] == 4_124_683_776 - 4_121_924_096
    assert sa["added_fvcore_operations"] == 4_128_070_656 - 4_111_512_576


def test_kernels_and_traffic_are_the_executed_rules(table: pd.DataFrame) -> None:
    assert table.loc["sa", "added_kernels"] == 366 - 174
    assert table.loc["sa", "added_moved_bytes"] == 2**20 + 2**19
    assert isnan(table.loc["sk", "kernels"])


def test_latency_is_the_median_step_for_one_image(table: pd.DataFrame) -> None:
    assert table.loc["plain", "latency_s"] == pytest.approx(0.100 / 2)
    # SA's steps: 120, 133.1, 119, 108, 122, 118, 120, 121, 119 ms.
    assert table.loc["sa", "latency_s"] == pytest.approx(0.120 / 2)


def test_the_ratio_is_the_median_of_the_rounds_own_ratios(table: pd.DataFrame) -> None:
    assert table.loc["sa", "ratio"] == pytest.approx(1.20)
    assert table.loc["control", "ratio"] == pytest.approx(1.0)
    assert table.loc["plain", "ratio"] == 1
    assert table.loc["sa", "verdict"] == "slower"
    assert table.loc["sa", "rounds"] == 9


def test_memory_is_compared_with_the_plain_host(table: pd.DataFrame) -> None:
    assert table.loc["sa", "peak_live_ratio"] == 15 / 10
    assert table.loc["sa", "peak_resident_ratio"] == 630 / 600
    assert isnan(table.loc["sa", "peak_allocated_above_bytes"])


def test_a_variant_that_failed_keeps_its_row_and_says_why(table: pd.DataFrame) -> None:
    failed = table.loc["sk"]
    assert isnan(failed["params"])
    assert isnan(failed["ratio"])
    assert "latency: OutOfMemoryError: no room" in failed["error"]


def test_allocated_memory_is_above_what_was_there(run: Run) -> None:
    on_device = replace(
        run.memory["plain"],
        allocated_bytes=100,
        peak_allocated_bytes=150,
        reserved_bytes=200,
        peak_reserved_bytes=300,
    )
    run.memory["plain"] = on_device
    run.memory["sa"] = replace(on_device, peak_allocated_bytes=175, peak_reserved_bytes=360)
    table = report.frame(run).set_index("variant")
    assert table.loc["sa", "peak_allocated_above_bytes"] == 75
    assert table.loc["sa", "peak_allocated_above_ratio"] == 75 / 50
    assert table.loc["sa", "peak_reserved_ratio"] == 360 / 300


def test_a_control_that_fails_takes_all_verdicts_away(run: Run) -> None:
    for number, each in enumerate(run.rounds):
        blocks = [
            replace(block, seconds=block.seconds * 1.1) if block.variant == "control" else block
            for block in each.blocks
        ]
        run.rounds[number] = replace(each, blocks=tuple(blocks))
    assert report.frame(run)["verdict"].isna().all()
    assert any("THE CONTROL FAILED" in remark for remark in report.remarks(run))
    assert any("no verdicts" in sheet.caption for sheet in report.sheets(run, report.frame(run)))


def test_a_run_without_any_result_is_still_a_table(run: Run) -> None:
    empty = Run(run.case, run.plan, run.environment)
    table = report.frame(empty)
    assert table["params"].isna().all()
    assert table["verdict"].isna().all()
