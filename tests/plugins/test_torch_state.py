"""What is set for a whole process is set in another one here."""

import random
from functools import partial

import pytest
import torch

from attnbench.modules import SettingsError
from attnbench.plugins.resolve import parse
from attnbench.plugins.torch_state import WATCHED, require_unchanged
from attnbench.system import worker

CHANGES = {
    "torch.set_num_threads(torch.get_num_threads() + 1)": "number of threads from",
    "torch.set_default_dtype(torch.float64)": "default dtype from torch.float32 to torch.float64",
    "torch.set_default_device('meta')": "default device from cpu to meta",
    "torch.set_grad_enabled(False)": "grad mode from True to False",
    "torch.autograd.set_detect_anomaly(True)": "anomaly detection from False to True",
    "torch.use_deterministic_algorithms(True)": "deterministic algorithms from 0 to 2",
    "torch.use_deterministic_algorithms(True, warn_only=True)": "algorithms from 0 to 1",
    "torch.set_float32_matmul_precision('high')": "float32 matmul precision from highest",
    "torch.backends.cuda.matmul.allow_tf32 = True": "TF32 in CUDA matmul from False to True",
    "torch.backends.cudnn.benchmark = True": "cudnn.benchmark from False to True",
    "torch.backends.cudnn.deterministic = True": "cudnn.deterministic from False to True",
    "torch.backends.cudnn.allow_tf32 = False": "cudnn.allow_tf32 from True to False",
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
