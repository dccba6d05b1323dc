import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import attnbench
from attnbench.errors import UserError
from attnbench.records.variants import alone
from attnbench.report.tables.columns import COLUMNS, CONFIGURATION

SMALL_RUN = Path(__file__).parent.parent / "data" / "small-run"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    records = (SMALL_RUN / "records.jsonl").read_text()
    for name, year in (("b", "2026"), ("a", "2027")):
        (tmp_path / name).mkdir()
        begun = records.replace('"time":"2026', f'"time":"{year}')
        (tmp_path / name / "records.jsonl").write_text(begun)
    return tmp_path


def test_a_run_is_a_row_a_variant_with_its_configuration() -> None:
    table = attnbench.read(SMALL_RUN)
    assert list(table.columns) == [column.key for column in (*CONFIGURATION, *COLUMNS)]
    assert list(table["variant"]) == ["plain", "control", "sa", "sk"]
    first = table.iloc[0]
    assert (first["run"], first["host"], first["batch_size"]) == ("small-run", "resnet50", 2)
    assert (first["processor"], first["control_fault"]) == ("An imagined CPU", None)
    assert table["published_top1"][0] == 76.384


def test_several_runs_are_told_apart_by_their_folders(two: Path) -> None:
    assert list(dict.fromkeys(attnbench.read(str(two))["run"])) == ["a", "b"]
    apart = attnbench.read(two / "a", two / "b")
    assert list(dict.fromkeys(apart["run"])) == [(two / name).as_posix() for name in ("a", "b")]


def test_a_run_that_is_given_twice_is_refused(two: Path) -> None:
    with pytest.raises(UserError, match="given twice"):
        attnbench.read(two, two / "a")


def test_a_copy_of_a_run_is_no_second_run(two: Path) -> None:
    shutil.copytree(two / "a", two / "copy")
    with pytest.warns(UserWarning, match=r"^copy is left out: it is a copy of the run that began"):
        table = attnbench.read(two)
    assert list(dict.fromkeys(table["run"])) == ["a", "b"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        attnbench.read(tmp_path)


def test_modules_alone_among_networks_are_left_out_with_a_warning(two: Path) -> None:
    plan = (two / "b" / "records.jsonl").read_text().splitlines()[0]
    variants = json.dumps(alone(("sa",)))
    for network, isolated in (
        ('"isolated":false', '"isolated":true'),
        ('["plain","control","sa","sk"]', variants),
    ):
        plan = plan.replace(network, isolated)
    for name in ("b", "c"):
        (two / name).mkdir(exist_ok=True)
        (two / name / "records.jsonl").write_text(plan + "\n")
    with pytest.warns(UserWarning, match=f"{two}/[bc] is left out: its modules ran alone"):
        table = attnbench.read(two)
    assert set(table["run"]) == {"a"}
    with pytest.raises(UserError, match="isolated runs beside networks"):
        attnbench.read(two / "a", two / "b")
    assert set(attnbench.read(two / "b", two / "c")["module"]) == {"sa"}


def test_reading_does_not_import_torch() -> None:
    code = (
        "import sys, attnbench\n"
        f"attnbench.read({str(SMALL_RUN)!r})\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
