import shutil
from dataclasses import replace
from math import exp, sqrt

import pytest
from helpers.evaluations import evaluation

from attnbench import analysis
from attnbench.analysis.pick import Limits
from attnbench.errors import UserError
from attnbench.records import evaluation as evaluations
from attnbench.records import store
from attnbench.records.run import gather
from attnbench.report.formats import paper
from attnbench.report.load import load, read
from attnbench.report.plots.accuracy import panels
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import of_several, overview
from attnbench.report.write import write_loaded, write_paper
from attnbench.stats.replicates import began

RATIOS = (1.10, 1.14, 1.12)

# Their logarithms are 0.0953102, 0.1310283 and 0.1133287: mean 0.1132224, and the squares of the
# distances from it add up to 0.0006379. With an assumed 0.01 at six degrees of freedom:
DEVIATION = sqrt((6 * 0.01**2 + 0.0006379) / 8)
PART = 2.3060 * DEVIATION / sqrt(3)  # Student's t with eight degrees of freedom


@pytest.fixture
def repeated(stored, tmp_path):
    for number, ratio in enumerate(RATIOS, start=1):
        stored(f"runs/case-run{number}", sa=ratio, se=1.0, facts={"time": f"{number}:00"})
    return tmp_path / "runs"


def only(folder):
    (loaded,) = load(folder, scatter=0.01).pooled.values()
    return loaded


def test_runs_of_one_configuration_are_one_row_with_rounds_and_runs(repeated):
    loaded = only(repeated)
    sa = loaded.frame.set_index("variant").loc["sa"]
    assert sa["ratio"] == pytest.approx(exp(0.1132224), abs=1e-6)
    assert sa["ratio_low"] == pytest.approx(sa["ratio_high"])  # rounds without any scatter
    assert sa["ratio_between_runs_low"] == pytest.approx(exp(0.1132224 - PART), abs=1e-5)
    assert sa["ratio_between_runs_high"] == pytest.approx(exp(0.1132224 + PART), abs=1e-5)
    assert sa["run_to_run"] == pytest.approx(exp(PART) - 1, abs=1e-5)
    assert (sa["runs"], sa["rounds"], sa["verdict"]) == (3, 18, "slower")
    assert (sa["added_params"], sa["peak_live_ratio"]) == (708, 1.5)
    assert sa["code"] == "slower"
    se = loaded.frame.set_index("variant").loc["se"]
    assert (se["verdict"], se["code"]) == ("no significant difference", "tie")
    (candidate, _) = analysis.pick(repeated, Limits(overhead=0.001), scatter=0.01).candidates[::-1]
    assert candidate.ratio.high == sa["ratio_between_runs_high"]  # one interval under one name


def test_tables_name_the_number_of_runs_and_the_raw_frame_has_a_row_for_each(repeated):
    glance, latency, *_ = of_several(only(repeated))
    assert "mean of 3 runs; intervals include the variation between runs" in glance.caption
    assert "1.120 [1.101, 1.139]" in glance.rows[0]
    assert "±1.7%" in glance.rows[0]
    assert "rounds alone, mean of 3 runs" in latency.caption
    assert "run-to-run part" in overview(only(repeated)).headings
    assert list(read(repeated)["variant"]).count("sa") == 3


def test_a_run_whose_control_fails_is_left_out_with_a_remark(repeated, stored):
    stored("runs/case-run4", sa=2.0, se=2.0, control=1.05, facts={"time": "4:00"})
    loaded = only(repeated)
    assert loaded.frame.set_index("variant").loc["sa", "runs"] == 3
    left_out = "The run that began at 4:00 is left out: its control failed: the plain host against"
    assert any(line.startswith(left_out) for line in remarks(loaded))
    choice = analysis.pick(repeated, Limits(overhead=0.5))
    assert choice.runs == 3
    assert choice.remarks[0].startswith("the run that began at 4:00 is left out")


def test_where_every_control_fails_there_is_no_verdict(stored, tmp_path):
    for number in (1, 2):
        stored(f"runs/case-run{number}", sa=1.2, control=1.05)
    loaded = only(tmp_path / "runs")
    assert loaded.control_fault is not None
    assert not loaded.frame["verdict"].any()
    assert loaded.frame.set_index("variant").loc["sa", "code"] == "control"


