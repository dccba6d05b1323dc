from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from attnbench.errors import UserError
from attnbench.records.run import Run
from attnbench.records.schema import Block, Case, Plan, Round
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION
from attnbench.report.tables.grid import grid, tidy, turned
from attnbench.report.tables.run import LoadedRun
from attnbench.report.write import write_joint

CASE = Case(
    host="resnet50",
    batch_size=1,
    image_size=64,
    dtype="float32",
    channels_last=False,
    mode="inference",
    device="cpu",
    threads=1,
    seed=0,
)
WIDE = (0.9, 1.1, 1.0, 1.0, 1.1, 0.9)
"""Of six rounds the interval is from the least to the greatest: 1 is inside of it."""

# Cells of modules include the variation between runs, exp(2.4469 * 0.013) = 1.0323 either way:
# 1.2 / 1.0323 = 1.162 and 1.2 * 1.0323 = 1.239.


def run_of(*, plain_s: float = 0.1, rounds: int = 6, control: float = 1.0, **given: Any) -> Run:
    """A run from each module's ratio, one or one a round, and from fields of its case."""
    settings = {key: value for key, value in given.items() if key in asdict(CASE)}
    modules = {key: value for key, value in given.items() if key not in settings}
    ratios = {"plain": 1.0, "control": control, **modules}
    every = [
        Round(
            number=number,
            blocks=tuple(
                Block(
                    variant=name,
                    steps=1,
                    seconds=plain_s * (each[number] if isinstance(each, tuple) else each),
                )
                for name, each in ratios.items()
            ),
        )
        for number in range(rounds)
    ]
    plan = Plan(variants=tuple(ratios), budget_s=60.0, target=0.01)
    return Run(replace(CASE, **settings), plan, {"cpu": "An imagined CPU"}, rounds=every)


def named(*runs: Run) -> dict[str, LoadedRun]:
    return {f"run {number}": LoadedRun(run) for number, run in enumerate(runs, start=1)}


def test_tidy_begins_with_the_configuration_and_goes_on_with_the_variants() -> None:
    table = tidy(named(run_of(sa=1.2), run_of(batch_size=8, mode="training", sa=1.3, se=1.1)))
    assert list(table.columns) == [column.key for column in (*CONFIGURATION, *COLUMNS)]
    assert list(table["variant"]) == ["plain", "control", "sa", "plain", "control", "sa", "se"]
    assert list(table["batch_size"]) == [1] * 3 + [8] * 4
    assert list(table["mode"]) == ["inference"] * 3 + ["training"] * 4
    assert list(table["ratio"]) == pytest.approx([1, 1, 1.2, 1, 1, 1.3, 1.1])
    assert table["latency_s"][2] == pytest.approx(0.12)
    assert table["latency_s"][5] == pytest.approx(0.13 / 8)


def test_stages_are_text_in_the_table_and_in_its_file(tmp_path: Path) -> None:
    runs = named(run_of(sa=1.2), run_of(stages=(3, 4), blocks="last", sa=1.2))
    assert list(tidy(runs)["stages"]) == ["1 2 3 4"] * 3 + ["3 4"] * 3
    write_joint(runs, tmp_path)
    read = pd.read_csv(tmp_path / "grid.csv")
    assert list(read["stages"]) == ["1 2 3 4"] * 3 + ["3 4"] * 3


def test_a_size_that_is_not_square_is_written_as_its_option() -> None:
    table = tidy(named(run_of(sa=1.2), run_of(image_size=(64, 96), sa=1.2)))
    assert list(table["image_size"]) == [64] * 3 + ["64x96"] * 3


def test_a_grid_has_a_row_a_configuration_and_a_column_a_module() -> None:
    sheet = grid(named(run_of(sa=1.2, se=1.1), run_of(batch_size=8, plain_s=0.4, sa=1.3, se=1.05)))
    assert sheet.headings == ("configuration", "plain (ms/image)", "control [95%]", "SA", "SE")
    one = "1.000 [1.000, 1.000]"
    assert sheet.rows == (
        ("batch 1", "100.00", one, "1.200 [1.162, 1.239]", "1.100 [1.066, 1.136]"),
        # 400 ms over 8 images
        ("batch 8", "50.00", one, "1.300 [1.259, 1.342]", "1.050 [1.017, 1.084]"),
    )


def test_a_grid_of_few_runs_is_narrower_with_a_row_a_module() -> None:
    sheet = grid(named(run_of(sa=1.2, se=1.1), run_of(batch_size=8, plain_s=0.4, sa=1.3)))
    assert turned(sheet).headings == ("module", "batch 1", "batch 8")
    assert turned(sheet).rows == (
        ("plain (ms/image)", "100.00", "50.00"),
        ("control [95%]", "1.000 [1.000, 1.000]", "1.000 [1.000, 1.000]"),
        ("SA", "1.200 [1.162, 1.239]", "1.300 [1.259, 1.342]"),
        ("SE", "1.100 [1.066, 1.136]", "–"),
    )
    many = grid(named(*(run_of(batch_size=size, sa=1.2) for size in (1, 2, 4, 8))))
    assert turned(many) == many


