"""Tables, remarks and plots of a run on a device that executes behind the host."""

import re
from dataclasses import replace

import pytest

from attnbench.records.run import Run
from attnbench.records.schema import DeviceTime
from attnbench.records.variants import CONTROL
from attnbench.report.formats.html import page
from attnbench.report.plots import render
from attnbench.report.plots.run import PLOTS
from attnbench.report.tables.pooled import pooled
from attnbench.report.tables.remarks import remarks
from attnbench.report.tables.run import LoadedRun, overview, tables
from attnbench.report.tables.sentences.control import control

# The stored run: plain takes 100 ms a step of two images, SA 1.20 times as long, in nine rounds.
# On its device plain takes 40 ms, and SA 1.5 times as long.
ON_THE_DEVICE = {"plain": 0.04, "control": 0.04, "sa": 0.06, "sk": 0.05}


def on_a_device(run: Run, issued: float) -> Run:
    """Let issuing take that share of every block, and the device what ON_THE_DEVICE says."""
    rounds = [
        replace(
            timed,
            blocks=tuple(
                replace(
                    block,
                    issued_s=issued * block.seconds,
                    device=DeviceTime(
                        steps=3, seconds=3 * ON_THE_DEVICE[block.variant], spin_s=0.1
                    ),
                )
                for block in timed.blocks
            ),
        )
        for timed in run.rounds
    ]
    return replace(run, rounds=rounds, case=replace(run.case, device="cuda"))


@pytest.fixture(params=[1, 2], ids=["one run", "two runs"])
def waiting(request: pytest.FixtureRequest, run: Run) -> LoadedRun:
    """The GPU waits; in one run, and in two of one configuration."""
    loaded = LoadedRun(on_a_device(run, issued=0.97))
    if request.param == 1:
        return loaded
    (together,) = pooled({"one": loaded, "two": LoadedRun(loaded.run)}).values()
    return together


def test_both_times_have_their_figures(waiting: LoadedRun) -> None:
    frame = waiting.frame.set_index("variant")
    assert frame.loc["plain", "device_latency_s"] == pytest.approx(0.02)  # of two images
    assert frame.loc["sa", "device_ratio"] == pytest.approx(1.5)
    assert frame.loc["sa", "ratio"] == pytest.approx(1.2)
    assert frame.loc["plain", "device_ratio"] == 1
    assert frame.loc["sa", "device_verdict"] == "slower"
    assert frame.loc["sa", "device_code"] == "slower"
    assert frame.loc["sa", "issued_share"] == pytest.approx(0.97)
    low, high = (frame.loc["sa", f"device_ratio_between_runs_{end}"] for end in ("low", "high"))
    assert low < 1.5 < high  # the rounds agree exactly, runs need not


def taken_together(run: Run) -> LoadedRun:
    (loaded,) = pooled({"one": LoadedRun(run), "two": LoadedRun(run)}).values()
    return loaded


@pytest.mark.parametrize("load", [LoadedRun, taken_together], ids=["one run", "two runs"])
def test_a_module_without_a_devices_own_time_is_untimed_where_others_have_one(load, run) -> None:
    of_cpu = load(run).frame.set_index("variant")
    assert of_cpu["device_code"].isna().all()
    assert of_cpu["energy_code"].isna().all()
    assert of_cpu.loc[["sa", "sk"], "code"].tolist() == ["slower", "untimed"]  # SK failed
    on_gpu = on_a_device(run, issued=0.5)
    of_gpu = load(on_gpu).frame.set_index("variant")
    assert of_gpu.loc[["sa", "sk"], "device_code"].tolist() == ["slower", "untimed"]
    of_sa = [
        replace(
            timed,
            blocks=tuple(
                replace(block, device=None) if block.variant == "sa" else block
                for block in timed.blocks
            ),
        )
        for timed in on_gpu.rounds
    ]
    without = load(replace(on_gpu, rounds=of_sa)).frame.set_index("variant")
    assert without.loc["sa", ["code", "device_code"]].tolist() == ["slower", "untimed"]


