import hashlib
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.sweeps.plan import file

WHOLE = """
files = ["helpers.py"]

[defaults]
budget = 60
modules = ["se", "mine.py:Mine,groups=2"]

[[grid]]
host = ["resnet50", "resnet18"]
batch-size = [1, 8]
image-size = [224, "64x96"]
runtime = ["eager", "compile"]
on = [{ gpu = "H100" }, { cpu = "EPYC", cores = 8 }]

[[grid]]
modules = "all"
host = "ResNet50"
budget = 5
stages = [2, 3]
repeat = 2
"""


@pytest.fixture
def written(tmp_path: Path):
    (tmp_path / "mine.py").write_text("class Mine: ...\n")
    (tmp_path / "helpers.py").write_text("x = 1\n")

    def write(text: str) -> Path:
        path = tmp_path / "sweep.toml"
        path.write_text(text)
        return path

    return write


def test_a_grid_has_every_combination_and_the_defaults(written) -> None:
    known = file.read(written(WHOLE)).configurations
    # 2 hosts, 2 batches, 2 sizes, 2 ways of execution, 2 places; and one configuration twice.
    assert len(known) == 2**5 + 2
    first, *_, last = known
    assert first.described == "resnet50, inference, batch 1, 224x224, float32, cuda"
    assert first.wanted == "gpu = H100, cuda"
    assert (first.filled.budget_s, first.modules) == (60.0, ("se", "mine.py:Mine,groups=2"))
    assert first.place.endswith("sweep.toml:8")
    # Repetitions come after everything else, so that those of one configuration lie apart.
    assert [one.repetition for one in known] == [0] * 32 + [1, 2]
    assert (last.modules, last.filled.budget_s) == (tuple(ATTENTION), 5.0)
    assert last.case.placed == "stages 2 3"
    assert last.name.endswith("-run2")
    assert last.name.removesuffix("2") == known[-2].name.removesuffix("1")
    assert len({one.name for one in known}) == len(known)


def test_what_is_stated_twice_is_measured_once(written) -> None:
    grid = "[[grid]]\nhost = ['resnet18', 'ResNet18']\nmodules = ['se', 'SE']\n"
    (known,) = file.read(written(2 * grid)).configurations
    assert known.modules == ("se",)


