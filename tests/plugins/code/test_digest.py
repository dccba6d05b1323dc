"""What identifies a custom module's code beside its own files."""

from importlib.metadata import version

from attnbench.plugins.resolve import parse

CODE = """
import math, torch
from torch import nn
{more}

class Mine(nn.Identity):
    pass
"""


def origin_of(folder, more: str) -> str | None:
    (folder / "mine.py").write_text(CODE.format(more=more))
    return parse("mine.py:Mine", folder).origin()


def test_the_versions_of_packages_that_code_imports_identify_it(tmp_path) -> None:
    plain = origin_of(tmp_path, "import numpy.linalg, torchvision, not_installed")
    assert plain is not None
    assert "," not in plain  # every record holds the versions of these
    packages = f"networkx {version('networkx')}, timm {version('timm')}"
    late = "def build():\n    import networkx"
    assert str(origin_of(tmp_path, f"from timm.layers import se\n{late}")).endswith(f", {packages}")


def test_a_file_of_a_packages_name_is_no_package(tmp_path) -> None:
    (tmp_path / "timm.py").write_text("layers = 1")
    assert str(origin_of(tmp_path, "from timm import layers")).endswith(" of 2 files")


def test_what_a_file_of_the_root_imports_counts_too(tmp_path) -> None:
    (tmp_path / "helper.py").write_text("import timm")
    assert str(origin_of(tmp_path, "import helper")).endswith(
        f" of 2 files, timm {version('timm')}"
    )
