"""RAPL from a tree of files as Linux has it, and NVML's counter from a stub of its bindings."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from attnbench.devices import nvml
from attnbench.devices.energy import nvidia, rapl
from attnbench.devices.energy.counter import NoCounterError
from attnbench.devices.table import KINDS

RANGE_UJ = 65_532_610_987  # as an EPYC states it: 2**32 - 1 units of 15.3 uJ


def zone(root, folder, name, uj, range_uj=RANGE_UJ):
    path = root / folder
    path.mkdir(parents=True)
    for file, value in (("name", name), ("energy_uj", uj), ("max_energy_range_uj", range_uj)):
        (path / file).write_text(f"{value}\n")
    return path / "energy_uj"


def counted(root, *steps):
    """What a counter shows after each step, which sets files."""
    counter = rapl.open_counter(root)
    shown = []
    for step in steps:
        for file, uj in step.items():
            file.write_text(f"{uj}\n")
        shown.append(counter.read_j())
    return shown


def test_the_joules_of_a_package_are_those_since_it_was_opened(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    assert counted(tmp_path, {}, {package: 7_500_000}) == [
        {"package-0": 0.0},
        {"package-0": pytest.approx(2.5)},
    ]


def test_a_counter_that_wraps_around_goes_on(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    shown = counted(tmp_path, {package: 2_000_000}, {package: 3_000_000}, {package: 500_000})
    # 1 J to the end and 2 J behind it, 1 J more, then around again: the range less 2.5 J.
    around = RANGE_UJ * 1e-6 - 2.5
    assert [known["package-0"] for known in shown] == pytest.approx([3.0, 4.0, 4.0 + around])


def test_every_package_and_its_memory_is_counted_and_no_part_twice(tmp_path):
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:1:0": "dram",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
        "dtpm": "dtpm",
    }
    files = [zone(tmp_path, folder, name, 10) for folder, name in zones.items()]
    (shown,) = counted(tmp_path, dict.fromkeys(files, 1000010))
    assert shown == pytest.approx(
        dict.fromkeys(["package-0", "dram-0", "package-1", "dram-1"], 1.0)
    )


def test_memory_that_was_never_counted_is_left_out(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 10)
    zone(tmp_path, "intel-rapl:0:0", "dram", 0)
    assert counted(tmp_path, {}) == [{"package-0": 0.0}]


@pytest.mark.parametrize("there", [True, False])
def test_a_machine_without_packages_says_so(tmp_path, there):
    if there:
        zone(tmp_path, "intel-rapl:0:0", "dram", 10)
    with pytest.raises(NoCounterError, match=r"no counter of the CPU's energy .* leave --energy"):
        rapl.open_counter(tmp_path if there else tmp_path / "none")


def test_a_file_for_root_alone_says_what_to_do(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", 10)

    def refuse(path, **_):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return "package-0\n"

    monkeypatch.setattr(rapl.Path, "read_text", refuse)
    with pytest.raises(NoCounterError, match=r"only root may read .*energy_uj; .* sudo chmod a\+r"):
        rapl.open_counter(tmp_path)


@pytest.mark.parametrize("text", ["", "many"])
def test_a_file_without_a_number_is_named(tmp_path, text):
    zone(tmp_path, "intel-rapl:0", "package-0", text)
    with pytest.raises(NoCounterError, match=r"cannot read .*energy_uj: it holds no number"):
        rapl.open_counter(tmp_path)


def test_the_cpu_is_asked_without_torch():
    code = "import sys; sys.modules['torch'] = None; import attnbench.devices.energy.rapl"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def bindings(monkeypatch):
    """NVML with one GPU, which took 1234.5 J and takes 300 W, a mean of 250 W."""
    known = SimpleNamespace(energy=lambda _: 1_234_500, instant=lambda *_: 300.0)
    monkeypatch.setattr(nvml, "_device", lambda uuid: nvml.Device("own", "gpu") if uuid else None)
    monkeypatch.setattr(
        nvml.pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda of: known.energy(of)
    )
    monkeypatch.setattr(nvml.pynvml, "nvmlDeviceGetPowerUsage", lambda _: 250_000)
    monkeypatch.setattr(nvml, "_field", lambda *of: known.instant(*of) * 1e3)
    return known


def missing(*_):
    raise nvml.pynvml.NVMLError(nvml.pynvml.NVML_ERROR_NOT_SUPPORTED)


def test_a_gpu_has_the_drivers_counter_and_its_power_of_this_moment(bindings):
    counter = nvidia.open_counter({"gpu_uuid": "GPU-1"})
    assert counter.read_j() == {"gpu": pytest.approx(1234.5)}
    assert counter.power_w() == pytest.approx(300.0)
    bindings.instant = missing
    assert counter.power_w() == pytest.approx(250.0)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "the driver reports no energy"),
        ({"gpu_uuid": "GPU-1", "gpu_mig": True}, "a MIG part of a GPU"),
    ],
)
def test_a_gpu_whose_own_energy_is_not_known_is_refused(bindings, facts, message):
    assert bindings.energy(None)
    with pytest.raises(NoCounterError, match=message):
        nvidia.open_counter(facts)


def test_a_driver_without_the_counter_is_refused_and_one_that_loses_it_fails(bindings):
    counter = nvidia.open_counter({"gpu_uuid": "GPU-1"})
    bindings.energy = missing
    with pytest.raises(NoCounterError, match="no longer reports"):
        counter.read_j()
    with pytest.raises(NoCounterError, match="since Volta"):
        nvidia.open_counter({"gpu_uuid": "GPU-1"})


@pytest.mark.parametrize("name", ["xpu", "mps"])
def test_a_kind_without_a_counter_says_so_in_one_line(name):
    with pytest.raises(NoCounterError, match=f"knows no counter of energy of {name.upper()}"):
        KINDS[name].energy({})
