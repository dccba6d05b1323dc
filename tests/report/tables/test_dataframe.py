import json
from dataclasses import replace
from math import exp, isnan

import pandas as pd
import pytest

from attnbench.records.run import Run
from attnbench.records.schema import Block, Compiled, Count, Round
from attnbench.records.variants import CONTROL, PLAIN
from attnbench.report.formats.latex import latex
from attnbench.report.formats.markdown import markdown
from attnbench.report.tables.columns import COLUMNS
from attnbench.report.tables.dataframe import frame
from attnbench.report.tables.figures.timed import PARTS
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, overview, tables
from attnbench.report.tables.table import Table
from attnbench.stats.verdicts.explanations import REASONS

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


def test_images_a_second_are_those_of_the_median_step(table: pd.DataFrame) -> None:
    assert table.loc["plain", "images_per_s"] == pytest.approx(2 / 0.100)
    assert table.loc["sa", "images_per_s"] == pytest.approx(2 / 0.120)
    low, high = (table.loc["sa", f"images_per_s_{end}"] for end in ("low", "high"))
    assert low == pytest.approx(1 / table.loc["sa", "latency_high_s"])
    assert low < table.loc["sa", "images_per_s"] < high


def test_percentiles_are_of_single_steps_and_blank_where_few_are_known(run: Run) -> None:
    fast, slow = (0.010,) * 11, (0.010,) * 10 + (0.050,)
    each = {PLAIN: fast, CONTROL: fast, "sa": slow}
    of_several = [
        replace(
            timed,
            blocks=tuple(
                replace(block, steps=11, seconds=sum(steps), each_s=steps)
                for block in timed.blocks
                for steps in [each[block.variant]]
            ),
        )
        for timed in run.rounds
    ]
    table = frame(replace(run, rounds=of_several), verdicts=False).set_index("variant")
    known = table.loc["sa", [f"step_p{share}_s" for share in (50, 90, 99)]]
    # Nine of 99 steps are slow: 90% are not, which the 90th step is, and 99 are one too few.
    assert list(known[:2]) == [0.010, 0.010]
    assert pd.isna(known.iloc[2])
    assert table["device_step_p50_s"].isna().all()


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
        reserved_bytes=200 * LARGE,
        peak_reserved_bytes=300 * LARGE,
    )
    run.memory["plain"] = on_device
    run.memory["sa"] = replace(on_device, peak_allocated_bytes=175, peak_reserved_bytes=360 * LARGE)
    table = LoadedRun(run).frame.set_index("variant")
    assert table.loc["sa", "peak_allocated_above_bytes"] == 75
    assert table.loc["sa", "peak_allocated_above_ratio"] == 75 / 50
    assert table.loc["sa", "peak_allocated_bytes"] == 175  # which papers quote
    assert table.loc["sa", "peak_reserved_ratio"] == 360 / 300
    assert table.loc["sa", "peak_reserved_above_bytes"] == (360 - 200) * LARGE
    assert table.loc["sa", "peak_reserved_above_ratio"] == 160 / 100


MIB = 2**20
LARGE = 20 * MIB
"""A segment of the allocator."""


@pytest.mark.parametrize(("segments", "known"), [(9, False), (10, True)])
def test_segments_have_a_ratio_where_the_plain_host_has_ten(
    run: Run, segments: int, known: bool
) -> None:
    plain = replace(run.memory["plain"], reserved_bytes=0, peak_reserved_bytes=segments * LARGE)
    run.memory |= {"plain": plain, "sa": replace(plain, peak_reserved_bytes=20 * LARGE)}
    sa = LoadedRun(run).frame.set_index("variant").loc["sa"]
    for key in ("peak_reserved_ratio", "peak_reserved_above_ratio"):
        assert isnan(sa[key]) is not known
    assert sa["peak_reserved_bytes"] == 20 * LARGE


def test_tables_of_a_gpu_hold_the_peak_that_papers_quote(run: Run) -> None:
    for name in ("plain", "sa"):
        run.memory[name] = replace(
            run.memory[name],
            allocated_bytes=0,
            peak_allocated_bytes=MIB,
            reserved_bytes=0,
            peak_reserved_bytes=LARGE,
            graph_pool_bytes=3 * MIB,
        )
    on_gpu = replace(run, case=replace(run.case, device="cuda:1", runtime="cuda-graph"))
    (table,) = [table for table in tables(LoadedRun(on_gpu)) if "memory of one" in table.caption]
    assert "allocated peak (MiB)" in table.headings
    assert "segments added (MiB)" in table.headings
    assert "segments added ratio" not in table.headings  # of one segment
    assert [row[-1] for row in table.rows if row[0] == "SA"] == ["3.0"]
    assert table.headings[-1] == "graph pool (MiB)"


