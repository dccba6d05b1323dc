"""What processes and variants of a run share of the values that their networks compute with."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers.processes import TickingClock
from helpers.runs import undisturbed

from attnbench.hosts import networks
from attnbench.hosts.values import norm_statistics
from attnbench.measuring import workload
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.measuring.processes.norm_statistics import folders
from attnbench.measuring.steps.apart import statistics_apart
from attnbench.records.schema import Record
from attnbench.runtimes import torch_compile
from attnbench.runtimes.prepared import Prepared

pytestmark = pytest.mark.usefixtures("small_host", "counted", "one_process")

VARIANTS = ("plain", "control", "se")

MINE = """
import torch
class Mine(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels)
    def forward(self, x):
        return self.norm(x)
"""


@pytest.fixture
def work(monkeypatch):
    """How often a host's values are drawn and statistics estimated, and the networks built."""
    done = {"drawn": 0, "estimated": 0, "built": []}
    draw, images, build = networks.plain_resnet, norm_statistics.images, warm_up.step

    def count(name, call, *args):
        done[name] += 1
        return call(*args)

    def built(case, variant):
        ready = build(case, variant)
        values = {name: value.clone() for name, value in ready.network.state_dict().items()}
        done["built"].append((variant, values))
        return ready

    monkeypatch.setattr(networks, "plain_resnet", partial(count, "drawn", draw))
    monkeypatch.setattr(norm_statistics, "images", partial(count, "estimated", images))
    monkeypatch.setattr(warm_up, "step", built)
    return done


def time_in_two_processes(run):
    for _ in range(2):
        for event in latency.measure(run, TickingClock(), undisturbed):
            if isinstance(event, Record):
                run.add(event)


def test_a_process_draws_once_and_reads_statistics_that_are_those_of_the_network(new_run, work):
    run = new_run(VARIANTS, processes=2, budget_s=1.0, target=1e-6)
    with folders([run]):
        begun = [event.variant for event in statistics_apart(run)]
        assert begun == ["plain", "se"]  # the control is the plain host again
        assert work["estimated"] == 2
        before = work["drawn"]
        time_in_two_processes(run)
    assert (work["drawn"] - before, work["estimated"]) == (2, 2)
    assert [variant for variant, _ in work["built"]][:3] == [*VARIANTS]
    assert len(work["built"]) == 6
    for variant, values in work["built"]:
        apart = workload.network(run.case, variant, "cpu", statistics=True).state_dict()
        assert list(values) == list(apart)
        assert all(torch.equal(values[name], apart[name]) for name in apart)
        assert not torch.equal(values["bn1.running_var"], torch.ones(64))


def test_where_none_are_kept_each_process_estimates_its_own(new_run, work):
    run = new_run(VARIANTS, processes=2, budget_s=1.0, target=1e-6)
    time_in_two_processes(run)
    assert (work["drawn"], work["estimated"]) == (2, 6)


@pytest.mark.parametrize("custom", [False, True])
def test_beside_code_of_others_and_where_compiling_is_recorded_each_network_is_built_anew(
    new_run, work, monkeypatch, tmp_path, custom
):
    variants, runtime, sources = VARIANTS, "compile", {}
    if custom:
        (tmp_path / "mine.py").write_text(MINE)
        variants, runtime = (*VARIANTS[:2], f"{tmp_path}/mine.py:Mine", "se"), "eager"
        sources = latency.resolve.origins(map(latency.resolve.parse, variants[2:]))
    monkeypatch.setattr(torch_compile, "prepare", lambda model, _: Prepared(model))
    run = new_run(variants, budget_s=1.0, processes=2, runtime=runtime)
    run.plan = replace(run.plan, sources=sources) if custom else run.plan
    with folders([run]):
        assert not [*statistics_apart(run)]
        [*latency.measure(run, TickingClock(), undisturbed)]
    assert [variant for variant, _ in work["built"]] == [*variants]
    assert (work["drawn"], work["estimated"]) == (len(variants), len(variants))
