"""Packages that offer modules, as pip would leave them: a module and its metadata on the path."""

import sys
from pathlib import Path

import pytest
import torch

from attnbench.modules import SettingsError
from attnbench.plugins import entry_points
from attnbench.plugins.resolve import lookup, origins, require_known

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

    def install(entry: str, module: str = MODULE, package: str = "nets_of_somebody") -> None:
        (tmp_path / f"{package}.py").write_text(module)
        info = tmp_path / f"{package}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[attnbench.modules]\n{entry}\n")
        sys.modules.pop(package, None)

    return install


def test_an_entry_point_is_a_module_by_its_name(package):
    package("gate = nets_of_somebody:Gate")
    row = lookup("gate,power=2")
    built = row.build(64)
    assert (built.channels, built.power) == (64, 2)
    assert origins(["gate,power=2"]) == {
        "gate,power=2": "nets_of_somebody 0.3 (nets_of_somebody:Gate)"
    }


def test_offering_loads_nothing(package):
    package("gate = nets_of_somebody:Gate", module="1 / 0")
    assert [entry.name for entry in entry_points.offered()] == ["gate"]
    with pytest.raises(SettingsError, match=r"gate: nets_of_somebody 0.3 .* ZeroDivisionError"):
        lookup("gate")


def test_an_entry_point_cannot_take_the_name_of_a_row(package):
    package("sa = nets_of_somebody:Gate")
    assert lookup("sa").title.startswith("SA-Net")
    assert entry_points.offered() == ()
    assert [entry.name for entry in entry_points.in_vain()] == ["sa"]


def test_an_entry_point_cannot_take_a_name_that_records_use(package):
    package("plain = nets_of_somebody:Gate")
    assert [entry.name for entry in entry_points.in_vain()] == ["plain"]
    with pytest.raises(SettingsError, match="no module can have the name 'plain'"):
        lookup("plain")


def test_knowing_a_name_loads_nothing(package, written):
    package("gate = nets_of_somebody:Gate", module="1 / 0")
    for name in ("gate,power=2", f"{written('1 / 0')}:Gate", "sa", "sa,groups=4", "timm:eca"):
        require_known(name)


def test_a_name_that_two_packages_offer_is_refused(package):
    package("gate = nets_of_somebody:Gate")
    package("gate = other_nets:Gate", package="other_nets")
    with pytest.raises(SettingsError, match=r"several packages offer 'gate': .*other_nets 0.3"):
        lookup("gate")


def test_what_is_offered_is_known(package):
    package("gate = nets_of_somebody:Gate")
    with pytest.raises(SettingsError, match=r"unknown .*'gat'; known: se, .*, sa, gate; or"):
        lookup("gat")


def test_an_entry_point_that_changes_torch_is_refused(package):
    package(
        "gate = nets_of_somebody:Gate", f"import torch\ntorch.set_grad_enabled(False)\n{MODULE}"
    )
    try:
        with pytest.raises(SettingsError, match=r"^gate: loading it changes torch's gradients"):
            lookup("gate")
    finally:
        torch.set_grad_enabled(True)
