"""Any network as a host: torchvision's by their names, and those that files and packages bring."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import lru_cache

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torchvision.models import get_model

from attnbench import host_names
from attnbench.counting.twin import is_scripted
from attnbench.hosts.fixed_work import fix
from attnbench.hosts.placement.choice import Size
from attnbench.hosts.resnets import CLASSES, is_resnet, plain_resnet
from attnbench.hosts.values import initial
from attnbench.modules import SettingsError
from attnbench.plugins import foreign
from attnbench.plugins.host_reference import ULTRALYTICS, parse_host
from attnbench.text import error_line

INITIALISED = ("googlenet", "inception_v3")
"""torchvision's networks that warn unless it is said that their initial values are drawn."""

YOLO_SIZE = (640, 640)
"""Height and width that ultralytics trains and predicts at by default (``imgsz``)."""


def plain(host: str, classes: int | None = None) -> nn.Module:
    """Build a host without a module and without weights from anywhere, in training mode.

    ``classes``: of a classifier; by default a network's own.

    Raises:
        SettingsError: the host is unknown, or its code fails or returns no network.
    """
    reference = parse_host(host)
    if not reference.is_custom:
        name = reference.name
        return initial.drawn_or_copied((name, classes), lambda: _of_torchvision(name, classes))
    if classes is not None:
        raise SettingsError(f"{host} has its own number of classes")
    network = _checked(host, reference.load())
    # Its code may need real tensors to build it.
    return network.to("meta") if _on_meta() else network


def _of_torchvision(name: str, classes: int | None) -> nn.Module:
    if is_resnet(name):
        return plain_resnet(name, CLASSES if classes is None else classes)
    options: dict[str, object] = {"weights": None}
    if name in host_names.SEGMENTATION or host_names.is_detector(name):
        options["weights_backbone"] = None
    if name in INITIALISED:
        options["init_weights"] = True
    if classes is not None:
        options["num_classes"] = classes
    try:
        network = get_model(name, **options)
    except (NotImplementedError, RuntimeError):  # RegNets compute their widths with tensors
        if not _on_meta():
            raise
        with torch.device("cpu"):
            network = get_model(name, **options).to("meta")
    return fix(network) if host_names.is_detector(name) else network


def _on_meta() -> bool:
    """Return whether what is built has no data: older torch's default device does not tell."""
    return torch.empty(0).device.type == "meta"


def _checked(host: str, factory: Callable[[], object]) -> nn.Module:
    try:
        with torch.device("cpu"):
            made = factory()
    except SettingsError:
        raise
    except foreign.RAISED as error:
        raise SettingsError(f"{host}: its function fails: {error_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise SettingsError(
            f"{host}: its function returns a {type(made).__name__}, not an nn.Module"
        )
    if scripted := [path or "it" for path, part in made.named_modules() if is_scripted(part)]:
        raise SettingsError(
            f"{host}: {scripted[0]} is compiled by torch.jit, which takes no hooks; return the "
            "network before it is compiled"
        )
    if any(map(is_lazy, (*made.parameters(), *made.buffers()))):
        raise SettingsError(
            f"{host}: it is built without the sizes of its lazy layers; call it once in its "
            "function"
        )
    try:
        # Its function may return the same network twice, and a module stays in it.
        return deepcopy(made).to("cpu").train()
    except Exception as error:
        raise SettingsError(f"{host} cannot be copied: {error_line(error)}") from error


@lru_cache(maxsize=64)
def default_size(host: str) -> Size:
    """Return the default height and width of an image; of a custom host, its code is run.

    Raises:
        SettingsError: it cannot be built, or takes other than three channels.
    """
    reference = parse_host(host)
    if not reference.is_custom:
        return host_names.default_size(reference.name)
    if host.startswith(ULTRALYTICS):
        return YOLO_SIZE
    with torch.device("cpu"):
        network = plain(host)
    stated = getattr(network, "pretrained_cfg", None) or getattr(network, "default_cfg", None)
    size = stated.get("input_size") if isinstance(stated, dict) else None
    if size is None:
        return host_names.CLASSIFIER_SIZE
    channels, height, width = size
    if channels != 3:  # noqa: PLR2004  red, green, blue
        raise SettingsError(f"{host} takes images of {channels} channels, and a run's have 3")
    return height, width
