import hashlib
from pathlib import Path

import pytest
import torch

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


def test_a_class_of_a_file_takes_gradients(written):
    gate = parse(f"{written(GATE)}:Gate").load().build(4)
    gate(torch.rand(1, 4, 2, 2)).sum().backward()
    assert gate.weight.grad is not None


@pytest.mark.parametrize("name", ["plain", "control", "copy", "copy again", "product", "launch"])
@pytest.mark.parametrize("settings", ["", ",site=after_bn2"])
def test_names_that_records_use_are_no_modules(name: str, settings: str):
    with pytest.raises(SettingsError, match=f"^no module can have the name '{name}'"):
        parse(name + settings).load()
