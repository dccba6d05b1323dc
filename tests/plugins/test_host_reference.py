import sys
import types
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn

from attnbench.modules import SettingsError
from attnbench.plugins import host_reference
from attnbench.plugins.host_reference import HostReference, origins, parse_host

FILE = """
from torch import nn

VALUE = 3

def small():
    return nn.Conv2d(3, 8, 1)

def wide(width, *, depth, bias=True):
    return nn.Conv2d(3, width, depth)
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "nets.py").write_text(FILE)
    return tmp_path


@pytest.mark.parametrize(
    ("written", "name", "custom"),
    [
        ("ResNet50", "resnet50", False),
        (" MobileNet_V2 ", "mobilenet_v2", False),
        ("TIMM:hrnet_w18", "timm:hrnet_w18", True),
        ("ultralytics:yolo11n.yaml", "ultralytics:yolo11n.yaml", True),
        ("lib/Nets.py:Small", "lib/Nets.py:Small", True),
    ],
)
def test_names_are_read_without_loading_anything(written, name, custom):
    host = parse_host(written)
    assert (host.name, host.is_custom) == (name, custom)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilnet_v2", r"did you mean mobilenet_v2, .*every other network of torchvision"),
        ("ultralytics:yolo11n.pt", "not of the form ultralytics:NAME.yaml"),
        ("ultralytics:../yolo11n.yaml", "not of the form ultralytics:NAME.yaml"),
        ("timm:", "unknown host 'timm:'"),
        ("a\nb", "cannot be printed"),
    ],
)
def test_what_no_host_can_be_is_refused_by_its_name(name, message):
    with pytest.raises(SettingsError, match=message):
        parse_host(name)


def test_a_function_in_a_file(file):
    host = parse_host("nets.py:small", file)
    assert isinstance(host.load()(), nn.Conv2d)
    before = host.origin
    assert before.startswith("sha256 ")
    (file / "nets.py").write_text(FILE + "\n")
    assert host.origin != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wide", r"needs arguments \(width, depth\); a host's function takes none"),
        ("VALUE", "no function that returns a network, but a int"),
        ("absent", "there is no absent in"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(file, name, message):
    with pytest.raises(SettingsError, match=message):
        parse_host(f"nets.py:{name}", file).load()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="there is no Python file"):
        _ = parse_host("nets.py:small", tmp_path).origin


def test_the_records_name_the_code_of_a_custom_host_alone(file, monkeypatch):
    monkeypatch.chdir(file)
    assert origins("mobilenet_v2") == {}
    assert origins("nets.py:small").keys() == {"plain"}


def test_timm_lists_near_names():
    with pytest.raises(SettingsError, match=r"has no model 'resnet5' \(did you mean resnet50\?\)"):
        parse_host("timm:resnet5").load()


def test_packages_offer_hosts(monkeypatch):
    entry = EntryPoint("net", "collections:OrderedDict", host_reference.GROUP)
    monkeypatch.setattr(host_reference, "entry_points", lambda group: [entry])  # noqa: ARG005
    assert parse_host("net").origin == "an unknown package (collections:OrderedDict)"
    monkeypatch.setattr(host_reference, "entry_points", lambda group: [entry, entry])  # noqa: ARG005
    with pytest.raises(SettingsError, match="several packages offer 'net'"):
        parse_host("net")


@pytest.fixture
def stub_ultralytics(monkeypatch):
    """The parts of the package that a host is built with."""

    def loaded(name):
        if name != "yolo0n.yaml":
            raise FileNotFoundError(name)
        return {"yaml_file": name}

    tasks = types.ModuleType("ultralytics.nn.tasks")
    tasks.yaml_model_load = loaded
    tasks.guess_model_task = lambda configuration: configuration.get("task", "detect")
    for kind in ("Detection", "Segmentation", "Pose", "OBB", "Classification"):
        setattr(tasks, f"{kind}Model", lambda configuration, verbose: nn.Identity())  # noqa: ARG005
    parent = types.ModuleType("ultralytics.nn")
    parent.tasks = tasks
    top = types.ModuleType("ultralytics")
    for module in (tasks, parent, top):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(host_reference, "version", lambda _: "8.3.0")


@pytest.mark.usefixtures("stub_ultralytics")
def test_ultralytics_by_a_configuration_of_its_own(tmp_path, monkeypatch):
    host = parse_host("ultralytics:yolo0n.yaml")
    assert host.origin == "ultralytics 8.3.0"
    assert isinstance(host.load()(), nn.Identity)
    with pytest.raises(SettingsError, match=r"has no configuration 'yolo9\.yaml'"):
        HostReference("ultralytics:yolo9.yaml").load()()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolo0n.yaml").touch()
    with pytest.raises(SettingsError, match="would be read in the place of the package's"):
        host.load()()


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    def absent(name):
        raise host_reference.PackageNotFoundError(name)

    monkeypatch.setattr(host_reference, "version", absent)
    with pytest.raises(SettingsError, match=r"pip install -e '\.\[ultralytics\]'"):
        parse_host("ultralytics:yolo11n.yaml").load()
    assert torch.is_grad_enabled()