def test_what_all_configurations_share_is_in_the_caption_alone() -> None:
    sheet = grid(
        named(
            run_of(sa=1.2, batch_size=1),
            run_of(sa=1.2, batch_size=1, mode="training"),
            run_of(sa=1.2, batch_size=8, channels_last=True),
        )
    )
    assert sheet.caption == (
        "Latency ratio to the plain host of the same configuration; intervals include the "
        "variation between runs; = no significant difference, ? too noisy to judge. "
        "resnet50, 64x64, float32, cpu"
    )
    assert [row[0] for row in sheet.rows] == [
        "batch 1, not channels last, inference",
        "batch 1, not channels last, training",
        "batch 8, channels last, inference",
    ]


def test_a_configuration_that_stands_alone_is_all_in_the_caption() -> None:
    sheet = grid(named(run_of(sa=1.2)))
    assert sheet.caption.endswith(". resnet50, inference, batch 1, 64x64, float32, cpu")
    assert len(sheet.rows) == 1


def test_ties_are_marked() -> None:
    (row,) = grid(named(run_of(sa=WIDE, se=1.2, eca=0.9))).rows
    assert row[3:] == ("= 1.000 [0.896, 1.106]", "1.200 [1.162, 1.239]", "0.900 [0.872, 0.929]")


def test_a_control_that_failed_is_marked_and_then_nothing_is_a_tie() -> None:
    failed, held = grid(
        named(run_of(control=1.05, sa=WIDE, batch_size=1), run_of(sa=WIDE, batch_size=8))
    ).rows
    # To the copy of 1.05 too: 0.9 / 1.05 = 0.857, 1 / 1.05 = 0.952, 1.1 / 1.05 = 1.048, each twice.
    # The middle two of twelve are 0.952 and 1: sqrt(0.952) = 0.976. The ends are 0.857 and 1.1:
    # exp(log 0.976 - hypot(log(0.976 / 0.857), log 1.0323)) = 0.854, and 1.105 likewise.
    assert failed[2:] == ("1.050 [1.050, 1.050] too noisy", "? 0.976 [0.854, 1.105]")
    assert held[2:] == ("1.000 [1.000, 1.000]", "= 1.000 [0.896, 1.106]")


def test_too_few_rounds_are_a_control_that_failed() -> None:
    (row,) = grid(named(run_of(sa=1.2, rounds=5))).rows
    assert row[1:] == (
        "100.00",
        "1.000 [too few rounds] too noisy",
        "? 1.200 [too few rounds]",
    )


def test_a_module_that_one_configuration_lacks_is_a_dash_there() -> None:
    sheet = grid(named(run_of(sa=1.2, batch_size=1), run_of(se=1.1, sa=1.3, batch_size=8)))
    assert sheet.headings[3:] == ("SA", "SE")
    assert sheet.rows[0][3:] == ("1.200 [1.162, 1.239]", "–")
    assert sheet.rows[1][3:] == ("1.300 [1.259, 1.342]", "1.100 [1.066, 1.136]")


def test_a_configuration_without_rounds_is_a_row_of_dashes() -> None:
    _, empty = grid(named(run_of(sa=1.2), run_of(sa=1.2, batch_size=8, rounds=0))).rows
    assert empty == ("batch 8", "–", "– too noisy", "–")


def test_a_grid_is_written_for_people_and_for_programs(tmp_path: Path) -> None:
    runs = named(run_of(sa=WIDE), run_of(sa=1.2, se=1.1, batch_size=8, control=1.05))
    written = write_joint(runs, tmp_path)
    assert {path.name for path in written} == {
        *("grid.md", "grid.csv", "grid.tex", "report.html"),
        *(f"overhead_across_grid.{kind}" for kind in ("svg", "png")),
    }
    lines = (tmp_path / "grid.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(
        "**Latency ratio to the plain host of the same configuration; intervals "
    )
    assert lines[2] == "| configuration | plain (ms/image) | control [95%] | SA | SE |"
    assert lines[4].startswith("| batch 1 | 100.00 | ")
    table = pd.read_csv(tmp_path / "grid.csv")
    assert list(table["batch_size"]) == [1] * 3 + [8] * 4
    # Of both copies of the plain host, the second at 1.05.
    both = [1.2 / 1.05**0.5, 1.1 / 1.05**0.5]
    assert list(table["ratio"]) == pytest.approx([1, 1, 1, 1, 1.05, *both])
    assert table["verdict"].dropna().to_dict() == {2: "no significant difference"}


def test_an_unwritable_folder_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        write_joint(named(run_of(sa=1.2)), tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("differing", "names"),
    [
        ({"runtime": ("eager", "compile")}, ("eager PyTorch", "compiled")),
        ({"channels_last": (False, True)}, ("not channels last", "channels last")),
        ({"threads": (1, 2)}, ("threads 1", "threads 2")),
        ({"image_size": (64, (64, 96))}, ("image 64", "image 64x96")),
        ({"seed": (0, 7), "dtype": ("float32", "float16")}, ("float32, seed 0", "float16, seed 7")),
    ],
)
def test_every_configuration_has_a_name(differing: dict, names: tuple[str, str]) -> None:
    runs = named(
        *(run_of(sa=1.2, **{key: values[n] for key, values in differing.items()}) for n in (0, 1))
    )
    assert tuple(row[0] for row in grid(runs).rows) == names