def test_a_published_accuracy_is_of_one_recipe_and_of_the_network_that_was_published(
    run: Run,
) -> None:
    table = LoadedRun(run).frame.set_index("variant")
    assert table["published_top1"].dropna().to_dict() == {"plain": 76.384, "sk": 77.538}
    assert "PytorchInsight" in table.loc["sk", "published_recipe"]
    plan = replace(run.plan, variants=("plain", "control", "sa"))
    of_sa = LoadedRun(replace(run, plan=plan)).frame.set_index("variant")
    assert of_sa["published_top1"].dropna().to_dict() == {"sa": 77.882}
    for change in ({"image_size": 288}, {"stages": (4,)}, {"blocks": "last"}):
        other = LoadedRun(replace(run, case=replace(run.case, **change))).frame
        assert other.set_index("variant")["published_top1"].drop("plain").isna().all(), change


def test_a_control_that_fails_takes_all_verdicts_away(run: Run) -> None:
    for number, each in enumerate(run.rounds):
        blocks = [
            replace(block, seconds=block.seconds * 1.1) if block.variant == "control" else block
            for block in each.blocks
        ]
        run.rounds[number] = replace(each, blocks=tuple(blocks))
    frame = LoadedRun(run).frame.set_index("variant")
    assert frame["verdict"].isna().all()
    assert frame.loc["sa", "code"] == "control"
    assert frame.loc[["plain", "control"], "code"].isna().all()
    assert any("Too noisy to judge" in remark for remark in remarks(LoadedRun(run)))
    assert any("too noisy to judge" in sheet.caption for sheet in tables(LoadedRun(run)))
    # The sentence on the control says it once: no column repeats it, nor hides another code.
    timed = replace(run, plan=replace(run.plan, variants=(PLAIN, CONTROL, "sa")))
    for loaded, shown in ((LoadedRun(timed), False), (LoadedRun(run), True)):  # SK is untimed
        assert ("code" in overview(loaded).headings) is shown
        assert ("code" in tables(loaded)[0].headings) is shown


def of_ratio(run: Run, ratio: float, variant: str = "sa") -> pd.Series:
    """The row of a module that takes that ratio in each of six rounds."""
    times = {"plain": 0.1, "control": 0.1, "sa": 0.1 * ratio}
    blocks = tuple(Block(variant=name, steps=1, seconds=seconds) for name, seconds in times.items())
    rounds = [Round(number=number, blocks=blocks) for number in range(6)]
    plan = replace(run.plan, variants=tuple(times))
    return LoadedRun(replace(run, plan=plan, rounds=rounds)).frame.set_index("variant").loc[variant]


def test_the_interval_between_runs_is_that_of_pick(run: Run) -> None:
    sa = of_ratio(run, 1.2)
    # No rounds differ; runs do by 1.3%, at Student's t of six degrees of freedom.
    reach = exp(2.4469 * 0.013)
    assert sa["ratio_between_runs"] == sa["ratio"] == pytest.approx(1.2)
    assert sa["ratio_between_runs_low"] == pytest.approx(1.2 / reach, abs=1e-4)
    assert sa["ratio_between_runs_high"] == pytest.approx(1.2 * reach, abs=1e-4)
    assert of_ratio(run, 1.2, "plain")["ratio_between_runs_high"] == 1
    (glance,) = captioned(run, "At a glance")
    (latency,) = captioned(run, "Latency within this run")
    assert glance.rows[0][glance.headings.index("latency ratio [95%]")] == "1.200 [1.161, 1.240]"
    within = latency.headings.index("ratio within this run [95%]")
    assert latency.rows[2][within] == "1.200 [1.190, 1.211]"


@pytest.mark.parametrize(
    ("ratio", "verdict", "code"),
    [
        (1.05, "slower", "slower"),
        (1.02, "slower in this run", "slower-in-run"),  # 1.02 / 1.0323 is below 1
        (1.0, "no significant difference", "tie"),
        (0.98, "faster in this run", "faster-in-run"),
        (0.95, "faster", "faster"),
    ],
)
def test_a_verdict_says_where_it_is_of_one_run_alone(
    run: Run, ratio: float, verdict: str, code: str
) -> None:
    row = of_ratio(run, ratio)
    assert (row["verdict"], row["code"]) == (verdict, code)
    assert code in REASONS


COMMAS = "file.py:C,sizes=(3, 5)"


