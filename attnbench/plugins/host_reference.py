"""Hosts by the name their user gives: the suite's, torchvision's, or from outside.

    resnet50                      a host of the suite, or any network of torchvision by its name
    timm:NAME                     a model of timm
    path/to/file.py:function      a function in a file that returns an ``nn.Module`` for images
    ultralytics:yolo11n.yaml      a detector of ultralytics by its own configuration
    name                          an entry point in the group ``attnbench.hosts``

No weights are ever fetched. Nothing is loaded here until :meth:`HostReference.load`, and no torch
is imported until then.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench import host_names
from attnbench.modules import SettingsError
from attnbench.plugins import foreign, python_file, timm
from attnbench.plugins.entry_points import origin as origin_of
from attnbench.plugins.spec import is_in_file
from attnbench.text import LONGEST_WORD, error_line, near, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

GROUP = "attnbench.hosts"

ULTRALYTICS = "ultralytics:"

OTHERS = "; or timm:NAME, path/to/file.py:function, ultralytics:NAME.yaml"

Factory = Callable[[], "nn.Module"]


@dataclass(frozen=True)
class HostReference:
    """A host as its user named it; nothing is loaded yet."""

    name: str
    folder: Path = Path()
    """Where the path of a file starts, if it is relative."""

    @property
    def is_custom(self) -> bool:
        """Whether its code is neither the suite's nor torchvision's: a child process runs it."""
        return self.name not in host_names.KNOWN

    @property
    def origin(self) -> str | None:
        """Return what identifies its code: a digest or a version; None for a known name.

        Raises:
            SettingsError: the file or package does not exist any more.
        """
        if not self.is_custom:
            return None
        if self.name.startswith(timm.PREFIX):
            return timm.origin()
        if self.name.startswith(ULTRALYTICS):
            return _ultralytics_origin()
        if is_in_file(self.name):
            return python_file.origin(self.name, self.folder)
        return origin_of(_entry_point(self.name))

    def load(self) -> Factory:
        """Return what builds the network; custom code is run, and prints to stderr.

        Raises:
            SettingsError: it cannot be loaded, or is no function without required parameters.
        """
        from torch import device

        with redirect_stdout(sys.stderr), device("cpu"):
            try:
                return self._factory()
            except SettingsError:
                raise
            except foreign.RAISED as error:
                raise SettingsError(f"{self.name} cannot be loaded: {error_line(error)}") from error

    def _factory(self) -> Factory:
        if self.name.startswith(timm.PREFIX):
            return _timm(self.name)
        if self.name.startswith(ULTRALYTICS):
            return _ultralytics(self.name)
        if is_in_file(self.name):
            target = python_file.load(self.name, self.folder)
        else:
            target = _entry_point(self.name).load()
        return _without_parameters(target, self.name)


def parse_host(name: str, folder: Path = Path()) -> HostReference:
    """Return the host of that name; paths are relative to ``folder``. Nothing is loaded.

    Raises:
        SettingsError: the name is unknown or malformed; the message lists near names.
    """
    name = host_names.written(name)
    if name.lower().startswith((timm.PREFIX, ULTRALYTICS)):
        prefix, _, rest = name.partition(":")
        name = f"{prefix.lower()}:{rest}"
    if name in host_names.KNOWN:
        return HostReference(name, folder)
    if not name.isprintable() or name.encode(errors="replace").decode() != name:
        raise SettingsError(f"host {name!a} holds characters that cannot be printed")
    if name.startswith(timm.PREFIX) and name != timm.PREFIX:
        return HostReference(name, folder)
    if name.startswith(ULTRALYTICS):
        if not re.fullmatch(r"[\w.-]+\.ya?ml", name.removeprefix(ULTRALYTICS)):
            raise SettingsError(
                f"'{name}' is not of the form ultralytics:NAME.yaml, such as "
                "ultralytics:yolo11n.yaml; files of weights are not read"
            )
        return HostReference(name, folder)
    if is_in_file(name):
        return HostReference(name, folder)
    _entry_point(name)
    return HostReference(name, folder)


def origins(host: str) -> dict[str, str]:
    """Return :attr:`HostReference.origin` under the host's variant ``plain``, if it has one."""
    origin = parse_host(host).origin
    return {} if origin is None else {"plain": origin}


def is_custom(host: str) -> bool:
    """Return whether code of another party than the suite and torchvision builds that host."""
    return parse_host(host).is_custom


def _entry_point(name: str) -> EntryPoint:
    offered = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if len(offered) == 1:
        return offered[0]
    if offered:
        raise SettingsError(
            f"several packages offer '{name}': {', '.join(map(origin_of, offered))}"
        )
    raise SettingsError(_unknown(name))


def _unknown(name: str) -> str:
    """Return a message with the nearest names of all; those of the suite's own hosts are listed."""
    names = [*host_names.KNOWN, *(entry.name for entry in entry_points(group=GROUP))]
    alike = get_close_matches(name[:LONGEST_WORD].lower(), names)
    hint = f" (did you mean {', '.join(alike)}?)" if alike else ""
    own = ", ".join((*host_names.CLASSIFIERS, *host_names.DETECTORS))
    return (
        f"unknown host '{printable(name, LONGEST_WORD)}'{hint}; known: {own}, and every other "
        f"network of torchvision by its name there{OTHERS}"
    )


def _without_parameters(target: object, source: str) -> Factory:
    if not callable(target):
        kind = type(target).__name__
        raise SettingsError(f"{source} is no function that returns a network, but a {kind}")
    try:
        known = signature(target).parameters.values()
    except (ValueError, TypeError):  # not written in Python: calling it will tell
        return target
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    required = [p.name for p in known if p.default is p.empty and p.kind not in variadic]
    if required:
        raise SettingsError(
            f"{source} needs arguments ({', '.join(required)}); a host's function takes none: "
            "write one beside it that calls it with them"
        )
    return target


def _timm(name: str) -> Factory:
    installed = timm.origin()
    import timm as package

    model = name.removeprefix(timm.PREFIX)
    if not package.is_model(model.partition(".")[0]):
        hint = near(model, package.list_models())
        raise SettingsError(f"{installed} has no model '{printable(model, LONGEST_WORD)}'{hint}")

    def build() -> Any:
        return package.create_model(model, pretrained=False)

    return build


def _ultralytics_origin() -> str:
    try:
        return f"ultralytics {version('ultralytics')}"
    except PackageNotFoundError:
        raise SettingsError(
            "ultralytics is not installed: pip install -e '.[ultralytics]'"
        ) from None


def _ultralytics(name: str) -> Factory:
    """Return a function that builds a network from a configuration in the package itself."""
    _ultralytics_origin()
    with _offline():
        from ultralytics.nn import tasks

    def build() -> Any:
        model = name.removeprefix(ULTRALYTICS)
        if Path(model).exists():
            raise SettingsError(
                f"{name}: a file {model} in the working directory would be read in the place of "
                "the package's; rename it"
            )
        try:
            configuration = tasks.yaml_model_load(model)
        except FileNotFoundError as error:
            raise SettingsError(f"{name}: ultralytics has no configuration '{model}'") from error
        kinds = {
            "detect": tasks.DetectionModel,
            "segment": tasks.SegmentationModel,
            "pose": tasks.PoseModel,
            "obb": tasks.OBBModel,
            "classify": tasks.ClassificationModel,
        }
        task = tasks.guess_model_task(configuration)
        if task not in kinds:
            raise SettingsError(f"{name} is a network for '{task}'; known: {', '.join(kinds)}")
        return kinds[task](configuration, verbose=False)

    return build


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the package from asking the network and from installing what it lacks."""
    settings = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
