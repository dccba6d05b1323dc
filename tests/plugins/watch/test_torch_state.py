"""What is set for a whole process is set in another one here."""

import os
import random
import sys
import threading
from functools import partial

import pytest
import torch
from helpers import processes
from torch.utils._device import DeviceContext

from attnbench.counting import count_all
from attnbench.modules import SettingsError
from attnbench.plugins.resolve import parse
from attnbench.plugins.watch import process_state
from attnbench.plugins.watch.integrity import require_unchanged
from attnbench.plugins.watch.torch_state import WATCHED
from attnbench.system import worker

# A file is loaded within a context of the CPU. In torch 2.9.0 such a context stays in force
# within it and hides the new default, which is found as one mode more.
SEEN_WITHIN = hasattr(DeviceContext("cpu"), "prev_mode")
DEFAULT_DEVICE = "default device from cpu to meta" if SEEN_WITHIN else "functions from 1 to 2"

CHANGES = {
    "torch.set_num_threads(torch.get_num_threads() + 1)": "number of threads from",
    "torch.set_default_dtype(torch.float64)": "default dtype from torch.float32 to torch.float64",
    "torch.set_default_device('meta')": DEFAULT_DEVICE,
    "torch.set_grad_enabled(False)": "grad mode from True to False",
    "torch.autograd.set_detect_anomaly(True)": "anomaly detection from False to True",
    "torch.use_deterministic_algorithms(True)": "deterministic algorithms from 0 to 2",
    "torch.use_deterministic_algorithms(True, warn_only=True)": "algorithms from 0 to 1",
    "torch.set_float32_matmul_precision('high')": "float32 matmul precision from highest",
    "torch.backends.cuda.matmul.allow_tf32 = True": "TF32 in CUDA matmul from False to True",
    "torch.backends.cudnn.benchmark = True": "cudnn.benchmark from False to True",
    "torch.backends.cudnn.deterministic = True": "cudnn.deterministic from False to True",
    "torch.backends.cudnn.allow_tf32 = False": "cudnn.allow_tf32 from True to False",
    "torch.backends.mkldnn.conv.fp32_precision = 'bf16'": "mkldnn's conv from none to bf16",
    "torch.backends.cudnn.benchmark_limit = 1": "cudnn.benchmark_limit from 10 to 1",
    "torch.autograd.set_multithreading_enabled(False)": "threads of autograd from True to False",
    "torch.backends.mkldnn.enabled = False": "mkldnn.enabled from True to False",
    "torch.nn.modules.module.register_module_forward_hook(print)": "global module hooks from",
    "torch.backends.cuda.enable_flash_sdp(False)": "flash attention from True to False",
    "torch.set_flush_denormal(True)": "denormal numbers from True to False",
}


@pytest.mark.parametrize(("line", "what"), CHANGES.items())
def test_a_file_that_changes_torch_is_refused_with_what_it_changes(written, line: str, what: str):
    path = written(f"import torch\n{line}\nGate = torch.nn.Identity\n")
    with pytest.raises(SettingsError, match=f"^{path}:Gate: loading it changes torch's .*{what}"):
        worker.call(parse(f"{path}:Gate").load)


def test_all_that_changed_is_named():
    def change() -> None:
        torch.set_default_dtype(torch.float64)
        torch.backends.cudnn.benchmark = True

    try:
        with pytest.raises(
            SettingsError, match=r"^it .* default dtype .*, torch's cudnn.benchmark"
        ):
            require_unchanged("it")(change)()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.backends.cudnn.benchmark = False


def test_random_numbers_go_on_as_if_nothing_had_been_drawn():
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(2).tolist(), random.random()
    torch.manual_seed(3)
    random.seed(3)
    with require_unchanged("it"):
        torch.manual_seed(4)
        random.seed(4)
    assert (torch.rand(2).tolist(), random.random()) == expected


