from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from attnbench import report
from attnbench.records.run import Run
from attnbench.records.schema import Block, Case, Count, DeviceTime, End, Failure, Plan, Round
from attnbench.records.variants import alone
from attnbench.report.tables.isolated import COLUMNS
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, tables

# Powers of two throughout, so that every figure can be followed by eye.
SECONDS = {
    "copy": 2**-10,
    "copy again": 2**-10,
    "product": 2**-8,
    "launch": 2**-17,
    "sa layer1": 2**-9,
    "sa layer2": 2**-11,
    "sa layer3": 2**-9,
}
"""Of one step. The piece in layer4 fails."""

SPREAD = {"product": (0.5, 1, 1, 1, 1, 2), "sa layer1": (1, 1, 2, 0.5, 1, 1)}
"""How many times as long it takes in each of six rounds: their interval is from least to most."""

STEPS = {"copy": 2, "launch": 64, "sa layer2": 4}
"""In a block, where it is not one."""


def work(kernels: int, read: int, written: int, macs: int) -> dict[str, Count]:
    details = {"macs": macs, "bytes_read": read, "bytes_written": written, "kernels": kernels}
    return {"executed": Count(operations=macs, details=details)}


COUNTS = {
    "copy": work(1, 2**20, 2**20, 0),
    "product": work(1, 2**13, 2**12, 2**30),
    "launch": work(1, 4, 4, 0),
    "sa layer1": work(16, 3 * 2**18, 2**18, 2**22),
    "sa layer2": work(32, 2**17, 2**17, 2**20),
    "sa layer3": work(1, 2**15, 2**15, 2**28),
    "sa layer4": work(32, 2**10, 2**10, 2**10),
}
SHAPES = {
    "sa layer1": (2, 256, 16, 16),
    "sa layer2": (2, 512, 8, 8),
    "sa layer3": (2, 1024, 4, 4),
    "sa layer4": (2, 2048, 2, 2),
}


def rounds_of(seconds: dict[str, float]) -> list[Round]:
    return [
        Round(
            number=number,
            blocks=tuple(
                Block(
                    variant=name,
                    steps=STEPS.get(name, 1),
                    seconds=STEPS.get(name, 1) * took * SPREAD.get(name, (1,) * 6)[number],
                )
                for name, took in seconds.items()
            ),
        )
        for number in range(6)
    ]


@pytest.fixture
def run() -> Run:
    case = Case(
        host="resnet50",
        batch_size=2,
        image_size=64,
        dtype="float32",
        channels_last=False,
        mode="inference",
        isolated=True,
        device="cpu",
        threads=1,
        seed=0,
    )
    return Run(
        case,
        Plan(variants=alone(("sa",)), budget_s=60.0, target=0.01),
        {"cpu": "An imagined CPU", "torch": "2.15.0", "python": "3.11.7", "time": "12:00"},
        counts=dict(COUNTS),
        shapes=dict.fromkeys(("copy", "product", "launch")) | SHAPES,
        rounds=rounds_of(SECONDS),
        failures={
            "sa layer4": {"latency": Failure(step="latency", type="MemoryError", message="no room")}
        },
        end=End(reason="budget", rounds=6),
    )


def at(run: Run, stage: int) -> dict[str, Any]:
    """The row of SA in a stage."""
    return dict(LoadedRun(run).frame.set_index("stage", drop=False).loc[stage])


def test_every_module_has_a_row_a_stage_and_every_column_is_there(run: Run) -> None:
    table = LoadedRun(run).frame
    assert list(table.columns) == [column.key for column in COLUMNS]
    assert list(table["module"]) == ["sa"] * 4
    assert list(table["stage"]) == [1, 2, 3, 4]


