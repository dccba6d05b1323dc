import json
import re
import shutil
from pathlib import Path

import generate
import pytest
from helpers.prepared import completed, run_beside
from helpers.trainings import stored

from attnbench import report
from attnbench.errors import UserError
from attnbench.records import run
from attnbench.records.run import Run
from attnbench.records.trainings import store
from attnbench.records.trainings.schema import TrainingData
from attnbench.report.load import load
from attnbench.report.plots import render
from attnbench.report.write import write_loaded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(ROOT)
    return generate._loaded(generate.PUBLISHED).run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with this repository's documentation, to which pages in it link."""
    for name in ("attnbench", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write PNG files without pixels, which differ between builds of a font library."""
    monkeypatch.setattr(render, "as_png", lambda _: b"")


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("path", generate.PARTS)
def test_the_generated_parts_have_not_drifted(path: Path) -> None:
    text = path.read_text()
    for name, content in generate.PARTS[path].items():
        assert generate.filled(text, name, content()) == text, "run 'make docs'"


@pytest.mark.usefixtures("published", "no_pixels")
@pytest.mark.parametrize("folder", generate.REPORTS)
def test_the_published_reports_come_from_the_published_records(
    folder: Path, checkout: Path
) -> None:
    written = report.write(run.read(folder), checkout / folder)
    assert {path.name for path in written} | {"records.jsonl"} == {
        path.name for path in folder.iterdir()
    }
    for path in written:
        if path.suffix != ".png":
            assert path.read_text() == (folder / path.name).read_text(), f"{path.name}: make docs"


@pytest.mark.usefixtures("published", "no_pixels")
@pytest.mark.parametrize("folder", sorted((ROOT / "reports").glob(f"*/{store.FILE_NAME}")))
def test_the_published_trainings_come_from_their_records(folder: Path, checkout: Path) -> None:
    copy = checkout / folder.parent.relative_to(ROOT)
    copy.mkdir(parents=True)
    shutil.copy(folder, copy)
    write_loaded(load(copy), copy)
    assert {path.name for path in copy.iterdir()} == {path.name for path in folder.parent.iterdir()}
    for path in copy.iterdir():
        if path.suffix != ".png":
            printed = (folder.parent / path.name).read_text()
            assert path.read_text() == printed, f"{path.name}: make docs"


def test_the_last_training_on_the_digits_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate.digits() == ""
    data = TrainingData(
        name="digits",
        sha256="a" * 64,
        split="of each class the first of every 5 images is tested on",
        train_images=1433,
        test_images=364,
        classes=10,
    )
    rights = {"plain": [350, 351, 350], "control": [351, 350, 350], "sa": [340, 341, 340]}
    stored(tmp_path / "reports" / "2026-01-01-photographs", rights)
    stored(tmp_path / "reports" / "2026-01-01-digits", rights, data=data)
    stored(tmp_path / "reports" / "2026-01-02-digits", rights | {"se": [350, 350, 350]}, data=data)
    shown = generate.digits()
    assert shown.startswith("```\nattnbench train --data digits --host resnet50 --modules sa,se")
    assert "| SA | 93.50 " in shown  # 1021 of 3 * 364
    assert "the last epoch's" in shown
    assert generate.filled("<!-- d -->\n<!-- end of d -->", "d", shown).count(shown) == 1


@pytest.mark.usefixtures("no_pixels")
def test_the_reports_of_published_runtimes_come_from_their_records(
    monkeypatch: pytest.MonkeyPatch, checkout: Path
) -> None:
    monkeypatch.chdir(ROOT)
    for folder in generate.runtime_folders(Path("reports")):
        for file in folder.rglob("records.jsonl"):
            copy = checkout / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        write_loaded(load(checkout / folder), checkout / folder)
        for path in (checkout / folder).rglob("*.*"):
            if path.suffix not in {".png", ".jsonl"}:
                shown = ROOT / path.relative_to(checkout)
                assert path.read_text() == shown.read_text(), f"{shown}: make docs"


def test_the_newest_runs_of_runtimes_are_shown_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published eager run twice, once as if ONNX Runtime had executed it, and an older one."""
    monkeypatch.chdir(tmp_path)
    assert generate.runtimes() == "None is published yet."
    whole = (ROOT / generate.PUBLISHED / "records.jsonl").read_text().splitlines(keepends=True)
    rounds = [line for line in whole if '"kind":"round"' in line]
    others = [line for line in whole if '"kind":"round"' not in line and '"kind":"end"' not in line]
    lines = others + rounds[:8]
    first, *later = [line for line in lines if '"kind":"memory"' not in line]
    plan = json.loads(first)
    old = {"compiled", "cuda_graph"}
    case = {key: value for key, value in plan["case"].items() if key not in old}
    new = {"at": "", "replace": "", "calibration": "", "cudnn_benchmark": False}
    plan |= {"schema": 5, "case": case | new | {"runtime": "onnxruntime"}}
    deployed = [json.dumps(plan) + "\n", *later]
    for name, text in {
        "2026-11-20-cpu-resnet50-runtimes": "",
        "2026-11-26-cpu-resnet50-runtimes-float32": "".join(lines),
        "2026-11-26-cpu-resnet50-runtimes-onnxruntime": "".join(deployed),
    }.items():
        folder = tmp_path / "reports" / name
        folder.mkdir(parents=True)
        (folder / "records.jsonl").write_text(text)
    shown = generate.runtimes()
    assert "2026-11-20" not in shown
    assert shown.count("](../reports/2026-11-26-cpu-resnet50-runtimes-") == 2
    assert "ONNX Runtime" in shown
    assert "Operators that each module adds" in shown


def test_the_published_run_is_the_main_job_and_finished(published: Run) -> None:
    case = published.case
    assert (case.host, case.batch_size, case.image_size) == ("resnet50", 1, 224)
    assert len(published.modules) == 7
    assert published.end is not None
    assert not published.failures


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.usefixtures("published")
def test_the_finding_is_that_of_the_published_run() -> None:
    """2,759,680 operations of SA over 4,121,924,096 of the plain host are 0.067%."""
    found = " ".join(generate.finding().split())
    assert "adds 708 parameters, not the 300 that its abstract prints" in found
    assert "2.76e-3 GFLOPs are right" in found
    assert "free: +0.07%" in found
    assert "+73.7% [+68.2, +79.3] of an H100's own time" in found  # 1.737 [1.682, 1.793]
    assert "+16.8% [+13.0, +20.6] of latency" in found  # 1.168 [1.130, 1.206] in the table


def test_the_picture_of_the_page_is_small() -> None:
    assert (ROOT / "docs/page.png").stat().st_size < 150_000


@pytest.mark.parametrize("around", ["", "\n"])
def test_a_part_keeps_the_blank_lines_that_it_has_around(around: str) -> None:
    text = f"a\n<!-- part -->\n{around}{{}}\n{around}<!-- end of part -->\nb\n"
    assert generate.filled(text.format("old"), "part", "new\nlines") == text.format("new\nlines")


def test_a_part_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UserError, match="no part 'table'"):
        generate.filled("text", "table", "content")


