"""What the processes of a run share of the values that their networks compute with."""

from functools import partial

import pytest
import torch
from helpers.processes import TickingClock
from helpers.runs import undisturbed

from attnbench.hosts import networks
from attnbench.hosts.values import norm_statistics
from attnbench.measuring.latency import measure as latency
from attnbench.measuring.latency import warm_up
from attnbench.runtimes import torch_compile
from attnbench.runtimes.prepared import Prepared

pytestmark = pytest.mark.usefixtures("small_host", "counted")

VARIANTS = ("plain", "control", "se")


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
            if hasattr(event, "results"):
                run.add(event)


def test_a_process_draws_once_and_the_next_reads_the_statistics_of_the_first(
    new_run, work, tmp_path
):
    run = new_run(VARIANTS, processes=2, budget_s=1.0, target=1e-6)
    run.statistics = tmp_path
    time_in_two_processes(run)
    assert [variant for variant, _ in work["built"]][:3] == [*VARIANTS]
    assert len(work["built"]) == 6
    assert (work["drawn"], work["estimated"]) == (2, 3)
    by_variant = dict.fromkeys(VARIANTS)
    for variant, values in work["built"]:
        before = by_variant[variant] or values
        assert all(torch.equal(values[name], before[name]) for name in before)
        by_variant[variant] = values
    assert not torch.equal(by_variant["plain"]["bn1.running_var"], torch.ones(64))


def test_without_a_folder_each_process_estimates_its_own(new_run, work):
    time_in_two_processes(new_run(VARIANTS, processes=2, budget_s=1.0, target=1e-6))
    assert (work["drawn"], work["estimated"]) == (2, 6)


def test_compiled_networks_are_built_alike_as_that_is_recorded(
    new_run, work, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch_compile, "prepare", lambda model, _: Prepared(model))
    run = new_run(VARIANTS, budget_s=1.0, runtime="compile")
    run.statistics = tmp_path
    [*latency.measure(run, TickingClock(), undisturbed)]
    assert (work["drawn"], work["estimated"]) == (3, 3)
    assert not [*tmp_path.iterdir()]
