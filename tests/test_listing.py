from pathlib import Path

import pytest

from attnbench import listing
from attnbench.errors import UserError
from attnbench.modules import ATTENTION
from attnbench.sources import installed


def test_the_table_is_listed_as_it_stands():
    rows = list(listing.rows())
    assert [row[0] for row in rows[: len(ATTENTION)]] == list(ATTENTION)
    assert rows[-1 - len(installed.offered())][:4] == ("sa", "after_bn3", "708", "1,524")


def test_one_of_ones_own_is_listed_with_what_it_adds(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\n"
        "class Mine(nn.Conv2d):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__(channels, channels, 1, groups=channels)\n"
        "class Broken(Mine):\n"
        "    def __init__(self, channels, more):\n"
        "        super().__init__(channels)\n"
    )
    mine, broken = (
        row for row in listing.rows([f"{path}:Mine", f"{path}:Broken"]) if "/" in row[0]
    )
    # A weight and a bias a channel: 256, 512, 1024 and 2048 in 3, 4, 6 (23) and 3 blocks.
    added = 2 * (3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048)
    more = 2 * (3 * 256 + 4 * 512 + 23 * 1024 + 3 * 2048)
    assert mine[1:4] == ("after_bn3", f"{added:,}", f"{more:,}")
    assert mine[5].startswith("Mine, sha256 ")
    assert "missing 1 required positional argument: 'more'" in broken[2]


def test_one_that_cannot_be_loaded_is_one_line():
    with pytest.raises(UserError, match=r"nowhere.py:Mine: there is no Python file"):
        list(listing.rows(["nowhere.py:Mine"]))


def test_what_could_be_asked_for_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing, "find_spec", lambda _: None)
    timms, files = listing.remarks()
    assert timms.startswith("timm:NAME for se, ese, ")
    assert "pip install 'attnbench[timm]'" in timms
    assert "file.py:ClassName" in files