def test_the_readmes_eighth_module_is_one_file_and_one_row(tmp_path: Path) -> None:
    """As the README has it, and a ninth with label, colour and marker; one process tries both."""
    shutil.copytree(ROOT / "attnbench", tmp_path / "attnbench")
    modules = shutil.copytree(ROOT / "modules", tmp_path / "attnbench" / "modules")
    text = "".join((ROOT / page).read_text() for page in ("README.md", "docs/contributing.md"))
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    (file,) = [block for block in blocks if "class Mine" in block]
    (row,) = [block for block in blocks if block.lstrip().startswith("AttentionSpec(")]
    assert row.endswith('")),\n')
    styled = row.replace('"mine", "Mine", "0', '"styled", "Mine", "0', 1)
    styled = styled.removesuffix("),\n") + ', label="Mine", colour="#000000", marker="*"),\n'
    (modules / "mine.py").write_text(file)
    table = (modules / "__init__.py").read_text()
    (modules / "__init__.py").write_text(
        table.replace("\n)\n\nATTENTION", f"\n{row}{styled})\n\nATTENTION")
    )
    code = (
        "import torch, attnbench\n"
        f"assert attnbench.__path__ == [{str(tmp_path / 'attnbench')!r}]\n"
        "from attnbench.formatting import title\n"
        "from attnbench.modules import ATTENTION\n"
        "from attnbench.report.plots.style import OTHERS, looks\n"
        "assert len(ATTENTION) == 9\n"
        "assert (title('mine'), title('styled')) == ('mine', 'Mine')\n"
        "assert looks(['mine'])['mine'] == OTHERS[0]\n"
        "assert looks(['styled'])['styled'] == ('#000000', '*')\n"
        "for name in ('mine', 'styled'):\n"
        "    network = attnbench.resnet(18, attention=name)\n"
        "    print(network(torch.ones(2, 3, 64, 64)).shape[1])\n"
    )
    done = completed(run_beside, tmp_path, code)
    assert done.stdout == "1000\n1000\n", done.stderr