def test_every_column_of_a_piece_that_no_ceiling_explains(run: Run) -> None:
    expected = {
        "module": "sa",
        "stage": 1,
        "channels": 256,
        "height": 16,
        "width": 16,
        "kernels": 16,
        "moved_bytes": 2**20,  # three parts read, one written
        "macs": 2**22,
        "latency_s": 2**-9,
        "latency_low_s": 2**-10,
        "latency_high_s": 2**-8,
        "bytes_per_s": 2**29,
        "bytes_per_s_low": 2**28,
        "bytes_per_s_high": 2**30,
        # Its input is of 2 * 256 * 16 * 16 elements of 4 bytes, 2**19. To copy that moves 2**20,
        # half of what the large copy moves in 2**-10 s: 2**-11 s, a fourth of its 2**-9 s.
        "copy_bytes_per_s": nan,  # this run has no copies of maps
        "copy_bytes_per_s_low": nan,
        "copy_bytes_per_s_high": nan,
        "memory_bytes_per_s": 2**31,  # 2**21 bytes in 2**-10 s
        "map_copies": 4,
        "map_copies_low": 2,
        "map_copies_high": 8,
        "launch_share": 1 / 16,  # 16 * 2**-17 s = 2**-13 s
        "launch_share_low": 1 / 32,
        "launch_share_high": 1 / 8,
        "bandwidth_share": 1 / 4,  # 2**20 bytes, of the copy's 2**21 in 2**-10 s: 2**-11 s
        "bandwidth_share_low": 1 / 8,
        "bandwidth_share_high": 1 / 2,
        # 2**22 of the product's 2**30 in 2**-8 s: 2**-16 s. The product takes 0.5, 1, 1, 1, 1, 2
        # times as long as usual in the rounds where it takes 1, 1, 2, 0.5, 1, 1 times: their
        # ratios in a round are 0.5, 1, 0.5, 2, 1, 2 of the usual one.
        "compute_share": 2**-7,
        "compute_share_low": 2**-8,
        "compute_share_high": 2**-6,
        "bound": "none",  # a fourth is no explanation
        "rounds": 6,
        "too_low": "",
        "unknown_operators": "",
        "error": "",
    }
    assert list(expected) == [column.key for column in COLUMNS]
    assert at(run, 1) == pytest.approx(expected, nan_ok=True)


def test_every_column_of_a_piece_that_launches_hold_back(run: Run) -> None:
    found = at(run, 2)
    assert [found[key] for key in ("channels", "height", "width")] == [512, 8, 8]
    assert [found[key] for key in ("kernels", "moved_bytes", "macs")] == [32, 2**18, 2**20]
    assert found["latency_s"] == found["latency_low_s"] == found["latency_high_s"] == 2**-11
    assert found["bytes_per_s"] == 2**29  # 2**18 / 2**-11
    # A copy of its input's 2**18 bytes moves 2**19: 2**-12 s.
    assert [found[f"map_copies{end}"] for end in ("", "_low", "_high")] == pytest.approx([2, 2, 2])
    assert found["launch_share"] == pytest.approx(1 / 2)  # 2**-12 s of 2**-11 s
    assert found["bandwidth_share"] == pytest.approx(1 / 4)  # 2**18 of 2**21 bytes: 2**-13 s
    assert found["compute_share"] == pytest.approx(2**-7)  # 2**20 of 2**30: 2**-18 s
    assert found["bound"] == "launch"


def test_every_column_of_a_piece_that_arithmetic_holds_back(run: Run) -> None:
    found = at(run, 3)
    assert [found[key] for key in ("channels", "height", "width")] == [1024, 4, 4]
    assert [found[key] for key in ("kernels", "moved_bytes", "macs")] == [1, 2**16, 2**28]
    assert found["latency_s"] == 2**-9
    assert found["bytes_per_s"] == 2**25  # 2**16 / 2**-9
    assert found["map_copies"] == pytest.approx(16)  # its input is of 2**17 bytes: 2**-13 s
    assert found["launch_share"] == pytest.approx(2**-8)  # 2**-17 s of 2**-9 s
    assert found["bandwidth_share"] == pytest.approx(2**-6)  # 2**16 of 2**21 bytes: 2**-15 s
    assert found["compute_share"] == pytest.approx(1 / 2)  # 2**28 of 2**30: 2**-10 s
    assert found["bound"] == "compute"


def test_a_map_of_two_bytes_an_element_is_copied_in_half_of_the_time(run: Run) -> None:
    run.case = replace(run.case, dtype="bfloat16")
    found = at(run, 1)
    assert (found["map_copies"], found["map_copies_low"]) == pytest.approx((8, 4))
    assert found["bandwidth_share"] == pytest.approx(1 / 4)  # what is moved was counted


