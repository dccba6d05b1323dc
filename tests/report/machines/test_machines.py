"""Runs on several machines: made up, so that every figure is known."""

import pytest
from helpers.stored_runs import store_run

from attnbench.report.load import load
from attnbench.report.machines import places, plots, tables
from attnbench.report.write import write_joint

MACHINES = {
    "lab": {"cpu": "AMD EPYC 7763"},
    "gpu": {"gpu": "NVIDIA H100", "gpu_uuid": "GPU-1"},
    "m2": {"cpu": "Apple M2"},
}


@pytest.fixture
def loaded(tmp_path, case, steady_runs):  # noqa: ARG001
    def at(name, machine, sa, **more):
        settings = {"device": "cuda" if machine == "gpu" else "cpu"} | more.pop("settings", {})
        facts = MACHINES[machine]
        store_run(tmp_path, case, name, facts=facts, settings=settings, sa=sa, se=1.05, **more)

    at("b1-lab", "lab", 1.2, settings={"batch_size": 1})
    at("b16-lab", "lab", 1.3, settings={"batch_size": 16})
    at("b2-lab", "lab", 1.25)
    at("b2-gpu", "gpu", 1.5, settings={"threads": 8})
    at("b2-m2", "m2", 1.1, control=1.3)
    return load(tmp_path)


def test_machines_are_told_apart_by_what_differs(loaded, tmp_path, case) -> None:
    known = places.machines(loaded.named)
    assert set(known.values()) == {"AMD EPYC 7763", "NVIDIA H100", "Apple M2"}
    for name, cores in (("few", 4), ("many", 64)):
        facts = {"cpu": "AMD EPYC 9554", "cores": cores, "torch": "2.15"}
        store_run(tmp_path, case, name, facts=facts, sa=1.2)
    known = places.machines(load(tmp_path).named)
    assert (known["few"], known["many"]) == ("AMD EPYC 9554 (cores 4)", "AMD EPYC 9554 (cores 64)")


def test_runtimes_whose_versions_only_their_own_runs_state_are_on_one_machine(tmp_path, case):
    for name in ("openvino", "onnxruntime"):
        facts = {"cpu": "AMD EPYC 9554", name: "1.2.3"}
        store_run(tmp_path, case, name, facts=facts, settings={"runtime": name}, sa=1.2)
    assert {*places.machines(load(tmp_path).named).values()} == {"AMD EPYC 9554"}


def test_a_configuration_is_one_on_every_machine(loaded) -> None:
    named = places.configurations(loaded.named)
    assert named == {
        "b1-lab": "batch 1",
        "b16-lab": "batch 16",
        "b2-lab": "batch 2",
        "b2-gpu": "batch 2",
        "b2-m2": "batch 2",
    }


def test_the_spread_is_of_machines_whose_control_holds(loaded) -> None:
    table = tables.spread(places.in_order(loaded.named))
    assert table.headings[2:] == ("AMD EPYC 7763", "NVIDIA H100", "Apple M2", "least to greatest")
    # Only batch 2 was measured on several; there, SA on the M2 is too noisy to judge: 1.1 of one
    # copy of the plain host and 1.1 / 1.3 of the other, so 1.1 / sqrt(1.3) = 0.9648 in the middle.
    (sa, se) = table.rows
    assert sa == (
        "SA",
        "batch 2",
        "+25.0% [+25.0, +25.0]",
        "+50.0% [+50.0, +50.0]",
        "? -3.5% [-15.4, +10.0]",
        "+25.0% to +50.0%",
    )
    assert (se[0], se[-1]) == ("SE", "+5.0% to +5.0%")


def test_each_machine_has_a_table_and_claims_are_checked_once(loaded) -> None:
    every = tables.tables(loaded.named)
    captions = [table.caption.partition(".")[0] for table in every]
    # The order is that of the first configuration: batch 1 was measured on the EPYC alone.
    assert captions[1:4] == ["AMD EPYC 7763", "NVIDIA H100", "Apple M2"]
    assert [row[0] for row in every[1].rows] == ["batch 1", "batch 2", "batch 16"]
    assert every[2].rows[0][0].startswith("resnet50, inference, batch 2")
    assert captions[4:] == ["Published figures of these networks"]
    claims = every[4].rows
    assert len(claims) == len(set(claims)) > 0


def test_one_machine_has_no_such_tables(tmp_path, case) -> None:
    for size in (1, 2):
        store_run(tmp_path, case, f"b{size}", settings={"batch_size": size}, sa=1.1)
    known = load(tmp_path)
    assert tables.tables(known.named) == []
    assert not plots.MACHINE_PLOTS["overhead_by_machine"].fits(places.placed(known.named))


def test_the_plot_has_a_panel_a_machine_and_a_line_a_module(loaded) -> None:
    frame = places.placed(loaded.named)
    figure = plots.overhead_by_machine(frame, "resnet50")
    assert [axes.get_title("left") for axes in figure.axes] == [
        "AMD EPYC 7763",
        "NVIDIA H100",
        "Apple M2",
    ]
    lab = figure.axes[0]
    lines = [line.get_ydata() for line in lab.lines if len(line.get_xdata()) == 3]
    # SA in the order of batches, though folders are in that of their names.
    assert [round(value) for value in lines[0]] == [20, 25, 30]
    words = plots.MACHINE_PLOTS["overhead_by_machine"].describe(frame)
    assert "NVIDIA H100: SA +50.0% [+50.0, +50.0] (batch 2)" in words
    assert "SA -3.5% [-15.4, +10.0], no verdict (batch 2)" in words


def test_the_joint_report_has_them(loaded, tmp_path) -> None:
    nothing = dict.fromkeys(loaded.named, ())
    write_joint(loaded.named, tmp_path, (), nothing, loaded.pooled)
    text = (tmp_path / "grid.md").read_text()
    assert "No figure here is a ratio between machines" in text
    assert text.count("Published figures of these networks") == 1
    page = (tmp_path / "report.html").read_text()
    assert "By machine" in page
    assert "least to greatest" in page
    assert (tmp_path / "overhead_by_machine.png").exists()