def tied(run: Run) -> Run:
    """Six rounds in which SK, SA and a module with commas in its name take as long."""
    names = ("plain", "control", "sk", "sa", COMMAS)
    blocks = tuple(Block(variant=name, steps=1, seconds=0.1) for name in names)
    rounds = [Round(number=number, blocks=blocks) for number in range(6)]
    return replace(run, plan=replace(run.plan, variants=names), rounds=rounds)


def test_modules_that_are_tied_are_a_list_whatever_they_are_called(run: Run) -> None:
    table = LoadedRun(tied(run)).frame.set_index("variant")
    assert json.loads(table.loc["sa", "tied_with"]) == ["sk", COMMAS]
    assert json.loads(table.loc[COMMAS, "tied_with"]) == ["sk", "sa"]
    assert table.loc["plain", "tied_with"] == ""
    (latency,) = captioned(tied(run), "Latency")
    shown = {
        row[0]: row[latency.headings.index("not distinguishable from, within this run")]
        for row in latency.rows
    }
    assert shown == {
        "plain": "–",
        "control": "–",
        "SK": f"SA; {COMMAS}",
        "SA": f"SK; {COMMAS}",
        COMMAS: "SK, SA",
    }


def test_a_run_without_any_result_is_still_a_table(run: Run) -> None:
    table = LoadedRun(Run(run.case, run.plan, run.environment)).frame
    assert table["params"].isna().all()
    assert table["verdict"].isna().all()
    assert table["code"].isna().all()


def captioned(run: Run, beginning: str) -> list[Table]:
    """The printed tables of a run whose captions begin so."""
    sheets = tables(LoadedRun(run))
    return [sheet for sheet in sheets if sheet.caption.startswith(beginning)]


def test_a_round_in_which_a_ratio_is_far_off_is_counted_and_kept(run: Run) -> None:
    assert LoadedRun(run).frame["outliers"].dropna().eq(0).all()
    last = run.rounds[-1]
    blocks = [
        replace(block, seconds=block.seconds * 10) if block.variant == "sa" else block
        for block in last.blocks
    ]
    run.rounds[-1] = replace(last, blocks=tuple(blocks))
    table = LoadedRun(run).frame.set_index("variant")
    assert table.loc["sa", "outliers"] == 1
    assert table.loc["sa", "rounds"] == 9
    assert table.loc["sa", "ratio"] == pytest.approx(1.20)
    # Its interval reaches to the largest sample of the second largest round.
    assert table.loc["sa", "ratio_high"] == pytest.approx(1.22 / 0.999)
    assert table.loc["control", "outliers"] == 0
    assert isnan(table.loc["sk", "outliers"])  # it was never timed
    (latency,) = captioned(run, "Latency")
    assert latency.headings[-1] == "outliers"
    assert [row[-1] for row in latency.rows] == ["0", "0", "1", "–"]


def trained(run: Run) -> Run:
    """The same with six rounds of training steps, of which all are alike."""
    parts = {
        "plain": (2, {"forward": 0.2, "backward": 0.4, "optimizer": 0.1}),
        "control": (2, {"forward": 0.2, "backward": 0.4, "optimizer": 0.1}),
        "sa": (1, {"forward": 0.15, "backward": 0.5, "optimizer": 0.06}),
    }
    blocks = tuple(
        Block(variant=variant, steps=steps, seconds=sum(each.values()), parts=each)
        for variant, (steps, each) in parts.items()
    )
    rounds = [Round(number=number, blocks=blocks) for number in range(6)]
    return replace(run, case=replace(run.case, mode="training"), rounds=rounds)


# Plain takes 100, 200 and 50 ms of a step of two images, SA 150, 500 and 60 ms.
@pytest.mark.parametrize(
    ("part", "plain_s", "sa_s", "ratio"),
    [
        ("forward", 0.050, 0.075, 1.5),
        ("backward", 0.100, 0.250, 2.5),
        ("optimizer", 0.025, 0.030, 1.2),
    ],
)
def test_each_part_of_a_training_step_has_its_time_and_ratio(
    run: Run, part: str, plain_s: float, sa_s: float, ratio: float
) -> None:
    table = LoadedRun(trained(run)).frame.set_index("variant")
    keys = [f"{part}_s", f"{part}_ratio", f"{part}_ratio_low", f"{part}_ratio_high"]
    assert list(table.loc["plain", keys]) == pytest.approx([plain_s, 1, 1, 1])
    assert list(table.loc["control", keys]) == pytest.approx([plain_s, 1, 1, 1])
    assert list(table.loc["sa", keys]) == pytest.approx([sa_s, ratio, ratio, ratio])
    assert table.loc["sk", keys].isna().all()