def test_a_file_that_goes_to_its_own_folder_is_loaded_and_others_are_still_found(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    for folder, doubled in ((own, True), (tmp_path, False)):
        text = f"class Gate(torch.nn.Identity): doubled = {doubled}\n"
        (folder / "second.py").write_text(f"import torch\n{text}")
    text = "import os, torch\nos.chdir(os.path.dirname(__file__))\nGate = torch.nn.Identity\n"
    (own / "first.py").write_text(text)
    assert parse("own/first.py:Gate").load().build(4)
    assert parse("second.py:Gate").load().build(4).doubled is False


def test_what_raises_stays_what_it_is():
    with pytest.raises(ValueError, match="mine"), require_unchanged("it"):
        raise ValueError("mine")


@pytest.mark.parametrize(
    ("error", "value"), [(RuntimeError("old\nand new"), "a mixture"), (AttributeError(), "none")]
)
def test_a_setting_that_cannot_be_read_is_only_another_value(
    monkeypatch: pytest.MonkeyPatch, error: Exception, value: str
):
    def fail() -> object:
        raise error

    with pytest.raises(SettingsError, match=f"number of threads from [0-9]+ to {value}"):
        require_unchanged("it")(partial(monkeypatch.setitem, WATCHED, "number of threads", fail))()


def test_a_file_is_loaded_on_the_cpu_wherever_its_network_is_built(written):
    path = written("import torch\nONE = torch.ones(1)\ndef Gate(channels): return ONE\n")
    with torch.device("meta"):
        gate = parse(f"{path}:Gate").load()
    assert gate.build(4).device.type == "cpu"


def test_what_a_file_prints_goes_to_stderr(written, capsys: pytest.CaptureFixture[str]):
    parse(f"{written('print(1234)' + chr(10) + 'def Gate(channels): ...')}:Gate").load()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "1234\n")


def test_what_only_a_privileged_process_could_undo_is_found_too():
    nice = os.nice(0)  # 0, or what the tests were started with
    what = f"^it changes the process's niceness from {nice} to {min(nice + 3, 19)}$"
    with pytest.raises(SettingsError, match=what):
        worker.call(processes.renice)


def test_a_long_list_of_changes_is_cut(monkeypatch: pytest.MonkeyPatch):
    @require_unchanged("it")
    def change() -> None:
        for name in ("relu", "elu", "selu", "celu", "gelu"):
            monkeypatch.setattr(torch.nn.functional, name, print)

    with pytest.raises(SettingsError, match=r"^it changes .*, 2 more$") as raised:
        change()
    assert str(raised.value).count("torch.nn.functional.") == 3


def test_counting_and_other_packages_change_nothing_that_is_watched():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    with require_unchanged("it"):
        import timm  # noqa: F401

        count_all(network, (1, 3, 8, 8))  # by thop, fvcore and torch, too
        network(torch.ones(2, 3, 8, 8)).sum().backward()
        torch.vmap(network.eval())(torch.ones(2, 1, 3, 8, 8))


def test_threads_that_torchs_compiler_starts_first_are_let_through_unless_busy(
    monkeypatch: pytest.MonkeyPatch,
):
    stop = threading.Event()
    monkeypatch.setattr(process_state, "COMPILER", "no_such_compiler")
    with require_unchanged("it"):
        thread = threading.Thread(target=stop.wait)
        thread.start()
        sys.modules["no_such_compiler"] = threading
    del sys.modules["no_such_compiler"]
    stop.set()
    thread.join()


@pytest.mark.skipif(not process_state._TASKS.exists(), reason="this system has no /proc")
def test_a_thread_is_busy_that_runs_for_more_than_a_tenth_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
):
    now, ran = iter([100.0, 101.0, 102.0]), iter([5.0, 5.11])  # 0.11 s of a second
    monkeypatch.setattr(process_state, "monotonic", lambda: next(now))
    monkeypatch.setattr(process_state, "_ran_s", lambda _: next(ran))
    threads = process_state.Threads()
    monkeypatch.setattr(process_state, "_tasks", lambda: {*threads.native, -1})
    assert list(threads.left(idle=True)) == []  # seen for the first time
    assert list(threads.left(idle=True)) == ["leaves a thread running that keeps a core busy"]
