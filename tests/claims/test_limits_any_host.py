"""Limits on a module in a network from a file, whose path is relative to the file of limits."""

import shutil
from pathlib import Path

import pytest

from attnbench.claims import limits
from attnbench.errors import UserError

NETS = Path(__file__).parents[1] / "helpers" / "small_hosts.py"


@pytest.mark.usefixtures("one_process")
def test_a_host_lies_beside_the_file_of_limits(tmp_path):
    shutil.copy(NETS, tmp_path / "nets.py")
    # Kernels of 3, 5, 5 and 5 for 64, 128, 256 and 512 channels.
    text = "eca in nets.py:resnet: added params <= 18\neca in nets.py:resnet: added params <= 17\n"
    (tmp_path / "limits.txt").write_text(text)
    within, over = limits.check(limits.read(tmp_path / "limits.txt"))
    assert (within.computed, within.verdict) == (18, "within")
    assert (over.verdict, over.subject) == ("OVER by 1", "eca in nets.py:resnet: added params")


def test_an_unknown_host_is_named_with_its_line(tmp_path):
    (tmp_path / "limits.txt").write_text("eca in vgg17: added params <= 18\n")
    with pytest.raises(UserError, match=r"limits\.txt, line 1: unknown host 'vgg17' \(did you"):
        limits.check(limits.read(tmp_path / "limits.txt"))