def test_the_whole_step_is_more_than_its_parts_ratios(run: Run) -> None:
    table = LoadedRun(trained(run)).frame.set_index("variant")
    assert table.loc["sa", "latency_s"] == pytest.approx(0.71 / 2)
    assert table.loc["sa", "ratio"] == pytest.approx(0.71 / 0.35)


def test_the_parts_of_a_training_step_have_a_table_each(run: Run) -> None:
    of_parts = captioned(trained(run), "Latency of the ")
    assert [sheet.caption.split(" within this run")[0] for sheet in of_parts] == [
        f"Latency of the {part}" for part in PARTS
    ]
    backward = of_parts[1]
    assert backward.headings == ("module", "backward (ms/image)", "backward ratio [95%]")
    assert backward.rows == (
        ("plain", "100.00", "1"),
        ("control", "100.00", "1.000 [1.000, 1.000]"),
        ("SA", "250.00", "2.500 [2.500, 2.500]"),
        ("SK", "–", "–"),
    )


def test_steps_that_are_not_split_have_no_parts(run: Run) -> None:
    table = LoadedRun(run).frame
    keys = [column for column in table.columns if column.startswith(PARTS)]
    assert len(keys) == 3 * 4
    assert table[keys].isna().all(axis=None)
    assert captioned(run, "Latency of the ") == []


def test_what_compiling_took_stands_beside_the_latency_it_bought(run: Run) -> None:
    run.compiled = {"plain": Compiled(seconds=9.0), "sa": Compiled(seconds=12.34)}
    compiled = replace(run, case=replace(run.case, runtime="compile"))
    table = LoadedRun(compiled).frame.set_index("variant")
    assert table.loc["plain", "compile_s"] == 9.0
    assert table.loc["sa", "compile_s"] == 12.34
    assert table.loc[["control", "sk"], "compile_s"].isna().all()
    (latency,) = captioned(compiled, "Latency")
    assert latency.headings[-1] == "compiled in (s)"
    assert [row[-1] for row in latency.rows] == ["9.0", "–", "12.3", "–"]


def test_only_compiled_runs_say_what_compiling_took(run: Run) -> None:
    assert LoadedRun(run).frame["compile_s"].isna().all()
    (latency,) = captioned(run, "Latency")
    assert "compiled in (s)" not in latency.headings


def test_what_unknown_operators_may_lower_is_marked_wherever_it_is_printed(run: Run) -> None:
    def counts(**unknown: int) -> dict[str, Count]:
        details = {"macs": 3, "bytes_read": 4, "bytes_written": 4, "kernels": 5}
        return {
            "learnable": Count(params=9),
            "executed": Count(operations=8, details=details, not_counted=unknown),
            # It lists what it leaves out by definition too, and what it left out unknowingly.
            "macs": Count(operations=3, not_counted={"aten.add": 2, **unknown}),
            "thop": Count(operations=3, not_counted={"aten.add": 2}),
        }

    marked = replace(run, counts={"plain": counts(), "sa": counts(**{"mine.gate": 1})})
    loaded = LoadedRun(marked)
    row = loaded.frame.set_index("variant").loc["sa"]
    assert (row["kernels"], row["unknown_operators"]) == (5, "mine.gate x1")
    assert {"kernels", "added_kernels", "moved_bytes", "macs_operations"} <= {
        *json.loads(row["too_low"])
    }
    assert "thop_operations" not in row["too_low"]
    shown = {}
    for table in tables(loaded):
        for line in table.rows:
            if line[0] == "SA":
                shown |= dict(zip(table.headings, line, strict=True))
    assert (shown["kernels"], shown["added kernels"]) == ("≥ 5", "≥ +0")
    assert shown["macs (G)"].startswith("≥ ")
    assert not shown["thop (G)"].startswith("≥ ")
    assert not any(
        "≥" in cell for cell in (shown["parameters"], shown["ratio within this run [95%]"])
    )
    for text in (markdown(tables(loaded)[2]), latex(tables(loaded)[3], "")):
        assert "≥" in text or r"$\geq$" in text
    # A difference to a host that runs as many of them is exact.
    alike = replace(run, counts={name: counts(**{"mine.gate": 1}) for name in ("plain", "sa")})
    row = LoadedRun(alike).frame.set_index("variant").loc["sa"]
    assert json.loads(row["too_low"]) == ["kernels", "moved_bytes", "macs_operations"]