def test_where_the_gpu_waited_the_device_ratio_stands_first(waiting: LoadedRun) -> None:
    glance, top = tables(waiting)[0], overview(waiting)
    for table in (glance, top):
        assert "the GPU waited for Python: latency is that of issuing" in table.caption
        assert table.headings[1] == "device ratio [95%]"
        assert "ratio of issuing [95%]" in table.headings
        assert "latency ratio [95%]" not in table.headings
    lines = remarks(waiting)
    assert any("GPU waited for Python in plain, control, SA" in line for line in lines), lines
    assert control(waiting).startswith("Control of the device's own times: 1.000")
    (of_issuing,) = (line for line in lines if line.startswith("Control of issuing"))
    assert of_issuing.startswith("Control of issuing (plain against plain): 1.000")


def test_the_control_that_stands_first_is_that_of_the_ratio_that_does(run: Run) -> None:
    def later(block):  # issuing the second plain network takes a tenth longer
        return replace(block, seconds=1.1 * block.seconds) if block.variant == CONTROL else block

    waits = on_a_device(run, issued=0.97)
    rounds = [replace(each, blocks=tuple(map(later, each.blocks))) for each in waits.rounds]
    loaded = LoadedRun(replace(waits, rounds=rounds))
    assert loaded.control_fault is not None
    assert loaded.foremost_fault is None
    assert control(loaded).endswith("it holds.")
    assert "too noisy to judge" not in tables(loaded)[0].caption
    assert "control holds" in page({"run": loaded}, {"run": render.of_run(loaded)})


def test_the_page_has_the_fastest_of_the_device_first_where_it_waited(run: Run) -> None:
    for issued, first in ((0.97, "SK"), (0.5, "SA")):
        loaded = LoadedRun(on_a_device(run, issued))
        frame = loaded.frame
        places = frame["variant"] == "sk"
        frame.loc[places, "ratio"], frame.loc[places, "device_ratio"] = 1.3, 1.25
        assert [row[0] for row in overview(loaded).rows][:2] == ["plain", first]


def test_where_it_did_not_nothing_is_called_issuing(run: Run) -> None:
    loaded = LoadedRun(on_a_device(run, issued=0.5))
    shown = page({"run": loaded}, {"run": render.of_run(loaded)})
    assert "latency is that of issuing" not in shown
    assert "ratio of issuing" not in shown
    assert "device ratio [95%]" in shown
    assert "waited for Python" not in " ".join(remarks(loaded))


def text_of(svg: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", svg).split())


def test_the_plots_have_the_device_first_and_say_what_latency_is(run: Run) -> None:
    loaded = LoadedRun(on_a_device(run, issued=0.97))
    first, second, *_ = drawings = render.of_run(loaded)
    assert (first.name, second.name) == ("device_overhead", "latency_overhead")
    assert "SA +50.0%" in first.words
    assert "of issuing" not in first.words
    assert "SA +20.0%" in second.words
    assert "of issuing" in second.words
    assert "the GPU waited for Python" in text_of(second.svg)
    memory = next(each for each in drawings if each.name == "memory_overhead")
    assert "waited" not in memory.svg
    assert "waited for Python" in page({"run": loaded}, {"run": drawings})


def test_a_device_control_that_fails_gives_no_device_verdict(run: Run) -> None:
    def spoilt(block):
        if block.variant != "control":
            return block
        return replace(block, device=replace(block.device, seconds=1.1 * block.device.seconds))

    waits = on_a_device(run, issued=0.97)
    rounds = [replace(each, blocks=tuple(map(spoilt, each.blocks))) for each in waits.rounds]
    loaded = LoadedRun(replace(waits, rounds=rounds))
    frame = loaded.frame.set_index("variant")
    assert not isinstance(frame.loc["sa", "device_verdict"], str)
    assert frame.loc["sa", "device_code"] in {"control", "noisy"}
    assert (frame.loc["sa", "verdict"], frame.loc["sa", "code"]) == ("slower", "slower")
    assert any("own times" in line and "too noisy" in line for line in remarks(loaded))
    assert control(loaded).endswith("significantly different from 1. Try --processes 6.")


def test_a_run_on_a_cpu_shows_none_of_it(run: Run) -> None:
    loaded = LoadedRun(run)
    assert not PLOTS["device_overhead"].fits(loaded.frame)
    assert "device" not in " ".join([*tables(loaded)[0].headings, *remarks(loaded)])