def test_a_machine_that_is_slow_as_a_whole_has_the_same_shares(run: Run) -> None:
    slow = replace(run, rounds=rounds_of({name: 3 * took for name, took in SECONDS.items()}))
    for key in ("map_copies", "launch_share", "bandwidth_share", "compute_share"):
        assert at(slow, 1)[key] == pytest.approx(at(run, 1)[key])
    assert at(slow, 1)["bytes_per_s"] == pytest.approx(2**29 / 3)


MEASURED = (
    "latency_s",
    "latency_low_s",
    "latency_high_s",
    "rounds",
    "bytes_per_s",
    "map_copies",
    "map_copies_low",
    "map_copies_high",
    "launch_share",
    "bandwidth_share",
    "compute_share",
)
COUNTED = ("channels", "height", "width", "kernels", "moved_bytes", "macs")


def missing(row: dict[str, Any]) -> set[str]:
    return {key for key in (*COUNTED, *MEASURED) if isnan(row[key])}


def test_a_piece_that_failed_keeps_its_row_and_says_why(run: Run) -> None:
    found = at(run, 4)
    assert missing(found) == set(MEASURED)
    assert found["channels"] == 2048
    assert found["error"] == "latency: MemoryError: no room"
    assert pd.isna(found["bound"])


def test_a_piece_whose_counts_failed_has_its_time_alone(run: Run) -> None:
    del run.counts["sa layer1"], run.shapes["sa layer1"]
    run.failures["sa layer1"] = {"counts": Failure(step="counts", type="E", message="m")}
    found = at(run, 1)
    assert missing(found) == {*COUNTED, *MEASURED[4:]}
    assert found["latency_s"] == 2**-9
    assert found["error"] == "counts: E: m"
    assert pd.isna(found["bound"])


def without_rounds_of(run: Run, *variants: str) -> Run:
    left = {name: took for name, took in SECONDS.items() if name not in variants}
    return replace(run, rounds=rounds_of(left))


def without_counts_of(run: Run, *variants: str) -> Run:
    left = {name: each for name, each in run.counts.items() if name not in variants}
    return replace(run, counts=left)


@pytest.mark.parametrize("without", [without_rounds_of, without_counts_of])
def test_without_the_copy_nothing_is_compared_with_it(run: Run, without: Any) -> None:
    found = at(without(run, "copy"), 1)
    assert missing(found) == {
        *("map_copies", "map_copies_low", "map_copies_high", "bandwidth_share")
    }
    assert found["rounds"] == 6
    assert found["bound"] == "none"  # 2**-4 of launches, 2**-7 of multiplications


@pytest.mark.parametrize("without", [without_rounds_of, without_counts_of])
def test_without_a_ceiling_its_share_is_missing_and_others_stand(run: Run, without: Any) -> None:
    found = at(without(run, "product"), 3)
    assert missing(found) == {"compute_share"}
    assert found["bound"] == "none"  # 2**-6 of bandwidth, and 2**-8 of launches
    found = at(without(run, "launch", "product"), 2)
    assert missing(found) == {"launch_share", "compute_share"}
    assert found["bound"] == "none"  # 2**-2 of bandwidth


def test_a_run_without_any_result_is_still_a_table(run: Run) -> None:
    empty = Run(run.case, run.plan, run.environment)
    assert missing(at(empty, 1)) == {*COUNTED, *MEASURED}
    ceilings, pieces, explained = tables(LoadedRun(empty))
    assert [best for _, best in ceilings.rows] == ["–"] * 3
    assert len(pieces.rows) == len(explained.rows) == 4


def test_the_ceilings_are_printed_as_rates(run: Run) -> None:
    ceilings, *_ = tables(LoadedRun(run))
    assert ceilings.caption == "Ceilings of this machine, within this run"
    assert ceilings.rows == (
        # 2**21 bytes in 2**-10 s are 2**31 a second.
        ("large copy, of more than caches hold", "2.1 [2.1, 2.1] GB/s"),
        # 2**30 in 2**-8 s are 2**38 a second; the slowest round gives the least.
        ("multiply-accumulates of a large matrix product", "274.9 [137.4, 549.8] GMAC/s"),
        ("the smallest operator", "7.6 [7.6, 7.6] us"),  # 2**-17 s
    )


