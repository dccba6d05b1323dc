"""What is found on machines that are folders of files, with the advice that goes with it."""

import pytest

from attnbench.system.doctor.activity import Activity, Machine
from attnbench.system.doctor.findings import Finding, examine

QUIET = {
    "proc/loadavg": "0.10 0.20 0.30 1/94 19122\n",
    "proc/cpuinfo": "model name : Some CPU\nflags : fpu avx2\n",
    "proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n",
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  "
    "580.159.04  Release Build  (builder@)\nGCC version: 12\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
    "sys/devices/system/cpu/smt/active": "0\n",
    "sys/class/power_supply/BAT0/status": "Full\n",
}
CALM = Activity(seconds=2.0, block_s=(1.0, 1.01, 0.99), stolen_s=0.0)


def machine(folder, **environment):
    return Machine(root=folder, cores=2, environment=environment)


@pytest.fixture
def put(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def found(folder, activity=CALM, **environment):
    return {f.what: f for f in examine(machine(folder, **environment), activity)}


def test_a_quiet_machine_is_good_in_everything(put):
    assert {finding.state for finding in found(put(QUIET)).values()} == {"good"}


def test_a_system_without_these_files_is_unknown_and_no_failure(tmp_path):
    unknown = [what for what, f in found(tmp_path).items() if f.state == "unknown"]
    assert unknown == [
        "load",
        "virtual machine",
        "governor",
        "turbo",
        "two threads a core (SMT)",
        "memory",
    ]


CPUFREQ = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor"
NO_TURBO = "sys/devices/system/cpu/intel_pstate/no_turbo"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            *("proc/loadavg", "0.41 0 0 1/9 9"),
            Finding(
                *("load", "0.41 on 2 cores (mean of the last minute)", "warning"),
                "wait until the machine is idle, or stop other work",
            ),
        ),
        (
            *("proc/cpuinfo", "flags : fpu hypervisor avx2"),
            Finding(
                *("virtual machine", "yes; steal time 0.0% of its cores", "note"),
                "other guests can disturb a run at any time: look at its control and its flags",
            ),
        ),
        (
            *("proc/meminfo", "MemAvailable: 1048576 kB"),
            Finding(
                *("memory", "1.0 GiB available", "warning"),
                "less than 2 GiB: a run may be killed or wait for the disk",
            ),
        ),
        (
            *(CPUFREQ, "powersave"),
            Finding(
                *("governor", "performance, powersave", "warning"),
                "clocks follow the load: sudo cpupower frequency-set --governor performance",
            ),
        ),
        (
            *(NO_TURBO, "0"),
            Finding(
                *("turbo", "on", "note"),
                f"clocks follow the temperature: echo 1 | sudo tee /{NO_TURBO}",
            ),
        ),
        (
            *("sys/devices/system/cpu/smt/active", "1"),
            Finding(
                *("two threads a core (SMT)", "on", "note"),
                "logical cores share units: --threads with at most the number of physical cores",
            ),
        ),
        (
            *("sys/class/power_supply/BAT0/status", "Discharging"),
            Finding(*("power", "on battery", "warning"), "connect it: clocks are lower on battery"),
        ),
        (
            *("sys/fs/cgroup/cpu.max", "150000 100000"),
            Finding(
                *("cores allowed", "2 of 2, quota of 1.5 cores", "warning"),
                "threads are stopped when the quota is used up: --threads 1",
            ),
        ),
        ("sys/fs/cgroup/cpu.max", "max 100000", Finding("cores allowed", "2 of 2", "good")),
    ],
    ids=lambda value: value.what if isinstance(value, Finding) else "",
)
def test_each_fault_is_found_with_its_advice(put, file, text, expected):
    assert found(put(QUIET | {file: text}))[expected.what] == expected


def test_other_processes_are_named_by_what_they_used(put):
    used = {"make": 0.5, "idle": 0.05, "a": 1.0, "b": 0.2, "c": 0.12}
    busy = Activity(seconds=2.0, block_s=(1.0,), stolen_s=0.0, others=used)
    finding = found(put(QUIET), busy)["other processes"]
    # 1.0 / 2, 0.5 / 2, 0.2 / 2; then c with 0.12 / 2; idle's 0.05 / 2 is below 5%
    listed = "a (50% of a core), make (25% of a core), b (10% of a core) and 1 more"
    assert (finding.state, finding.found) == ("warning", listed)


def test_steal_time_is_a_share_of_all_cores(put):
    robbed = Activity(seconds=2.0, block_s=(1.0,), stolen_s=0.4)  # 0.4 / 2 / 2 cores
    finding = found(put(QUIET), robbed)["virtual machine"]
    assert (finding.state, finding.found) == ("warning", "yes; steal time 10.0% of its cores")


def test_a_computation_that_scatters_is_a_warning(put):
    noisy = Activity(seconds=2.0, block_s=(0.9, 1.0, 1.1), stolen_s=0.0)  # median of .1, 0, .1
    finding = found(put(QUIET), noisy)["fixed computation"]
    assert (finding.state, finding.found) == ("warning", "3 repetitions scatter by 10.0%")


def test_variables_that_set_threads_are_shown(put):
    finding = found(put(QUIET), OMP_NUM_THREADS="1", HOME="/")["threads"]
    assert (finding.state, finding.found) == ("note", "OMP_NUM_THREADS=1")