def test_other_code_of_a_module_and_other_machines_are_never_taken_together(stored, tmp_path):
    first, second = "sha256 aa", "sha256 bb"
    stored("runs/a", facts={"cpu": "A"}, sources={"mine.py:M": first}, **{"mine.py:M": 1.1})
    stored("runs/b", facts={"cpu": "A"}, sources={"mine.py:M": second}, **{"mine.py:M": 1.2})
    assert len(load(tmp_path / "runs").pooled) == 2
    with pytest.raises(UserError, match=r"two versions of the code of mine\.py:M"):
        analysis.pick(tmp_path / "runs", Limits(overhead=0.5))
    stored("others/a", sa=1.1, facts={"cpu": "A"})
    stored("others/b", sa=1.1, facts={"cpu": "B"})
    assert len(load(tmp_path / "others").pooled) == 2


def test_a_copied_run_is_no_second_run_in_any_table(repeated, tmp_path):
    """A mean of two equal runs would have too narrow an interval."""
    shutil.copytree(repeated / "case-run2", repeated / "elsewhere")
    shutil.copytree(repeated / "case-run1", tmp_path / "one" / "case")
    shutil.copytree(repeated / "case-run1", tmp_path / "one" / "copy")
    loaded = only(repeated)
    sa = loaded.frame.set_index("variant").loc["sa"]
    assert (sa["runs"], sa["rounds"]) == (3, 18)
    assert sa["run_to_run"] == pytest.approx(exp(PART) - 1, abs=1e-5)
    sentence = "elsewhere is left out: it is a copy of the run that began at 2:00."
    assert sentence in remarks(loaded)
    write_loaded(load(repeated, scatter=0.01), repeated)
    for name in ("grid.md", "grid.tex", "report.html", "case-run2/comparison.md"):
        assert sentence in (repeated / name).read_text()
    single = only(tmp_path / "one")
    assert len(single.runs) == 1
    sentence = "copy is left out: it is a copy of the run that began at 1:00."
    write_loaded(load(tmp_path / "one"), tmp_path / "one")
    for name in ("grid.md", "grid.tex", "report.html", "case/comparison.md", "case/report.html"):
        assert sentence in (tmp_path / "one" / name).read_text()


def test_measured_top_1_reaches_the_plot_of_several_runs(stored, tmp_path):
    """Evaluated into the folder of all, or of one of them."""
    settings = {"image_size": 224}
    for number in (1, 2):
        begun = {"time": f"{number}:00"}
        stored(f"runs/case-run{number}", sa=1.1, settings=settings, facts=begun)
    evaluations.append(tmp_path / "runs", evaluation())
    plain = evaluation(module=None, top1_right=38_000)
    evaluations.append(tmp_path / "runs" / "case-run2", plain)
    loaded = load(tmp_path / "runs")
    (together,) = loaded.pooled.values()
    panel = panels(together.frame)[0]
    assert panel.measured
    assert dict(zip(panel.rows["variant"], panel.rows["top1"], strict=True)) == {
        "plain": pytest.approx(76.0),
        "sa": pytest.approx(77.882),
    }
    write_loaded(loaded, tmp_path / "runs")
    svg = (tmp_path / "runs" / "accuracy_against_latency.svg").read_text()
    assert "measured top-1 77.88%" in svg
    page = (tmp_path / "runs" / "report.html").read_text()
    assert "mean of 2 runs" in page
    assert "mean of 2 runs" in (tmp_path / "runs" / "grid.tex").read_text()


def test_a_papers_table_of_several_runs_says_how_many(repeated, stored, tmp_path):
    loaded = load(repeated, scatter=0.01)
    write_paper(loaded, tmp_path, paper.columns("ratio,run_to_run"))
    text = (tmp_path / "paper.tex").read_text()
    assert "Mean of 3 runs at different times." in text
    assert r"1.120 $\pm$ 0.019" in text
    stored("runs/other", sa=1.1, settings={"batch_size": 8})
    with pytest.raises(UserError, match="several of one configuration, not 2"):
        write_paper(load(repeated), tmp_path, paper.columns("ratio"))


def test_a_run_began_at_its_first_step_where_others_ran_before_it(stored):
    """All plans are written first; the helper stores a plan's time with every record."""
    known = gather(store.read(stored(sa=1.1)), "run")
    planned = {**known.environment, "time": "2026-01-02T10:00:00+00:00"}
    for first, began_at in (
        ("2026-01-02T10:00:03+00:00", "2026-01-02T10:00:00+00:00"),
        ("2026-01-02T11:30:00+00:00", "2026-01-02T11:30:00+00:00"),
        ("12:00", "2026-01-02T10:00:00+00:00"),
    ):
        assert began(replace(known, environment=planned, started=first)) == began_at
