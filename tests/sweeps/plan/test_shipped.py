import pytest

from attnbench.errors import UserError
from attnbench.plugins import resolve
from attnbench.sweeps.plan.configuration import Configuration, single
from attnbench.sweeps.plan.shipped import Shipped, require_below

MODULE = """
from torch import nn
from helper import NAME

class Mine(nn.Module):
    def __init__(self, channels):
        super().__init__()
"""


def configuration(module: str) -> Configuration:
    return Configuration(single({"modules": (module,), "host": "resnet18"}))


def test_all_files_that_a_modules_digest_is_of_are_shipped(tmp_path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("NAME = 1")
    (folder / "unused.py").write_text("NAME = 2")
    (folder / "mine.py").write_text(MODULE)
    shipped = Shipped(tmp_path).with_modules([configuration("modules/mine.py:Mine")])
    assert sorted(shipped.contents) == [f"modules/{n}.py" for n in ("__init__", "helper", "mine")]


def test_the_files_of_an_import_root_give_the_same_code_on_another_machine(tmp_path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    package = here / "vendor" / "gates"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "common.py").write_text("NAME = 1")
    (package / "unused.py").write_text("NAME = 2")
    (package / "mine.py").write_text(MODULE.replace("from helper", "from .common"))
    name = "gates.mine:Mine,import_root=vendor"
    shipped = Shipped(here).with_modules([configuration(name)])
    assert sorted(shipped.contents) == [
        f"vendor/gates/{n}.py" for n in ("__init__", "common", "mine")
    ]
    shipped.write(there)
    assert resolve.parse(name, there).origin() == resolve.parse(name, here).origin()


@pytest.mark.parametrize("root", ["../vendor", "/vendor", "~/vendor"])
def test_an_import_root_elsewhere_is_refused(root) -> None:
    with pytest.raises(UserError, match="by its path below the folder of the sweep"):
        require_below(resolve.parse(f"gates.mine:Mine,import_root={root}"))


def test_a_file_above_the_sweep_cannot_be_shipped(tmp_path) -> None:
    package = tmp_path / "package"
    folder = package / "sweep"
    folder.mkdir(parents=True)
    for place in (package, folder):
        (place / "__init__.py").write_text("")
    (folder / "mine.py").write_text(MODULE.replace("helper", "math").replace("NAME", "pi"))
    with pytest.raises(UserError, match="needs files that do not lie below the folder"):
        Shipped(folder).with_modules([configuration("mine.py:Mine")])
