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

STRIDED = (*CLASSIFIERS, *DETECTORS)
"""The hosts of which it is known that they divide by :data:`TOTAL_STRIDE`."""

TORCHVISION_CLASSIFIERS = (
    *("alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3"),
    *("efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7"),
    *("efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *("regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf"),
    *("regnet_x_800mf", "regnet_x_8gf", "regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf"),
    *("regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("squeezenet1_0", "squeezenet1_1", "swin_b", "swin_s", "swin_t"),
    *("swin_v2_b", "swin_v2_s", "swin_v2_t", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn"),
    *("vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32"),
)
"""torchvision's classification networks, beside those above."""

SEGMENTATION = (
    *("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet101", "deeplabv3_resnet50"),
    *("fcn_resnet101", "fcn_resnet50", "lraspp_mobilenet_v3_large"),
)
"""torchvision's segmentation networks: they return a dictionary of maps of logits."""

TORCHVISION_DETECTORS = (
    *("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn"),
    *("fasterrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn"),
    *("maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2"),
    *("ssd300_vgg16", "ssdlite320_mobilenet_v3_large"),
)
"""torchvision's detectors, beside those above."""

TORCHVISION = (*TORCHVISION_CLASSIFIERS, *SEGMENTATION, *TORCHVISION_DETECTORS)

KNOWN = (*CLASSIFIERS, *DETECTORS, *TORCHVISION)
"""Every host that has a name of its own; others come from files and packages."""

CLASSIFIER_SIZE, SEGMENTATION_SIZE, DETECTOR_SIZE = (224, 224), (520, 520), (800, 1333)
"""Default height and width of an image: those that the hosts are published with."""

SIZES = {
    # The crop that torchvision evaluates its first weights with.
    "efficientnet_b1": (240, 240),
    "efficientnet_b2": (288, 288),
    "efficientnet_b3": (300, 300),
    "efficientnet_b4": (380, 380),
    "efficientnet_b5": (456, 456),
    "efficientnet_b6": (528, 528),
    "efficientnet_b7": (600, 600),
    "efficientnet_v2_s": (384, 384),
    "efficientnet_v2_m": (480, 480),
    "efficientnet_v2_l": (480, 480),
    "inception_v3": (299, 299),
    "regnet_y_128gf": (384, 384),
    "swin_v2_b": (256, 256),
    "swin_v2_s": (256, 256),
    "swin_v2_t": (256, 256),
    # The sides that the detector resizes an image to, which are part of it.
    "fasterrcnn_mobilenet_v3_large_320_fpn": (320, 640),
    "ssd300_vgg16": (300, 300),
    "ssdlite320_mobilenet_v3_large": (320, 320),
}
"""Default sizes that are not those of their kind."""

TOTAL_STRIDE = 32
"""The least height and width: the last stage divides by this."""


def written(name: str) -> str:
    """Return a host's name in its own case: ``ResNet50`` as ``resnet50``; others as they are."""
    lower = name.strip().lower()
    return lower if lower in KNOWN else name.strip()


def is_detector(host: str) -> bool:
    """Return whether it is a detector or a backbone alone, which do fixed work."""
    return host in DETECTORS or host in TORCHVISION_DETECTORS


def default_size(host: str) -> tuple[int, int]:
    """Return the default height and width of an image; 224x224 where the name does not say it."""
    if host in SEGMENTATION:
        return SEGMENTATION_SIZE
    return SIZES.get(host, DETECTOR_SIZE if is_detector(host) else CLASSIFIER_SIZE)
