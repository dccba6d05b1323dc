"""Classes of a namespace that has no file, as a notebook's cells make them."""

import linecache
import math
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from attnbench.modules import SettingsError
from attnbench.plugins import interactive

CELLS = (
    """
import math
from torch import Tensor, nn, sigmoid as squash
import torch.nn.functional as F
REDUCTION = 4
SIZES = (1, 3)
UNUSED = object()
""",
    """
def wide(channels):
    return max(1, channels // REDUCTION)
""",
    """
class Gate(nn.Module):
    # Each channel by its own mean.
    def forward(self, x: Tensor) -> Tensor:
        return squash(F.adaptive_avg_pool2d(x, 1)) * math.pi


class Mine(Gate):
    def __init__(self, channels):
        super().__init__()
        self.wide = wide(channels)
        self.gates = [Gate() for _ in SIZES]

    def forward(self, x):
        return x * super().forward(x)
""",
)


@pytest.fixture
def notebook(monkeypatch):
    """Run cells as a notebook does: a module without a file, each cell's lines in linecache."""

    def run(*cells):
        module = ModuleType("a_notebook")
        monkeypatch.setitem(sys.modules, "a_notebook", module)
        for number, cell in enumerate(cells):
            name = f"<cell {number}>"
            linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
            exec(compile(cell, name, "exec"), vars(module))
        return module

    return run


def loaded(path):
    """Run a file by itself."""
    namespace = {"__name__": "apart"}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    return namespace


def test_the_file_defines_the_class_and_all_that_it_uses(notebook, tmp_path):
    target = notebook(*CELLS).Mine
    spec = interactive.specification(target, tmp_path / "out")
    assert spec == f"{tmp_path / 'out' / 'mine.py'}:Mine"
    text = (tmp_path / "out" / "mine.py").read_text()
    assert "UNUSED" not in text
    assert "__name__" not in text
    assert "# Each channel by its own mean." in text
    apart = loaded(tmp_path / "out" / "mine.py")["Mine"](16)
    assert apart.wide == 4  # 16 // 4
    assert len(apart.gates) == 2
    x = torch.ones(1, 16, 2, 2)
    # x is 1: sigmoid(1) * pi at every place
    expected = torch.full_like(x, math.pi / (1 + math.exp(-1)))
    torch.testing.assert_close(apart(x), expected)


def test_a_class_in_a_file_stays_there(tmp_path):
    spec = interactive.specification(nn.Identity, tmp_path)
    assert spec.endswith("identity.py:Identity") or spec.endswith("linear.py:Identity")
    assert not list(tmp_path.iterdir())


def test_a_changed_constant_changes_the_file(notebook):
    module = notebook(*CELLS)
    first = interactive.source("Mine", vars(module))
    module.REDUCTION = 8
    assert interactive.source("Mine", vars(module)) == first.replace(
        "REDUCTION = 4", "REDUCTION = 8"
    )


def test_an_earlier_file_stays_and_the_same_class_is_written_once(notebook, tmp_path):
    module = notebook(*CELLS)
    first = interactive.specification(module.Mine, tmp_path)
    assert interactive.specification(module.Mine, tmp_path) == first
    module.REDUCTION = 8
    assert interactive.specification(module.Mine, tmp_path) == f"{tmp_path}/mine2.py:Mine"
    assert "REDUCTION = 4" in (tmp_path / "mine.py").read_text()


def test_another_name_of_a_class_is_kept(notebook):
    module = notebook(
        "from torch import nn\n", "class A(nn.Module):\n    def f(self): pass\nB = A\n"
    )
    assert interactive.source("B", vars(module)).endswith("B = A\n")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            "table = open\nclass A:\n    def f(self): return missing\n",
            "A uses missing, which is not",
        ),
        (
            "weights = object()\nclass A:\n    def f(self): return weights\n",
            "weights is a object whose source is not known here; put it in a Python file",
        ),
        ("class A:\n    pass\n", "A is a class whose source is not known here"),
        ("def make():\n    class A:\n        pass\n    return A\nA = make()\n", "within another"),
    ],
)
def test_what_cannot_be_written_down_is_named(notebook, tmp_path, cell, message):
    module = notebook(cell)
    with pytest.raises(SettingsError, match=message):
        interactive.specification(module.A, tmp_path)
    assert not list(tmp_path.iterdir())
