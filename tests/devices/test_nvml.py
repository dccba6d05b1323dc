from types import SimpleNamespace

import pynvml
import pytest
import torch

from attnbench.devices import nvml

UUID = "5d2f0c1e-0000-4000-8000-000000000001"
NOTHING = dict.fromkeys(nvml.MOMENT)


CONSTANTS = {
    "nvmlDeviceGetEnforcedPowerLimit": 600_000,
    "nvmlDeviceGetPowerManagementDefaultLimit": 700_000,
    "nvmlDeviceGetPersistenceMode": 1,
}
LIMITS = {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 2619}


def field_values(fields):
    assert fields == [pynvml.NVML_FI_DEV_POWER_INSTANT]
    value = SimpleNamespace(uiVal=351_250)
    return [SimpleNamespace(nvmlReturn=pynvml.NVML_SUCCESS, value=value)]


def refused(*_):
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.fixture(autouse=True)
def forgotten():
    """Forget what an earlier test read of the driver and its devices."""
    for cached in (nvml._started, nvml._device):
        cached.cache_clear()
    yield
    for cached in (nvml._started, nvml._device):
        cached.cache_clear()


@pytest.fixture
def driver(monkeypatch):
    """A driver with one device; ``log`` keeps what it was asked for."""
    log = []
    clocks = {pynvml.NVML_CLOCK_SM: 1755, pynvml.NVML_CLOCK_MEM: 2619}
    heat = {pynvml.NVML_TEMPERATURE_GPU: 61}

    def handle(name):
        log.append(name)
        if name != f"GPU-{UUID}":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "the device"

    def of_the_device(read):
        def answer(device, *which):
            assert device == "the device"
            return read(*which)

        return answer

    functions = {
        "nvmlInit": lambda: log.append("init"),
        "nvmlSystemGetDriverVersion": lambda: "580.65.06",
        "nvmlDeviceGetHandleByUUID": handle,
        "nvmlDeviceGetClockInfo": of_the_device(clocks.__getitem__),
        "nvmlDeviceGetPowerUsage": of_the_device(lambda: 348_500),
        "nvmlDeviceGetPerformanceState": of_the_device(lambda: 2),
        "nvmlDeviceGetTemperature": of_the_device(heat.__getitem__),
        "nvmlDeviceGetCurrentClocksEventReasons": of_the_device(lambda: 0x24),
        "nvmlDeviceGetFieldValues": of_the_device(field_values),
        **{name: of_the_device(lambda value=value: value) for name, value in CONSTANTS.items()},
        "nvmlDeviceGetMaxClockInfo": of_the_device(LIMITS.__getitem__),
        "nvmlDeviceGetApplicationsClock": of_the_device(clocks.__getitem__),
        "nvmlDeviceGetMPSComputeRunningProcesses": of_the_device(lambda: [object()]),
        "nvmlDeviceGetComputeRunningProcesses": of_the_device(lambda: [object()] * 3),
    }
    for name, function in functions.items():
        monkeypatch.setattr(nvml.pynvml, name, function)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 2**21)
    return SimpleNamespace(log=log)


FACTS = {
    "gpu_clock_mhz": 1755,
    "gpu_memory_clock_mhz": 2619,
    "gpu_power_w": 348.5,  # of 348,500 mW
    "gpu_power_instant_w": 351.25,
    "gpu_power_state": "P2",
    "gpu_temperature_c": 61,
    "gpu_throttle": "software power cap, software thermal slowdown",  # 0x04 + 0x20
    "gpu_clock_is_set": False,  # no 0x02
    "gpu_other_processes": 2,  # 3 - 1
}

QUERIES = {
    "nvmlDeviceGetClockInfo": ("gpu_clock_mhz", "gpu_memory_clock_mhz"),
    "nvmlDeviceGetPowerUsage": ("gpu_power_w",),
    "nvmlDeviceGetPerformanceState": ("gpu_power_state",),
    "nvmlDeviceGetTemperature": ("gpu_temperature_c",),
    "nvmlDeviceGetFieldValues": ("gpu_power_instant_w",),
    "nvmlDeviceGetComputeRunningProcesses": ("gpu_other_processes",),
}


