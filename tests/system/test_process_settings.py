import json
from dataclasses import replace

import pytest
import torch
from helpers import processes

from attnbench.system import process_settings, worker

pytestmark = pytest.mark.filterwarnings(
    "ignore:Please use the new API settings"  # torch 2.9.0, of reading
)

SIZE = 16 * 2**20
PAGES = SIZE // 4096


@pytest.fixture(autouse=True)
def opposites():
    """Set everything that settle sets to the opposite; restore it after the test."""
    stated = {(torch.backends.cudnn, name): value for name, value in process_settings.CUDNN.items()}
    stated[torch.backends.cuda.matmul, "allow_tf32"] = process_settings.MATMUL_TF32
    before = {(where, name): getattr(where, name) for where, name in stated}
    threads = torch.get_num_threads()
    for (where, name), value in stated.items():
        setattr(where, name, not value)
    yield
    for (where, name), value in before.items():
        setattr(where, name, value)
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """Record the calls that would make this process keep its memory, which cannot be undone."""
    calls = []
    monkeypatch.setattr(process_settings, "keep_memory", lambda: calls.append("keep"))
    return calls


@pytest.mark.parametrize("threads", [1, 3])
def test_a_process_has_the_threads_of_its_case(case, threads):
    process_settings.settle(replace(case, threads=threads))
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("flag", ["enabled", "benchmark", "deterministic", "allow_tf32"])
def test_cudnn_is_set_to_what_the_facts_say(case, flag):
    stated = process_settings.facts("cuda")[f"cudnn_{flag}"]
    assert getattr(torch.backends.cudnn, flag) is not stated
    process_settings.settle(replace(case, device="cuda"))
    assert getattr(torch.backends.cudnn, flag) is stated


def test_products_of_matrices_are_set_to_what_the_facts_say(case):
    stated = process_settings.facts("cuda")["matmul_allow_tf32"]
    assert torch.backends.cuda.matmul.allow_tf32 is not stated
    process_settings.settle(replace(case, device="cuda"))
    assert torch.backends.cuda.matmul.allow_tf32 is stated


@pytest.mark.parametrize("chosen", [True, False])
def test_cudnn_tries_its_algorithms_where_the_case_says_so(case, chosen):
    process_settings.settle(replace(case, device="cuda", cudnn_benchmark=chosen))
    assert torch.backends.cudnn.benchmark is chosen


@pytest.mark.parametrize(("device", "calls"), [("cpu", ["keep"]), ("cuda", [])])
def test_only_a_process_on_the_cpu_keeps_its_memory(case, kept, device, calls):
    process_settings.settle(replace(case, device=device))
    assert kept == calls


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_facts_are_flat(device):
    facts = process_settings.facts(device)
    assert facts
    assert all(isinstance(value, str | int | float | bool) for value in facts.values())
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("can", [True, False])
def test_the_facts_on_a_cpu(monkeypatch, can):
    monkeypatch.setattr(process_settings, "can_keep_memory", lambda: can)
    assert process_settings.facts("cpu") == {
        "cache_state": "as the step before left it",
        "keeps_freed_memory": can,
        "moves_weights_every_rounds": process_settings.MOVE_EVERY,
    }


def test_the_facts_on_a_gpu():
    assert process_settings.facts("cuda") == {
        "cache_state": "as the step before left it",
        "cudnn_enabled": True,
        "cudnn_benchmark": False,
        "cudnn_deterministic": False,
        "cudnn_allow_tf32": True,
        "matmul_allow_tf32": False,
    }


@pytest.mark.skipif(not process_settings.can_keep_memory(), reason="the C library is not glibc")
def test_memory_that_is_kept_is_not_faulted_in_again():
    kept, given_back = (
        worker.call(processes.faults_of_taking_again, SIZE, 10, keep) for keep in (True, False)
    )
    assert kept < PAGES
    assert given_back >= 10 * PAGES  # again each time
