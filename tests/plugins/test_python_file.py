import hashlib
from pathlib import Path

import pytest
import torch

from attnbench.counting.rules import macs
from attnbench.modules import SettingsError, Site
from attnbench.plugins.resolve import origins, parse

GATE = (
    "from torch import nn\n"
    "class Gate(nn.Conv2d):\n"
    "    def __init__(self, channels, groups=1):\n"
    "        super().__init__(channels, channels, 1, groups=groups)\n"
)


def test_a_class_is_built_with_its_channels_and_settings(written):
    name = f"{written(GATE)}:Gate,groups=4,site=after_bn2"
    row = parse(name).load()
    assert (row.name, row.title, row.site) == (name, "Gate", Site.AFTER_BN2)
    assert row.build(8).weight.shape == (8, 2, 1, 1)
    assert parse(name).is_custom


def test_a_path_is_relative_to_the_folder_that_is_given(written, tmp_path: Path, monkeypatch):
    written(GATE)
    assert parse("mine.py:Gate", tmp_path).load().build(8).groups == 1
    monkeypatch.chdir(tmp_path)
    assert parse("mine.py:Gate").load().build(8).groups == 1


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path):
    for folder, value in (("old", 1), ("new", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"def Gate(channels): return {value}\n")
    assert [
        parse(f"{tmp_path}/{folder}/mine.py:Gate").load().build(8) for folder in ("old", "new")
    ] == [1, 2]


def test_a_file_runs_once_and_finds_what_lies_beside_it(written):
    written("VALUE = 3\nLOADED = []\n", "beside_mine.py")
    name = f"{written('import beside_mine as b; b.LOADED.append(1)' + chr(10) + GATE)}:Gate"
    assert parse(name).load().build(6).weight.shape[0] == 6
    parse(name).load()
    import beside_mine

    assert beside_mine.LOADED == [1]


def test_a_file_beside_it_that_no_statement_names_is_refused(written, tmp_path: Path):
    """Its digest would be the same whatever stands in that file."""
    written("HALF = 2\n", "unnamed.py")
    path = written(f"import importlib\nimportlib.import_module('unnamed')\n{GATE}")
    with pytest.raises(SettingsError, match=r"imports .*unnamed\.py in a way that cannot be read"):
        parse(f"{path}:Gate").load()
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.py"
    other.write_text(f"import importlib\nimportlib.import_module('colorsys')\n{GATE}")
    assert parse(f"{other}:Gate").load().build(8).groups == 1


def test_a_row_in_a_file_keeps_its_paper_under_the_users_name(written):
    path = written(
        "from attnbench.modules import AttentionSpec, Site\n"
        "ROW = AttentionSpec('own', 'Own: a paper', '0000.00000', Site.REPLACE_CONV2,\n"
        "                lambda width, **settings: None,\n"
        "                published={'resnet50': {'groups': (1, 2, 3, 4), 'k': (3, 3, 5, 7)}})\n"
    )
    row = parse(f"{path}:ROW,groups=9").load()
    assert (row.title, row.arxiv, row.site) == ("Own: a paper", "0000.00000", Site.REPLACE_CONV2)
    assert row.settings("resnet50", 4) == {"k": 7}  # what the user states goes before


def test_settings_of_ones_own_for_a_row_of_the_table():
    row = parse("eca,kernel_size=9").load()
    assert row.settings("resnet50", 1) == {}
    assert row.build(64).conv.kernel_size == (9,)
    assert row.added_params == {}
    assert parse("eca,kernel_size=9").is_custom
    assert not parse("eca").is_custom


def test_the_origin_is_the_digest_of_the_file(written):
    path = written(GATE)
    name = f"{path}:Gate,groups=4"
    digest = hashlib.sha256(GATE.encode()).hexdigest()
    modules = [parse(text) for text in ("sa", name, "eca,kernel_size=9")]
    assert [module.origin() for module in modules] == [None, f"sha256 {digest}", None]
    assert origins(modules) == {name: f"sha256 {digest}"}
    path.write_text(GATE + "#")
    assert parse(name).origin() != f"sha256 {digest}"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "Gate", "there is no Python file"),
        ("", "Gate", "there is no Gate in"),
        ("1 / 0", "Gate", r"cannot be loaded: ZeroDivisionError: division by zero"),
        ("def (", "Gate", "cannot be loaded: SyntaxError"),
        ("import not_there_at_all", "Gate", "cannot be loaded: ModuleNotFoundError"),
        ("raise SystemExit(0)", "Gate", r"cannot be loaded: SystemExit: 0"),
        ("raise GeneratorExit", "Gate", r"cannot be loaded: GeneratorExit$"),
        ("Gate = 3", "Gate", "neither a class that takes channels nor an AttentionSpec"),
        (GATE, "Gate,4", "'Gate,4' is not a class name; write settings behind it as ',key=value'"),
        (GATE, "", "'' is not a class name"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_reason(
    written, tmp_path: Path, text: str | None, name: str, message: str
):
    path = tmp_path / "none.py" if text is None else written(text)
    with pytest.raises(SettingsError, match=message):
        parse(f"{path}:{name}").load()


def test_a_folder_is_no_file(tmp_path: Path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(SettingsError, match="there is no Python file"):
        parse(f"{tmp_path}/folder.py:Gate").load()


def test_an_unknown_name_is_told_all_that_would_do():
    with pytest.raises(
        SettingsError, match=r"'simam'; known: se, .*, sa; or file.py:ClassName, or"
    ):
        parse("simam").load()


READS_NUMBERS = """
from torch import linspace, nn
class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.rates = [rate.item() for rate in linspace(0, 0.5, 3)]
        self.scale = linspace(0, 1, channels)
        self.fc = nn.Linear(channels, channels, bias=False)
    def forward(self, x):
        return x * (self.fc(x.mean((2, 3))) * self.scale)[..., None, None]
"""


@pytest.fixture(params=["older", "newer"])
def of_torch(request, monkeypatch):
    """Older torch, whose default device is not that of a ``with``, and newer."""
    if request.param == "older":
        monkeypatch.setattr(torch, "get_default_device", lambda: torch.device("cpu"))


@pytest.mark.usefixtures("of_torch")
def test_a_constructor_that_reads_numbers_is_counted_without_weights_too(written):
    row = parse(f"{written(READS_NUMBERS)}:Gate").load()
    with torch.device("meta"):
        gate = row.build(8)
    assert gate.fc.weight.is_meta
    assert gate.rates == row.build(8).rates == [0, 0.25, 0.5]
    assert macs.RULE.count(gate, (2, 8, 3, 3)).operations == 2 * 8 * 8


def test_a_class_of_a_file_takes_gradients(written):
    gate = parse(f"{written(GATE)}:Gate").load().build(4)
    gate(torch.rand(1, 4, 2, 2)).sum().backward()
    assert gate.weight.grad is not None


@pytest.mark.parametrize("name", ["plain", "control", "copy", "copy again", "product", "launch"])
@pytest.mark.parametrize("settings", ["", ",site=after_bn2"])
def test_names_that_records_use_are_no_modules(name: str, settings: str):
    with pytest.raises(SettingsError, match=f"^no module can have the name '{name}'"):
        parse(name + settings).load()


def packed(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def width_of(path: Path) -> int:
    return parse(f"{path}:Gate").load().build(8)


PACKAGE = {
    "nets/__init__.py": "LOADED = []\n",
    "nets/common.py": "from . import LOADED\nLOADED.append(1)\nFACTOR = 3\n",
    "nets/attn/__init__.py": "",
    "nets/attn/near.py": "ADDED = 1\n",
    "nets/attn/mine.py": (
        "from ..common import FACTOR\nfrom .near import ADDED\nfrom .. import LOADED\n"
        "def Gate(channels): return channels * FACTOR + ADDED + 100 * len(LOADED)\n"
    ),
}


def test_relative_imports_work_in_a_package(tmp_path: Path):
    folder = packed(tmp_path, PACKAGE)
    assert width_of(folder / "nets/attn/mine.py") == 8 * 3 + 1 + 100
    other = packed(tmp_path / "other", PACKAGE | {"nets/common.py": "FACTOR = 5\n"})
    assert width_of(other / "nets/attn/mine.py") == 8 * 5 + 1
    (folder / "nets/other.py").write_text(
        "def Gate(channels):\n    from .common import LOADED\n    return len(LOADED)\n"
    )
    assert width_of(folder / "nets/other.py") == 1  # what the package has loaded is shared
    beside = {
        "nets/__init__.py": "LOADED = []\nfrom .late import Gate\n",
        "nets/late.py": "from .common import FACTOR\ndef Gate(channels): return FACTOR\n",
    }
    assert width_of(packed(tmp_path / "third", PACKAGE | beside) / "nets/__init__.py") == 3


@pytest.mark.parametrize("name", ["shared_file", "shared_folder.near"])
def test_two_files_do_not_share_what_lies_beside_one_of_them(tmp_path: Path, name: str):
    """As two versions of one collection: the second would run on the first one's files."""
    gate = f"from {name} import FACTOR\ndef Gate(channels): return channels * FACTOR\n"
    beside, top = f"{name.replace('.', '/')}.py", name.partition(".")[0]
    old = packed(tmp_path / "old", {beside: "FACTOR = 1\n", "gate.py": gate})
    new = packed(tmp_path / "new", {beside: "FACTOR = 2\n", "gate.py": gate})
    assert width_of(old / "gate.py") == 8
    with pytest.raises(SettingsError, match=f"'{top}' is already loaded from {old}/{top}"):
        width_of(new / "gate.py")


def test_two_files_may_share_what_is_the_same_text(tmp_path: Path):
    gate = "from shared_text import FACTOR\ndef Gate(channels): return channels * FACTOR\n"
    for folder in ("old", "new"):
        packed(tmp_path / folder, {"shared_text.py": "FACTOR = 1\n", "gate.py": gate})
        assert width_of(tmp_path / folder / "gate.py") == 8


@pytest.mark.parametrize(
    ("files", "file", "message"),
    [
        (
            {"mine.py": "from .common import X\n"},
            "mine.py",
            r"a relative import works in a package alone: put an empty __init__.py into .*import a "
            "file beside this one by its name without a dot$",
        ),
        (
            {"nets/__init__.py": "", "nets/mine.py": "from ..common import X\n"},
            "nets/mine.py",
            "a relative import leaves the package .*/nets: put an empty __init__.py into .* too",
        ),
        (
            {"nets/__init__.py": "1 / 0", "nets/mine.py": "from .common import X\n"},
            "nets/mine.py",
            "its package, .*/nets, cannot be loaded: ZeroDivisionError: division by zero",
        ),
        (
            {"nets/__init__.py": "", "nets/mine.py": "from .common import X\n"},
            "nets/mine.py",
            "cannot be loaded: ModuleNotFoundError: No module named '.*common'",
        ),
    ],
)
def test_a_relative_import_that_cannot_work_is_told_what_would(
    tmp_path: Path, files: dict[str, str], file: str, message: str
):
    path = packed(tmp_path, files) / file
    with pytest.raises(SettingsError, match=f"^{path}:Gate: .*{message}"):
        parse(f"{path}:Gate").load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def __getattr__(name): raise ValueError('none')", "cannot be loaded: ValueError: none"),
        (
            "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
            r"E: \(its text cannot be read: ZeroDivisionError\)",
        ),
        (
            "raise ValueError('\\x1b[31m\\u202e' * 200)",
            r"ValueError: \\x1b\[31m\\u202e\\x1b\[31m.*…$",
        ),
        (
            "class G:\n    __class__ = property(lambda self: 1 / 0)\nGate = G()",
            "cannot be loaded: ZeroDivisionError: division by zero",
        ),
        (
            "class M(type):\n    def __getattr__(cls, name): raise ValueError(name)\n"
            "class Gate(metaclass=M): pass",
            "its parameters cannot be read, so it is not known what takes the number of",
        ),
        ("import torch\nGate = torch.nn.ReLU()", "nor an AttentionSpec, but a ReLU$"),
    ],
)
def test_a_hostile_object_is_one_printable_line(written, text: str, message: str):
    with pytest.raises(SettingsError, match=message) as raised:
        parse(f"{written(text)}:Gate").load()
    assert str(raised.value).isprintable()
