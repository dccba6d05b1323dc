"""The table of gains, its notes and command, its plots, and the page that shows them."""

import shutil
from pathlib import Path

import pytest
from helpers.command_line import SMALL_RUN
from helpers.trainings import done, stored, training, trainings

from attnbench.records.trainings.schema import Fault, Trainings, Width
from attnbench.report.load import load
from attnbench.report.plots import render
from attnbench.report.plots.gains import GAIN_PLOTS
from attnbench.report.tables.trainings import gains as tables
from attnbench.report.write import write_loaded
from attnbench.stats.gains import Gains
from attnbench.training.recipes import recipe

RIGHTS = {
    "plain": [300, 300, 301],
    "control": [301, 299, 301],
    "se": [280, 281, 280],
    "sa": [340, 341, 340],
}


WIDTH = Width(
    base=72,
    ratio=1.2,
    ratio_low=1.1,
    ratio_high=1.3,
    module="sa",
    module_ratio=1.21,
    module_ratio_low=1.2,
    module_ratio_high=1.22,
    rounds=21,
)


def test_a_row_a_network() -> None:
    table = tables.table(Gains(trainings(RIGHTS)))
    cells = {row[0]: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    assert list(cells) == ["plain", "control", "SE", "SA"]
    # 901 of 3 * 400 images.
    assert cells["plain"]["top-1 (%)"] == "75.08"
    assert (cells["SA"]["verdict"], cells["SA"]["code"]) == ("helps", "helps")
    assert (cells["SE"]["verdict"], cells["SE"]["code"]) == ("harms", "harms")
    assert cells["control"]["verdict"] == "–"
    # 40, 41 and 39 images of 400: 4.303 * 1 / sqrt(3) images about 40.
    assert cells["SA"]["gain (points) [95%]"] == "+10.00 [+9.38, +10.62]"
    # Until 4 seeds: 3.182 * 0.25 / sqrt(4) = 0.40 points.
    assert cells["SA"]["seeds for ±0.50"] == "4"
    # The best epochs: 340, 341, 340, and of plain 300, 300, 301.
    assert cells["SA"]["best epoch, chosen on this set (%)"] == "85.08"
    assert cells["SA"]["its gain"] == "+10.00"
    assert len(table.definitions) == len(table.headings)
    assert "no verdicts" not in table.caption


def test_before_any_figure_there_is_no_table() -> None:
    plan = training()
    assert tables.table(Gains(Trainings(plan))) is None
    assert any(
        "Not trained to the end yet" in note for note in tables.notes(Gains(Trainings(plan)))
    )


def test_notes_say_what_must_be_known() -> None:
    plan = training(
        ("sa",),
        3,
        recipe=recipe("short", ["epochs=2", "crop_least=0.5"]),
        left_out={"sge": "sge: no map"},
        last=2,
    )
    rights = {"plain": [300, 300, 301], "control": [340, 341, 341], "sa": [340, 341]}
    fault = Fault(kind="loss", message="no number\nat all")
    gains = Gains(Trainings(plan, done(plan, rights, faults={("sa", 2): fault})))
    text = "\n".join(tables.notes(gains))
    assert "but for epochs=2, crop_least=0.5: what it shows" in text
    assert "the mean of the last 2 epochs" in text
    assert "No verdicts: the plain host with other seeds is significantly different" in text
    assert "SGE was left out: no map." in text
    assert "sa with seed 2 ended early (loss): no number at all; the figures are of the" in text
    assert "no verdicts" in tables.table(gains).caption


def test_the_command_trains_the_same() -> None:
    plan = training(
        ("sa", "mine.py:Mine"),
        2,
        stages=(2, 3),
        amp="bfloat16",
        deterministic=True,
        sources={"mine.py:Mine": "sha256 1"},
        recipe=recipe("sa-net", ["epochs=30", "milestones=10,20"]),
        variants=("plain", "control", "sa", "mine.py:Mine", "wider"),
        width=WIDTH,
    )
    text = " ".join(tables.notes(Gains(Trainings(plan))))
    assert "latency is 1.200 [1.100, 1.300] times the plain host's; that of SA, the slowest" in text
    assert tables.command(Trainings(plan)) == (
        "attnbench train --data images --host resnet50 --modules sa --module mine.py:Mine "
        "--recipe sa-net --set epochs=30 --set milestones=10,20 --seeds 2 --stages 2,3 "
        "--amp bfloat16 --image-size 32 --device cpu --threads 1 --deterministic "
        "--capacity-control"
    )


def test_plots_say_what_they_show() -> None:
    frame = tables.frame(Gains(trainings(RIGHTS)))
    alone, timed = GAIN_PLOTS["gain"], GAIN_PLOTS["gain_against_latency"]
    assert alone.fits(frame)
    assert not timed.fits(frame)
    assert "SA gains +10.00 [+9.38, +10.62] points: helps" in alone.describe(frame)
    single = tables.frame(Gains(trainings({key: [value[0]] for key, value in RIGHTS.items()})))
    assert "[too few seeds] points: no verdict" in alone.describe(single)


def test_gains_are_joined_with_the_latency_of_the_same_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the run's own folder, or in one beside it."""
    monkeypatch.setattr(render, "PLOTS", {})  # those of the run alone
    run, beside = tmp_path / "run", tmp_path / "trained"
    run.mkdir()
    shutil.copy(SMALL_RUN / "records.jsonl", run)
    for trained, folder in ((beside, tmp_path), (run, run)):
        stored(trained, RIGHTS)
        write_loaded(load(folder), tmp_path / "out")
        files = {path.name for path in (tmp_path / "out").iterdir()}
        assert {"trainings.md", "trainings.tex", "gain.png", "gain_against_latency.svg"} <= files
        page = (tmp_path / "out" / "report.html").read_text()
        assert "Does it help? resnet50, trained on images" in page
        assert "SA +20.0%" in page
        assert "SA gains +10.00" in page
        assert 'good" data-figure="">helps</td>' in page
        assert "<code>trainings.jsonl</code>" in page
        assert 'href="trainings.tex"' in page
        assert "interval over the seeds" in page.partition("What the columns mean")[2]
        assert "at equal training</span>" in page  # the caption leaves out what the heading says
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(tmp_path / "out")
    (loaded,) = load(run).runs.values()
    assert not tables.of_host(Trainings(training(host="resnet101")), loaded)
