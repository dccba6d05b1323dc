"""Limits on a module in a network from a file, whose path is relative to the file of limits."""

import shutil
from pathlib import Path

import pytest

from attnbench.claims.limits.check import check
from attnbench.claims.limits.file import read
from attnbench.claims.limits.placed import Placement
from attnbench.errors import UserError

NETS = Path(__file__).parents[2] / "helpers" / "small_hosts.py"


@pytest.mark.usefixtures("one_process")
def test_a_host_lies_beside_the_file_of_limits(tmp_path):
    shutil.copy(NETS, tmp_path / "nets.py")
    # Kernels of 3, 5, 5 and 5 for 64, 128, 256 and 512 channels.
    text = "eca in nets.py:resnet: added params <= 18\neca in nets.py:resnet: added params <= 17\n"
    (tmp_path / "limits.txt").write_text(text)
    within, over = check(read(tmp_path / "limits.txt"))
    assert (within.computed, within.verdict) == (18, "within")
    assert (over.verdict, over.subject) == ("OVER by 1", "eca in nets.py:resnet: added params")


def test_an_unknown_host_is_named_with_its_line(tmp_path):
    (tmp_path / "limits.txt").write_text("eca in vgg17: added params <= 18\n")
    with pytest.raises(UserError, match=r"limits\.txt, line 1: unknown host 'vgg17' \(did you"):
        check(read(tmp_path / "limits.txt"))


@pytest.mark.usefixtures("one_process")
def test_a_custom_module_is_placed_for_images_of_the_size_that_is_asked_for(tmp_path):
    # A network for images of 32x32 alone, whose two residual sums have 8 and 24 channels.
    (tmp_path / "nets.py").write_text(ONE_SIZE)
    (tmp_path / "mine.py").write_text(MINE)
    text = "mine.py:Mine in nets.py:net: added params <= 32, added macs <= 0\n"
    (tmp_path / "limits.txt").write_text(text)
    known = read(tmp_path / "limits.txt")
    for refused in check(known):
        assert "fails on images of 224x224" in refused.verdict
        assert not refused.holds
    params, macs = check(known, Placement(size=32))
    assert (params.computed, params.verdict) == (8 + 24, "within")
    assert macs.computed == 0


@pytest.mark.usefixtures("one_process")
def test_a_map_whose_channels_are_not_known_is_no_place(tmp_path):
    # Of 16 channels, 16 high and 16 wide; images of another size would tell, but there are none.
    cube = ONE_SIZE.replace("24", "16")
    (tmp_path / "nets.py").write_text(cube)
    (tmp_path / "limits.txt").write_text("eca in nets.py:net: added params <= 24\n")
    known = read(tmp_path / "limits.txt")
    with pytest.raises(
        UserError, match=r"behind second\.norm, .* which axis .* say where with --at"
    ):
        check(known, Placement(size=32))


ONE_SIZE = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
    def forward(self, x):
        return x + self.norm(self.conv(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, 8, 1), Block(8)
        self.down, self.second = nn.Conv2d(8, 24, 2, 2), Block(24)
        self.head = nn.Linear(24 * 16 * 16, 10)
    def forward(self, x):
        x = self.second(self.down(self.first(self.stem(x))))
        return self.head(x.flatten(1))

def net():
    return Net()
"""

MINE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
    def forward(self, x):
        return x * self.scale
"""
