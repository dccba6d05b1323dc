"""A network from a file as the host of a run: planned, built, counted, in one process."""

from dataclasses import replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.measuring import isolated, workload
from attnbench.measuring.planning import prepare
from attnbench.measuring.steps import counting
from attnbench.plugins.resolve import parse
from attnbench.records.case import RunOptions
from attnbench.records.variants import IsolatedModule

FILE = Path(__file__).parents[1] / "helpers" / "small_hosts.py"

OPTIONS = RunOptions(
    host=f"{FILE}:resnet", modules=("eca", "sk"), image_size=(64,), budget_s=1.0, device="cpu"
)

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def planned(tmp_path):
    ((run, _),), _, left_out = prepare(OPTIONS, tmp_path / "run")
    return run, left_out


def test_the_plan_names_the_hosts_code_and_who_is_left_out(planned, tmp_path):
    run, left_out = planned
    assert run.modules == ("eca",)
    assert left_out.keys() == {"sk"}
    digest = sha256(FILE.read_bytes()).hexdigest()
    assert run.plan.sources == {"plain": f"sha256 {digest}, timm {version('timm')}"}
    ((again, _),), _, _ = prepare(RunOptions(), tmp_path / "run")
    assert (again.case, again.plan) == (run.case, run.plan)


def test_a_folder_of_its_own_has_the_functions_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ((_, folder),), _, _ = prepare(OPTIONS, None)
    assert folder.name.endswith("-cpu-small_hosts-resnet")


def test_what_the_module_adds_is_counted_at_its_sites(planned):
    run, _ = planned
    plain, eca = (counting.count_network(run.case, name) for name in ("plain", "eca"))
    # Four blocks of 64, 128, 256 and 512 channels: kernels of 3, 5, 5 and 5.
    assert eca["learnable"].params - plain["learnable"].params == 3 + 5 + 5 + 5
    assert "layer1 attention" in eca["executed"].parts


def test_a_training_step_has_labels_of_the_networks_own_classes(planned):
    run, _ = planned
    step = workload.step(replace(run.case, mode="training", batch_size=7), "eca")
    assert step().isfinite()  # labels beyond the five classes would raise


def test_a_module_alone_has_the_size_of_its_site(planned):
    run, _ = planned
    alone = IsolatedModule("eca", 3)
    assert isolated.input_shape(run.case, alone) == (1, 256, 4, 4)
    assert isolated.attention(run.case, alone, "meta").conv.kernel_size == (5,)


@pytest.mark.parametrize("family", ["convnext", "regnet"])  # by hooks, and by forward
def test_the_compiler_tells_networks_apart_that_differ_in_modules_alone(
    planned, monkeypatch, family
):
    """Else the plain network's graph runs for every module, and all ratios are 1."""
    run, _ = planned
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    case = replace(run.case, host=f"{FILE}:{family}", runtime="compile")
    networks, steps = {}, {}
    for name in ("plain", "eca", "se"):
        steps[name] = workload.step(case, name)
        networks[name] = workload.network(case, name, "cpu").eval()
    image = workload.image_for(case, case.input_shape, "cpu")
    with torch.inference_mode():
        outputs = [networks[name](image) for name in steps]
        assert all(map(torch.equal, outputs, (step() for step in steps.values())))
    assert not torch.equal(outputs[0], outputs[1])


def test_a_custom_module_that_does_not_fit_says_at_how_many_sites():
    with pytest.raises(UserError, match=r"fits at 3 of the 4 sites of .*: on an input of 64x16x16"):
        check_module.in_subprocess(
            check_module.check, parse("sa,groups=64"), OPTIONS.host, [(1, 3, 64, 64)]
        )


def test_a_compiler_that_ignores_hooks_is_refused_where_modules_stand_by_hooks(case, monkeypatch):
    monkeypatch.setattr(workload, "HOOK_GUARDS_OFF", "no such setting")
    workload._guard_hooks(case)  # a ResNet's blocks are classes of their own
    for other in (replace(case, at="layer1.*"), replace(case, host="mobilenet_v2")):
        with pytest.raises(RuntimeError, match="cannot be timed with --compile"):
            workload._guard_hooks(other)