@pytest.mark.usefixtures("driver")
def test_the_facts_of_a_device():
    assert nvml.moment(UUID) == FACTS


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("query", "facts"), QUERIES.items(), ids=QUERIES)
def test_a_query_that_is_refused_is_unknown_and_the_others_stand(monkeypatch, query, facts):
    monkeypatch.setattr(nvml.pynvml, query, refused)
    assert nvml.moment(UUID) == FACTS | dict.fromkeys(facts)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("query", "facts"), QUERIES.items(), ids=QUERIES)
def test_a_query_that_the_bindings_do_not_have_is_unknown_too(monkeypatch, query, facts):
    monkeypatch.delattr(nvml.pynvml, query)
    assert nvml.moment(UUID) == FACTS | dict.fromkeys(facts)


@pytest.mark.usefixtures("driver")
def test_a_set_clock_is_no_throttling_and_a_fact_of_its_own(monkeypatch):
    monkeypatch.setattr(nvml.pynvml, "nvmlDeviceGetCurrentClocksEventReasons", lambda _: 0x02)
    assert nvml.moment(UUID) == FACTS | {"gpu_throttle": "", "gpu_clock_is_set": True}
    monkeypatch.setattr(nvml.pynvml, "nvmlDeviceGetCurrentClocksEventReasons", refused)
    assert nvml.moment(UUID)["gpu_clock_is_set"] is None


