from dataclasses import replace

import pytest

from attnbench.counting.training import EXECUTED_STEP, TORCH_STEP
from attnbench.records.run import Run
from attnbench.records.schema import Count
from attnbench.report.tables.run import LoadedRun, tables
from attnbench.report.tables.stages import COLUMNS, EXECUTED, TORCH, frame, step_table, table


def cost(kernels: int, read: int, written: int, macs: int = 0) -> dict[str, int]:
    return {
        "kernels": kernels,
        "bytes_read": read,
        "bytes_written": written,
        "macs": macs,
        "elementwise": 100,
        "reductions": 50,
        "peak_live_bytes": 7,
    }


@pytest.fixture
def counted(run: Run) -> Run:
    parts = {
        "conv1 host": cost(1, 999, 999),
        "layer1 host": cost(9, 999, 999),
        "layer1 attention": cost(3, 2**20, 2**20, macs=2_500_000),
        "layer2 attention": cost(4, 2**19, 2**19),
    }
    counts = dict(run.counts["sa"]) | {"executed": Count(operations=1, parts=parts)}
    return replace(run, counts=run.counts | {"sa": counts})


def test_only_the_modules_own_work_is_there_stage_by_stage(counted: Run) -> None:
    table = frame(counted)
    assert list(table.columns) == [column.key for column in COLUMNS]
    assert list(table["stage"]) == ["layer1", "layer2"]
    assert list(table["kernels"]) == [3, 4]
    assert list(table["moved_bytes"]) == [2**21, 2**20]
    assert list(table["other_operations"]) == [150, 150]
    assert list(table["moved_share"]) == pytest.approx([2 / 3, 1 / 3])


def test_it_is_printed_with_its_units(counted: Run) -> None:
    found = table(counted)
    assert found is not None
    assert found.headings == (
        "module",
        "stage",
        "kernels",
        "memory traffic (MiB)",
        "macs (M)",
        "other operations (M)",
        "share of its traffic",
    )
    assert found.rows[0] == ("SA", "layer1", "3", "2.0", "2.500", "0.000", "66.7%")


def test_where_nothing_was_counted_by_stage_there_is_no_table(run: Run) -> None:
    assert table(replace(run, counts={})) is None


def test_the_rules_have_the_names_under_which_they_are_counted() -> None:
    assert (EXECUTED, TORCH) == (EXECUTED_STEP, TORCH_STEP)


def test_a_step_is_shown_part_by_part_for_the_runs_batch(run: Run) -> None:
    names = ("macs", "elementwise", "reductions", "bytes_read", "bytes_written", "kernels")
    parts = {
        "forward": dict(zip(names, (10**9, 2 * 10**6, 10**6, 2**20, 2**19, 7), strict=True)),
        "optimizer": dict(zip(names, (0, 500_000, 0, 2**20, 2**20, 3), strict=True)),
    }
    parts = {part: sums | {"peak_live_bytes": 2**21} for part, sums in parts.items()}
    by_torch = {"forward": {"operations": 2 * 10**9}, "optimizer": {"operations": 0}}
    step = {EXECUTED: Count(parts=parts), TORCH: Count(parts=by_torch)}
    counted = replace(run, counts=run.counts | {"sa": dict(run.counts["sa"]) | step})
    found = step_table(counted)
    assert found is not None
    batch = run.case.batch_size
    assert found.caption == f"Counts of one training step, batch {batch}, as a CPU runs it"
    assert found.rows == (
        ("SA", "forward", "1.000", "2.000", "3.000", "7", "1.5", "2.0"),
        ("SA", "optimizer", "0.000", "0.000", "0.500", "3", "2.0", "2.0"),
    )
    assert tables(LoadedRun(counted))[-1] == found


def test_an_inference_run_has_no_such_table(run: Run) -> None:
    assert step_table(run) is None
    assert all("training step" not in table.caption for table in tables(LoadedRun(run)))
