from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from helpers.command_line import call

from attnbench.cli.commands import list_modules
from attnbench.errors import UserError
from attnbench.modules import ATTENTION, SettingsError
from attnbench.plugins import entry_points


def test_the_table_is_listed_as_it_stands():
    rows = list(list_modules.rows())
    assert [row[0] for row in rows[: len(ATTENTION)]] == list(ATTENTION)
    assert rows[-1 - len(entry_points.offered())][:4] == ("sa", "after_bn3", "708", "1,524")


def test_one_of_ones_own_is_listed_with_what_it_adds(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\n"
        "class Mine(nn.Conv2d):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__(channels, channels, 1, groups=channels)\n"
        "class Short(Mine):\n"
        "    def forward(self, x):\n"
        "        return x[:, :-1]\n"
        "class Leaving(Mine):\n"
        "    def __init__(self, channels):\n"
        "        raise SystemExit(0)\n"
        "class Broken(Mine):\n"
        "    def __init__(self, channels, more):\n"
        "        super().__init__(channels)\n"
    )
    names = [f"{path}:{name}" for name in ("Mine", "Short", "Leaving", "Broken")]
    mine, short, leaving, broken = (row for row in list_modules.rows(names) if "/" in row[0])
    # A weight and a bias a channel: 256, 512, 1024 and 2048 in 3, 4, 6 (23) and 3 blocks.
    added = 2 * (3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048)
    more = 2 * (3 * 256 + 4 * 512 + 23 * 1024 + 3 * 2048)
    assert mine[1:4] == ("after_bn3", f"{added:,}", f"{more:,}")
    assert mine[5].startswith("Mine, sha256 ")
    assert short[2].startswith("refused: on an input of 256x56x56 it returns the shape (2, 255,")
    assert leaving[3].startswith("refused: on an input of 256x56x56 it fails: SystemExit: 0")
    assert broken[2].startswith(f"refused: {path}:Broken: Broken(channels, more) needs a value for")


@pytest.mark.parametrize(("cell", "status"), [("refused: TypeError: no", 1), ("708", 0)])
def test_a_refused_module_fails_the_list(monkeypatch, capsys, cell: str, status: int) -> None:
    monkeypatch.setattr(list_modules, "rows", lambda *_: [("mine.py:Mine", "", "1", cell, "", "")])
    assert call("list", "--module", "mine.py:Mine") == status
    shown = capsys.readouterr().err
    assert shown == ("attnbench: mine.py:Mine is refused; the table says why\n" if status else "")


def test_a_hosts_code_that_ends_its_process_does_not_end_the_list() -> None:
    file = Path(__file__).parents[2] / "helpers" / "small_hosts.py"
    places = list_modules.cases([f"{file}:ends"], "64", None, None)
    with pytest.raises(UserError, match=r"host .*small_hosts.py:ends is refused: "):
        list(list_modules.rows((), places))


def test_a_custom_hosts_own_size_is_taken_and_shown(monkeypatch) -> None:
    monkeypatch.setattr("attnbench.hosts.check_host.size_apart", lambda _: (640, 640))
    places = list_modules.cases(["ultralytics:yolo11n.yaml"], None, None, None)
    assert list_modules.headings(places)[2] == "in ultralytics:yolo11n.yaml, 640"
    chosen = list_modules.cases(["ultralytics:yolo11n.yaml"], "224", None, None)
    assert list_modules.headings(chosen)[2] == "in ultralytics:yolo11n.yaml, 224"


def test_a_host_size_and_blocks_may_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\n"
        "class Sized(nn.LayerNorm):\n"
        "    def __init__(self, channels, size):\n"
        "        super().__init__((channels, size, size))\n"
    )
    places = list_modules.cases(["ResNet18"], "64", "4", "last")
    assert list_modules.headings(places)[2] == "in resnet18, 64, stages 4, last blocks"
    listed = {row[0]: row for row in list_modules.rows([f"{path}:Sized,size=2"], places)}
    # One block of 512 channels: two layers of 512 x 32 with biases; a weight and bias an element.
    assert listed["se"][2] == f"{2 * 512 * 32 + 32 + 512:,}"
    assert listed[f"{path}:Sized,size=2"][2] == f"{2 * 512 * 2 * 2:,}"
    assert listed["sk"][2].startswith("does not fit: sk: the blocks of resnet18 have no site")
    two = list_modules.cases(["resnet50", " resnet18"], None, None, None)
    assert [case.host for case in two] == ["resnet50", "resnet18"]
    assert list_modules.headings(two)[2:4] == ("in resnet50", "in resnet18")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["nope"], None, None, None), "unknown host 'nope'"),
        ((["resnet18"], None, "7", None), r"unknown stages \[7\]"),
        ((["resnet18"], "8", None, None), "image_size 8 is too small"),
        ((["resnet18"], None, None, "first"), "unknown blocks 'first'"),
    ],
)
def test_a_place_that_cannot_be_is_refused_without_torch(arguments, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list_modules.cases(*arguments)


def test_one_that_cannot_be_loaded_is_one_line():
    with pytest.raises(SettingsError, match=r"nowhere.py:Mine: there is no Python file"):
        list(list_modules.rows(["nowhere.py:Mine"]))


def test_one_that_ends_its_process_or_deletes_its_file_is_refused_and_the_others_are_listed(
    tmp_path: Path,
):
    changing = (
        "import torch\n"
        "def Mine(dim):\n"
        "    torch.set_grad_enabled(False)\n"
        "    return torch.nn.ReLU()\n"
    )
    bodies = {
        "ends": "os._exit(0)",
        "deletes": "os.remove(__file__); Mine = 1",
        "changes": changing,
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(f"import os; {body}")
    names = [f"{tmp_path / name}.py:Mine" for name in bodies]
    ends, deletes, changes = (row for row in list_modules.rows(names) if "/" in row[0])
    assert ends[2:4] == ("refused: the worker process ended with status 0",) * 2
    assert ends[5].startswith("sha256 ")
    assert "deletes.py:Mine is neither a class" in deletes[2]
    # In the second host it would change nothing any more, and a figure would stand there.
    assert changes[2] == changes[3]
    assert "changes torch's grad mode from True to False" in changes[3]


def test_an_entry_point_of_a_rows_name_is_listed_once(monkeypatch: pytest.MonkeyPatch):
    entry = EntryPoint("sa", "nets:Gate", entry_points.GROUP)
    monkeypatch.setattr(entry_points, "entry_points", lambda group: [entry])  # noqa: ARG005
    assert [row[0] for row in list_modules.rows()].count("sa") == 1
    *_, last = list_modules.remarks()
    assert "names are reserved: sa of an unknown package (nets:Gate)." in last


def test_what_could_be_asked_for_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(list_modules, "find_spec", lambda _: None)
    timms, files = list_modules.remarks()
    assert timms.startswith("timm:NAME for se, ese, ")
    assert "pip install -e '.[timm]'" in timms
    assert "file.py:ClassName" in files