def test_what_throttles_has_an_old_name_where_the_new_one_is_missing(driver, monkeypatch):
    monkeypatch.setattr(
        nvml.pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons", lambda _: 0x40, raising=False
    )
    assert nvml.moment(UUID) == FACTS  # the new one first
    monkeypatch.setattr(nvml.pynvml, "nvmlDeviceGetCurrentClocksEventReasons", refused)
    assert nvml.moment(UUID)["gpu_throttle"] == "hardware thermal slowdown"
    monkeypatch.delattr(nvml.pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons")
    assert nvml.moment(UUID)["gpu_throttle"] is None
    assert driver.log == ["init", f"GPU-{UUID}"]


@pytest.mark.usefixtures("driver")
def test_a_field_that_the_device_does_not_have_is_unknown(monkeypatch):
    answer = SimpleNamespace(nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED)
    monkeypatch.setattr(nvml.pynvml, "nvmlDeviceGetFieldValues", lambda *_: [answer])
    assert nvml.moment(UUID)["gpu_power_instant_w"] is None
    assert nvml.moment(UUID)["gpu_power_w"] == 348.5


OF_THE_DEVICE = {
    "gpu_power_limit_w": 600.0,
    "gpu_power_limit_default_w": 700.0,
    "gpu_clock_max_mhz": 1980,
    "gpu_memory_clock_max_mhz": 2619,
    "gpu_clock_target_mhz": 1755,
    "gpu_persistence": True,
    "gpu_mps_processes": 1,
    "gpu_mig": False,
}


@pytest.mark.usefixtures("driver")
def test_the_facts_that_do_not_change():
    assert nvml.constants(UUID) == OF_THE_DEVICE
    assert nvml.constants("another") == dict.fromkeys(nvml.CONSTANT)


def test_a_part_of_a_gpu_is_found_and_has_the_facts_of_the_whole(driver, monkeypatch):
    part = "11111111-0000-4000-8000-000000000002"
    known = nvml.pynvml.nvmlDeviceGetHandleByUUID
    monkeypatch.setattr(
        nvml.pynvml,
        "nvmlDeviceGetHandleByUUID",
        lambda name: "the part" if name == f"MIG-{part}" else known(name),
    )
    monkeypatch.setattr(
        nvml.pynvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", lambda _: "the device"
    )
    asked = []
    monkeypatch.setattr(
        nvml.pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda of: asked.append(of) or []
    )
    assert nvml.moment(part) == FACTS | {"gpu_other_processes": 0}
    assert asked == ["the part"]
    assert nvml.constants(part)["gpu_mig"] is True
    assert driver.log == ["init", f"GPU-{part}"]  # tried first


@pytest.mark.usefixtures("driver")
def test_without_a_driver_nothing_is_known(monkeypatch):
    monkeypatch.setattr(nvml.pynvml, "nvmlInit", refused)
    assert nvml.moment(UUID) == NOTHING
    assert nvml.driver() is None


def test_a_device_without_a_uuid_is_not_asked_for(driver):
    assert nvml.moment(None) == NOTHING
    assert driver.log == []


def test_a_device_that_the_driver_does_not_know_has_no_facts(driver):
    assert nvml.moment("another") == NOTHING
    assert driver.log == ["init", "GPU-another", "MIG-another"]


@pytest.mark.parametrize(
    ("uuid", "asked"),
    [("abc", "GPU-abc"), ("GPU-abc", "GPU-abc"), ("MIG-abc", "MIG-abc")],
)
def test_a_uuid_is_asked_for_as_the_driver_writes_it(driver, uuid, asked):
    nvml.moment(uuid)
    assert driver.log[:2] == ["init", asked]


def test_a_uuid_with_its_prefix_is_the_same_device(driver):
    assert nvml.moment(f"GPU-{UUID}") == FACTS
    assert driver.log == ["init", f"GPU-{UUID}"]


def test_the_driver_is_started_and_the_device_found_once(driver):
    nvml.moment(UUID)
    nvml.moment(UUID)
    assert driver.log == ["init", f"GPU-{UUID}"]


@pytest.mark.usefixtures("driver")
def test_what_changes_is_read_again(monkeypatch):
    nvml.moment(UUID)
    monkeypatch.setattr(nvml.pynvml, "nvmlDeviceGetPowerUsage", lambda _: 70_250)
    assert nvml.moment(UUID) == FACTS | {"gpu_power_w": 70.25}


@pytest.mark.usefixtures("driver")
def test_the_version_of_the_driver():
    assert nvml.driver() == "580.65.06"


@pytest.mark.usefixtures("driver")
def test_a_driver_without_a_version_is_unknown(monkeypatch):
    monkeypatch.setattr(nvml.pynvml, "nvmlSystemGetDriverVersion", refused)
    assert nvml.driver() is None


@pytest.mark.parametrize(
    ("reasons", "names"),
    [
        (0, ""),
        (pynvml.nvmlClocksThrottleReasonGpuIdle, ""),
        (pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting, ""),
        (pynvml.nvmlClocksThrottleReasonSwPowerCap, "software power cap"),
        (pynvml.nvmlClocksThrottleReasonHwSlowdown, "hardware slowdown"),
        (pynvml.nvmlClocksThrottleReasonSyncBoost, "sync boost"),
        (pynvml.nvmlClocksThrottleReasonSwThermalSlowdown, "software thermal slowdown"),
        (pynvml.nvmlClocksThrottleReasonHwThermalSlowdown, "hardware thermal slowdown"),
        (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, "hardware power brake"),
        (pynvml.nvmlClocksThrottleReasonDisplayClockSetting, ""),
        (0x01 | 0x04, "software power cap"),
        (0x08 | 0x40, "hardware slowdown, hardware thermal slowdown"),
        (0x80 | 0x20 | 0x04, "software power cap, software thermal slowdown, hardware power brake"),
    ],
)
def test_the_names_of_what_throttles(reasons, names):
    assert nvml.throttles(reasons) == names


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("on_the_device", "running", "others"),
    [
        (False, 0, 0),
        (False, 2, 2),
        (True, 1, 0),
        (True, 2, 1),
        (True, 0, 0),  # a container whose driver lists no process
    ],
)
def test_this_process_is_not_counted_among_the_others(monkeypatch, on_the_device, running, others):
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 2**21 if on_the_device else 0)
    monkeypatch.setattr(
        nvml.pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda _: [object()] * running
    )
    assert nvml.moment(UUID)["gpu_other_processes"] == others
