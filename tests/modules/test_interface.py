import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from attnbench.modules import ATTENTION, AttentionSpec, SettingsError, Site, create, lookup
from attnbench.modules.interface import divide

CHECKOUT = Path(__file__).parents[2]
NAMES = "se, cbam, eca, gc, sk, sge, sa"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


def test_the_table_holds_the_seven_modules_in_order():
    assert ", ".join(ATTENTION) == NAMES
    assert all(entry.name == name for name, entry in ATTENTION.items())


def test_only_sk_stands_for_a_convolution():
    sites = {name for name, entry in ATTENTION.items() if entry.site is Site.REPLACE_CONV2}
    assert sites == {"sk"}


def test_an_unknown_name_is_told_the_known_ones():
    for call in (lambda: lookup("simam"), lambda: create("simam", 64)):
        with pytest.raises(SettingsError, match=f"'simam'; known: {NAMES}"):
            call()


def test_a_row_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        ATTENTION["se"].title = "other"


def test_published_settings_are_looked_up_by_host_and_stage():
    eca = ATTENTION["eca"]
    assert [eca.settings("resnet50", stage) for stage in (1, 2, 3, 4)] == [
        {"kernel_size": size} for size in (3, 5, 5, 7)
    ]
    assert [eca.settings("resnet101", stage) for stage in (1, 2, 3, 4)] == [
        {"kernel_size": size} for size in (3, 3, 5, 7)
    ]
    # The weights of the others: eca_resnet18_k3577, eca_resnet34_k3357, eca_resnet152_k3357.
    for host, sizes in (("resnet18", "3577"), ("resnet34", "3357"), ("resnet152", "3357")):
        of_stages = [eca.settings(host, stage)["kernel_size"] for stage in (1, 2, 3, 4)]
        assert of_stages == [int(size) for size in sizes]
    assert eca.settings("resnext50_32x4d", 1) == {}
    assert ATTENTION["se"].settings("resnet50", 1) == {}


def test_create_passes_settings_to_the_module():
    assert create("se", 64, reduction=4).fc[0].out_features == 16


def test_a_row_of_ones_own_needs_no_table():
    entry = AttentionSpec(
        name="own", title="Own", arxiv="0000.00000", site=Site.AFTER_BN3, build=lambda c: -c
    )
    assert entry.build(64) == -64
    assert entry.settings("resnet50", 1) == {}


def test_a_division_comes_out_whole_or_names_its_neighbours():
    assert divide(96, 32, "x") == 3
    with pytest.raises(SettingsError, match="x: 100 channels do not divide by 32; 96 or 128 would"):
        divide(100, 32, "x")


@pytest.mark.parametrize(("channels", "by"), [(0, 16), (-16, 16), (16, 0), (16, -4)])
def test_nothing_is_divided_that_is_not_positive(channels, by):
    with pytest.raises(SettingsError, match="must be positive"):
        divide(channels, by, "x")


def test_a_width_below_the_divisor_is_told_one_neighbour_once():
    with pytest.raises(SettingsError) as refused:
        divide(5, 32, "x")
    assert str(refused.value).count("32 would") == 1  # the divisor, and the one width


def test_the_table_is_read_without_torch():
    code = "import sys, attnbench.modules as m; print(len(m.ATTENTION), 'torch' in sys.modules)"
    assert python(code).stdout.split() == [str(len(ATTENTION)), "False"]


def test_the_folder_is_not_imported_under_a_second_name():
    result = python("import modules")
    assert result.returncode == 1
    assert "ImportError: import attnbench.modules" in result.stderr
