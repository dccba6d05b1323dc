"""The names of the hosts, and what an image needs: known before torch is imported.

``tests/hosts/test_detection.py`` holds that these are the hosts that can be built.
"""

from __future__ import annotations

CLASSIFIERS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    *("wide_resnet50_2", "wide_resnet101_2", "sknet50", "sknet101"),
)

DETECTORS = (
    *("resnet50_backbone", "resnet101_backbone"),
    *("fasterrcnn_resnet50_fpn", "fasterrcnn_resnet101_fpn"),
    *("maskrcnn_resnet50_fpn", "maskrcnn_resnet101_fpn"),
    *("retinanet_resnet50_fpn", "retinanet_resnet101_fpn"),
)
"""Hosts that are no classifiers; backbones are among them."""

CLASSIFIER_SIZE, DETECTOR_SIZE = (224, 224), (800, 1333)
"""Default height and width of an image: those that the hosts are published with."""

TOTAL_STRIDE = 32
"""The least height and width: the last stage divides by this."""


def written(name: str) -> str:
    """Return a host's name in its own case: ``ResNet50`` as ``resnet50``; others as they are."""
    lower = name.strip().lower()
    return lower if lower in (*CLASSIFIERS, *DETECTORS) else name


def default_size(host: str) -> tuple[int, int]:
    """Return the default height and width of an image."""
    return DETECTOR_SIZE if host in DETECTORS else CLASSIFIER_SIZE