def test_the_rate_of_a_ceiling_of_too_few_rounds_has_no_interval(run: Run) -> None:
    ceilings, *_ = tables(LoadedRun(replace(run, rounds=run.rounds[:5])))
    assert [best for _, best in ceilings.rows] == [
        "2.1 [too few rounds] GB/s",
        "274.9 [too few rounds] GMAC/s",
        "7.6 [too few rounds] us",
    ]


def test_a_module_whose_operations_were_not_counted_keeps_its_row(run: Run) -> None:
    run.counts["sa layer1"] = {}
    row = at(run, 1)
    assert (row["channels"], row["latency_s"]) == (256, 2**-9)
    assert isnan(row["kernels"])
    assert isnan(row["bandwidth_share"])


def test_the_pieces_are_printed_with_their_sizes_and_shares(run: Run) -> None:
    _, pieces, explained = tables(LoadedRun(run))
    assert pieces.caption == "Isolated modules, within this run"
    assert explained.caption == "Share of their time that each ceiling explains, within this run"
    shown = {}
    for sheet in (pieces, explained):
        shown |= dict(zip(sheet.headings, sheet.rows[0], strict=True))
    assert shown == {
        "module": "SA",
        "input": "256x16x16",
        "kernels": "16",
        "memory traffic (MiB)": "1.0",
        "latency (us/batch) [95%]": "1953.1 [976.6, 3906.2]",
        "GB/s [95%]": "0.5 [0.3, 1.1]",
        "copies of its map [95%]": "4.0 [2.0, 8.0]",
        "launch [95%]": "6 [3, 13]%",
        "bandwidth [95%]": "25 [12, 50]%",
        "compute [95%]": "1 [0, 2]%",
        "bound": "none",
    }
    assert pieces.rows[3] == ("SA", "2048x2x2", "32", "0.0020", *["–"] * 3)  # 2**11 of 2**20
    assert explained.rows[3] == ("SA", "2048x2x2", *["–"] * 4)


def test_the_control_of_modules_alone_is_the_copy(run: Run) -> None:
    assert "Control (copy against copy): 1.000 [1.000, 1.000]; it holds." in remarks(LoadedRun(run))
    run.rounds = rounds_of(SECONDS | {"copy again": 1.25 * 2**-10})
    lines = remarks(LoadedRun(run))
    assert (
        "Control (copy against copy): 1.250 [1.250, 1.250]. Too noisy to judge: the copy against "
        "itself is significantly different from 1; bounds rest on their own intervals. "
        "Quiet the machine."
    ) in lines
    for sheet in tables(LoadedRun(run)):
        assert sheet.caption.endswith("; noisy: bounds rest on their intervals")


def test_tables_a_roofline_and_a_page_are_written(run: Run, tmp_path: Path) -> None:
    written = report.write(run, tmp_path)
    names = ["comparison.md", "comparison.csv", "comparison.tex"]
    rest = ["report.html", "roofline.svg", "roofline.png"]
    assert written == [tmp_path / name for name in names + rest]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names + rest)

    markdown, csv, latex = (path.read_text(encoding="utf-8") for path in written[:3])
    assert markdown.startswith("modules alone at their sizes in resnet50, inference, batch 2, ")
    assert "| SA | 256x16x16 | 16 | 1.0 | 1953.1 [976.6, 3906.2] | " in markdown
    assert "SA layer4" not in markdown  # a variant's name has no title of its own
    assert "sa layer4 failed at latency: MemoryError: no room." in markdown
    assert "Left at zero" not in markdown  # it speaks of whole networks
    assert csv.splitlines()[0] == ",".join(column.key for column in COLUMNS)
    assert csv.splitlines()[1].startswith("sa,1,256,16,16,16,1048576,4194304,0.001953125,")
    assert latex.count(r"\begin{table}") == 3
    assert r"SA & 256x16x16 & 16 &" in latex


