"""Packages that offer modules, as pip would leave them: a module and its metadata on the path."""

import sys
from pathlib import Path

import pytest
import torch

from attnbench.modules import SettingsError
from attnbench.plugins import entry_points
from attnbench.plugins.resolve import parse

MODULE = (
    "from torch import nn\n"
    "class Gate(nn.Identity):\n"
    "    def __init__(self, channels, power=1):\n"
    "        super().__init__()\n"
    "        self.channels, self.power = channels, power\n"
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch):
    """Install a package of one module that offers one entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(entry: str, module: str = MODULE, package: str = "some_nets") -> None:
        (tmp_path / f"{package}.py").write_text(module)
        info = tmp_path / f"{package}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[attnbench.modules]\n{entry}\n")
        sys.modules.pop(package, None)

    return install


def test_an_entry_point_is_a_module_by_its_name(package):
    package("gate = some_nets:Gate")
    row = parse("gate,power=2").load()
    built = row.build(64)
    assert (built.channels, built.power) == (64, 2)
    assert parse("gate,power=2").origin() == "some_nets 0.3 (some_nets:Gate)"


def test_offering_loads_nothing(package):
    package("gate = some_nets:Gate", module="1 / 0")
    assert [entry.name for entry in entry_points.offered()] == ["gate"]
    with pytest.raises(SettingsError, match=r"gate: some_nets 0.3 .* ZeroDivisionError"):
        parse("gate").load()


def test_an_entry_point_cannot_take_the_name_of_a_row(package):
    package("sa = some_nets:Gate")
    assert parse("sa").load().title.startswith("SA-Net")
    assert entry_points.offered() == ()
    assert [entry.name for entry in entry_points.shadowed()] == ["sa"]


def test_an_entry_point_cannot_take_a_name_that_records_use(package):
    package("plain = some_nets:Gate")
    assert [entry.name for entry in entry_points.shadowed()] == ["plain"]
    with pytest.raises(SettingsError, match="no module can have the name 'plain'"):
        parse("plain")


def test_knowing_a_name_loads_nothing(package, written):
    package("gate = some_nets:Gate", module="1 / 0")
    for name in ("gate,power=2", f"{written('1 / 0')}:Gate", "sa", "sa,groups=4", "timm:eca"):
        parse(name)


def test_a_name_that_two_packages_offer_is_refused(package):
    package("gate = some_nets:Gate")
    package("gate = other_nets:Gate", package="other_nets")
    with pytest.raises(SettingsError, match=r"several packages offer 'gate': .*other_nets 0.3"):
        parse("gate").load()


def test_what_is_offered_is_known(package):
    package("gate = some_nets:Gate")
    with pytest.raises(
        SettingsError, match=r"unknown .*'gat' .*gate.*; known: se, .*, sa, gate; or"
    ):
        parse("gat")


def test_an_entry_point_that_changes_torch_is_refused(package):
    package("gate = some_nets:Gate", f"import torch\ntorch.set_grad_enabled(False)\n{MODULE}")
    try:
        with pytest.raises(SettingsError, match=r"^gate: loading it changes torch's grad mode"):
            parse("gate").load()
    finally:
        torch.set_grad_enabled(True)
