"""The tutorial's cells, run as a notebook runs them; the run itself is a stored one."""

import json
import linecache
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch
from helpers.stored_runs import store_run

from attnbench import notebook
from attnbench.measuring.runner import Measured
from attnbench.plugins import resolve
from attnbench.records import run as runs

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


def test_every_cell_of_the_tutorial_runs(monkeypatch, tmp_path, case):
    folder = store_run(tmp_path / "stored", case, sa=1.10)
    shapes = []

    def run(options, out, _):
        written, name = (resolve.parse(module) for module in options.modules)
        module = written.load().build(8)
        shapes.append(module(torch.zeros(1, 8, 4, 4)).shape)
        assert (name.name, options.host, str(out)) == ("eca", "resnet18", "attnbench_tutorial")
        return Measured((runs.read(folder),), folder)

    monkeypatch.setattr(notebook.runner, "run", run)
    monkeypatch.chdir(tmp_path)
    module = ModuleType("tutorial")
    monkeypatch.setitem(sys.modules, "tutorial", module)
    cells = json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cell for cell in cells if cell["cell_type"] == "code"):
        text, name = "".join(cell["source"]), f"<tutorial {number}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), vars(module))
    assert shapes == [(1, 8, 4, 4)]
    assert isinstance(module.result.frame, pd.DataFrame)
    assert (tmp_path / "notebook_modules" / "gate.py").exists()