def test_the_page_speaks_of_modules_alone_and_shows_their_bounds(run: Run, tmp_path: Path) -> None:
    report.write(run, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>Attention modules alone, as in resnet50</h1>" in page
    assert "at the sizes that they have in the host" in page
    for said in ("beside the same network", "plain host", "no significant difference"):
        assert said not in page.partition('<details id="words">')[0]  # which explains them all
    top = page[page.index('class="sortable"') :]
    top = top[: top.index("</table>")]
    assert "bound</button>" in top
    assert [word for word in ("none", "launch", "compute") if f">{word}</td>" in top] == [
        "none",
        "launch",
        "compute",
    ]


def test_an_error_of_many_pieces_is_said_once(run: Run) -> None:
    plan = replace(run.plan, variants=alone(("sa", "se")))
    failure = run.failures["sa layer4"]
    pieces = [*(f"se layer{stage}" for stage in (1, 2, 3, 4)), "sa layer4"]
    failed = replace(run, plan=plan, failures=dict.fromkeys(pieces, failure))
    said = [remark for remark in remarks(LoadedRun(failed)) if "failed at" in remark]
    assert said == ["SE, sa layer4 failed at latency: MemoryError: no room."]


def test_a_ceiling_that_explains_a_third_or_more_is_the_bound(run: Run) -> None:
    run.rounds = rounds_of(SECONDS | {"sa layer1": 2**-10})
    assert at(run, 1)["bandwidth_share"] == pytest.approx(1 / 2)
    assert at(run, 1)["bound"] == "bandwidth"


def test_there_is_no_bound_where_two_ceilings_explain_about_as_much(run: Run) -> None:
    # Half of its time is that of its bytes; 16 launches are as long as they, 2**-11 s.
    seconds = SECONDS | {"sa layer1": 2**-10, "launch": 2**-15}
    run.rounds = rounds_of(seconds)
    assert at(run, 1)["bandwidth_share"] == pytest.approx(at(run, 1)["launch_share"])
    assert pd.isna(at(run, 1)["bound"])


def test_on_a_device_that_executes_behind_the_host_its_own_times_are_shown(run: Run) -> None:
    def behind(block: Block) -> Block:
        device = DeviceTime(steps=block.steps, seconds=block.seconds, spin_s=1.0)
        return replace(block, seconds=7.0, issued_s=6.9, device=device)

    rounds = [replace(each, blocks=tuple(map(behind, each.blocks))) for each in run.rounds]
    issued = LoadedRun(replace(run, rounds=rounds))
    pd.testing.assert_frame_equal(issued.frame, LoadedRun(run).frame)
    assert tables(issued)[0].rows == tables(LoadedRun(run))[0].rows
    assert "Times are the device's own." in remarks(issued)


MAPS = ((256, 16, 16), (512, 8, 8), (1024, 4, 4), (2048, 2, 2))
COPIES = {
    "copy 256x16x16": 2**-11,
    "copy 256x16x16 again": 2**-11,
    "copy 512x8x8": 2**-12,
    "copy 1024x4x4": 2**-13,
    "copy 2048x2x2": 2**-14,
}
"""Each map has half of the elements of the one before."""


@pytest.fixture
def beside_maps(run: Run) -> Run:
    """The same run, with a copy of each map, which lies in a cache: it moves 2**20 bytes and less,
    twice as fast as the large copy."""
    plan = replace(run.plan, variants=alone(("sa",), MAPS))
    # 2 images of 4 bytes an element are read, and as many written.
    copies = {
        f"copy {c}x{h}x{w}": work(1, 2 * c * h * w * 4, 2 * c * h * w * 4, 0) for c, h, w in MAPS
    }
    kept = {name: took for name, took in SECONDS.items() if name != "copy again"}
    counts = run.counts | copies
    return replace(run, plan=plan, counts=counts, rounds=rounds_of(kept | COPIES))


def test_bandwidth_is_held_against_a_copy_of_the_map_in_the_same_rounds(beside_maps: Run) -> None:
    first, second = at(beside_maps, 1), at(beside_maps, 2)
    # 2**20 bytes, as many as the copy of the map moves in 2**-11 s: a fourth of SA's 2**-9 s.
    assert first["copy_bytes_per_s"] == pytest.approx(2**31)
    assert first["map_copies"] == pytest.approx(4)
    assert first["bandwidth_share"] == pytest.approx(1 / 4)
    # In each round: SA takes 1, 1, 2, 0.5, 1, 1 times as long as usual, and the copy as always.
    assert [first[f"bandwidth_share{end}"] for end in ("_low", "_high")] == pytest.approx(
        [1 / 8, 1 / 2]
    )
    # 2**18 bytes; the copy of 2 * 512 * 8 * 8 * 4 bytes moves 2**19 in 2**-12 s.
    assert second["bandwidth_share"] == pytest.approx(2**-13 / 2**-11)
    assert second["memory_bytes_per_s"] == pytest.approx(2**31)  # the large one's, as before


def test_what_slows_a_map_copy_and_its_module_in_one_round_cancels(beside_maps: Run) -> None:
    slow = (1, 4, 1, 2, 1, 8)
    rounds = [
        replace(
            each,
            blocks=tuple(replace(b, seconds=b.seconds * slow[each.number]) for b in each.blocks),
        )
        for each in beside_maps.rounds
    ]
    found = at(replace(beside_maps, rounds=rounds), 2)
    ends = [found[f"bandwidth_share{end}"] for end in ("", "_low", "_high")]
    assert ends == pytest.approx([1 / 4] * 3)


def test_copies_of_maps_stand_among_the_ceilings_and_one_is_the_control(beside_maps: Run) -> None:
    ceilings, *_ = tables(LoadedRun(beside_maps))
    assert [name for name, _ in ceilings.rows] == [
        "copy of a map of 256x16x16",
        "copy of a map of 512x8x8",
        "copy of a map of 1024x4x4",
        "copy of a map of 2048x2x2",
        "large copy, of more than caches hold",
        "multiply-accumulates of a large matrix product",
        "the smallest operator",
    ]
    assert ceilings.rows[0][1] == "2.1 [2.1, 2.1] GB/s"
    lines = remarks(LoadedRun(beside_maps))
    control = "Control (copy 256x16x16 against copy 256x16x16): 1.000"
    assert any(line.startswith(control) for line in lines)
    assert not any("no copies of the maps" in line for line in lines)


def test_what_exceeds_its_ceiling_beyond_the_interval_is_named(beside_maps: Run, run: Run) -> None:
    assert any("no copies of the maps" in line for line in remarks(LoadedRun(run)))
    # 2**18 bytes in 2**-14 s, where the copy of the map takes 2**-13 s for as many.
    fast = SECONDS | COPIES | {"sa layer2": 2**-14, "launch": 2**-22}
    del fast["copy again"]
    lines = remarks(LoadedRun(replace(beside_maps, rounds=rounds_of(fast))))
    assert (
        "Above a ceiling, beyond the interval: SA stage 2 (bandwidth). It is no ceiling of these; "
        "reading alone can be faster than copying."
    ) in lines
    # Of layer1 the interval holds 1: from half of its ceiling to twice.
    some = SECONDS | COPIES | {"sa layer1": 2**-11}
    del some["copy again"]
    known = replace(beside_maps, rounds=rounds_of(some))
    assert at(known, 1)["bandwidth_share_high"] == pytest.approx(2)
    assert not any("Above a ceiling" in line for line in remarks(LoadedRun(known)))


def test_a_module_with_unknown_operators_has_lower_bounds_and_no_ceiling_as_its_bound(run: Run):
    (known,) = COUNTS["sa layer2"].values()
    counted = {"executed": replace(known, not_counted={"mine.gate": 2})}
    marked = replace(run, counts=run.counts | {"sa layer2": counted})
    row = LoadedRun(marked).frame.set_index("stage").loc[2]
    assert row["unknown_operators"] == "mine.gate x2"
    assert row["bound"] is None or row["bound"] != row["bound"]  # nothing can be said
    (cells,) = (line for line in tables(LoadedRun(marked))[1].rows if line[1] == "512x8x8")
    # kernels, traffic and bytes a second; not the input, the time and copies of the map
    assert [cell.startswith("≥ ") for cell in cells[2:]] == [True, True, False, True, False]
    (remark,) = (line for line in remarks(LoadedRun(marked)) if "not fully counted" in line)
    assert remark.endswith("(marked ≥): mine.gate x2.")