def test_files_of_modules_go_with_the_sweep_by_their_digests(written) -> None:
    sweep = file.read(written(WHOLE))
    expected = {
        "helpers.py": hashlib.sha256(b"x = 1\n").hexdigest(),
        "mine.py": hashlib.sha256(b"class Mine: ...\n").hexdigest(),
    }
    assert sweep.files.digests == expected
    sources = sweep.configurations[0].sources
    assert sources == {"mine.py:Mine,groups=2": f"sha256 {expected['mine.py']}"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[[grid]]\nhost = 'resnet50'\nhost = 1\n", 3, "Cannot overwrite"),
        ("[[grid]]\nhost = 'resnet51'\n", 2, "unknown host 'resnet51' (did you mean resnet50,"),
        ("[[grid]]\nhost = [\n'resnet50',\n'vgg',\n]\n", 4, "unknown host 'vgg'"),
        ("[[grid]]\nhots = 'resnet50'\n", 2, "unknown key 'hots' (did you mean host?)"),
        ("[[grid]]\nbatch_size = 1\n", 2, "unknown key 'batch_size' (did you mean batch-size?)"),
        ("budget = 1\n[[grid]]\n", 1, "unknown key 'budget'"),
        ("[defaults]\nhots = 1\n[[grid]]\n", 2, "unknown key 'hots'"),
        ("[defaults]\nhost = 'x'\n[[grid]]\n", 2, "unknown host 'x'"),
        ("[[grid]]\non = { gqu = 'H100' }\n", 2, "unknown label 'gqu' (did you mean gpu?)"),
        ("[[grid]]\n\n[grid.on]\n# H\ngqu = 'H100'\n", 5, "unknown label 'gqu'"),
        ("[[grid]]\non = [\n{gpu='H100'},\n{cores=true},\n]\n", 4, "cores is a text or a number"),
        ("[[grid]]\non = 'H100'\n", 2, "on is a table of labels"),
        ("[[grid]]\non = []\n", 2, "on has no value"),
        ("[[grid]]\ndevice='cpu'\non = {gpu='H100'}\n", 3, "no CPU has the label gpu"),
        ("[[grid]]\ndevice = 'tpu'\n", 2, "unknown device 'tpu'"),
        (
            "[[grid]]\nmodules = ['se', 'sea']\n",
            2,
            "unknown attention module 'sea' (did you mean se?)",
        ),
        ("[[grid]]\nmodules = ['mine.py:Mine', 'x.py:A']\n", 2, "there is no Python file"),
        ("[[grid]]\nmodules = ['../x.py:A']\n", 2, "no Python file"),
        ("[[grid]]\nmodules = []\n", 2, "modules is a list of names"),
        ("[[grid]]\nmodules = [1]\n", 2, "modules is a list of names"),
        ("[[grid]]\ndtype = 'float31'\n", 2, "unknown dtype 'float31' (did you mean float32?)"),
        ("[[grid]]\nbatch-size = []\n", 2, "batch-size has no value"),
        ("[[grid]]\nbatch-size = [1, 0]\n", 2, "batch-size must be at least 1"),
        ("[[grid]]\nbatch-size = true\n", 2, "batch-size is no switch"),
        ("[[grid]]\nbatch-size = 1.5\n", 2, "batch-size must be a whole number, not 1.5"),
        ("[[grid]]\nbatch-size = ['a']\n", 2, "batch-size must be a whole number, not 'a'"),
        ("[[grid]]\nseed = 1e400\n", 2, "seed must be a whole number, not inf"),
        ("[[grid]]\nhost = 7\n", 2, "host must be a text, not 7"),
        ("[[grid]]\nbudget = 'long'\n", 2, "budget must be a number, not 'long'"),
        ("[[grid]]\ndtype = [[1]]\n", 2, "dtype is one value or a list of them, not a list"),
        ("[[grid]]\nmode = 2020-01-01\n", 2, "mode is one value or a list of them, not a date"),
        ("[[grid]]\ntimeout = nan\n", 2, "the timeout must be a positive number of seconds"),
        ("[[grid]]\nisolated = 1\n", 2, "isolated is true or false"),
        ("[[grid]]\ncuda-graph = true\n", 2, "'cuda-graph' is short for --runtime cuda-graph"),
        ("[[grid]]\nruntime = ['eager', 'tvm']\n", 2, "unknown runtime 'tvm'"),
        ("[[grid]]\nimage-size = '9x'\n", 2, "'9x' is not an image size"),
        ("[[grid]]\nimage-size = 16\n", 2, "too small"),
        ("[[grid]]\nimage-size = [[64]]\n", 2, "image-size must be"),
        ("[[grid]]\nstages = [1, 5]\n", 2, "unknown stages [5]"),
        *(
            (f"[[grid]]\nstages = {value}\n", 2, "stages is a list of numbers from 1 to 4, such as")
            for value in ("'c3-c5'", "'4'", 4, "['4']", "[true]", "{a=1}", "[[1]]")
        ),
        ("[[grid]]\nrepeat = 0\n", 2, "repeat must be a number from 1 to 1000"),
        ("[[grid]]\nevery = 5\n", 2, "unknown key 'every'"),
        ("[[grid]]\nbudget = -1\n", 2, "the budget must be a positive number"),
        ("[[grid]]\nseed = {}\n", 2, "seed is one value or a list of them, not a table"),
        (
            "\n[[grid]]\ndevice = 'cpu'\nruntime = 'cuda-graph'\n",
            3,
            "--cuda-graph needs a CUDA device",
        ),
        ("[[grid]]\ndtype = 'int8'\n", 2, "eager PyTorch does not compute in int8 here"),
        ("[[grid]]\ndevice = 'mps'\n", 2, "a sweep measures on cpu and cuda"),
        ("[[grid]]\ndevice = 'cuda:1'\n", 2, "a sweep measures on cpu and cuda"),
        (
            "[[grid]]\nruntime = 'onnxruntime'\non = { gpu = 'H100' }\n",
            3,
            "no CPU has the label gpu, and onnxruntime needs one",
        ),
        ("[[grid]]\nhost = 'nets.py:resnet'\n", 2, "nets.py is not among files"),
        ("[[grid]]\nbatch-size=[1,2]\nseed=" + str([*range(5001)]), 1, "more than 10,000"),
        ("files = ['no.py']\n[[grid]]\n", 1, "cannot read"),
        ("files = [\n'helpers.py',\n'../x.py']\n[[grid]]\n", 3, "must lie there"),
        ("files = 'helpers.py'\n[[grid]]\n", 1, "files is a list"),
        ("defaults = 1\n[[grid]]\n", 1, "defaults is a table"),
        ("grid = 3\n", 1, "a grid is a table of a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(written, text, line, message) -> None:
    path = written(text)
    with pytest.raises(UserError) as refused:
        file.read(path)
    assert str(refused.value).startswith(f"{path}:{line}: ")
    assert message in str(refused.value)


def test_values_that_only_go_together_are_checked_together(written) -> None:
    (known,) = file.read(
        written(
            "[[grid]]\nruntime = 'onnxruntime'\ndtype = 'int8'\nhost = 'vgg11'\nimage-size = 40"
        )
    ).configurations
    assert (known.case.dtype, known.case.host, known.case.image_size) == ("int8", "vgg11", 40)
    # It runs on a CPU alone, and nothing else would be sent to a GPU.
    assert (known.device, known.wanted) == ("cpu", "cpu")
    (known,) = file.read(written("[[grid]]\nruntime = 'cuda-graph'\n")).configurations
    assert known.device == "cuda"


def test_a_host_in_a_file_that_goes_along(written, tmp_path: Path) -> None:
    (tmp_path / "nets.py").touch()
    text = "files = ['nets.py']\n[[grid]]\nhost = 'nets.py:resnet'\n"
    (known,) = file.read(written(text)).configurations
    assert known.case.host == "nets.py:resnet"
    assert list(known.files) == ["nets.py"]


def test_a_file_must_be_there_and_hold_a_grid(written, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*: No such file"):
        file.read(tmp_path / "no.toml")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(UserError, match="it is not UTF-8"):
        file.read(tmp_path / "latin.toml")
    with pytest.raises(UserError, match=r"sweep.toml: no \[\[grid\]\]"):
        file.read(written("[defaults]\n"))


def test_a_module_file_outside_the_folder_is_refused(written, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside.py"
    outside.write_text("class A: ...\n")
    for name in (str(outside), f"../{outside.name}"):
        path = written(f"[[grid]]\nmodules = ['{name}:A']\n")
        with pytest.raises(UserError, match="must lie there"):
            file.read(path)
