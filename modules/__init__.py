"""Attention modules, one paper and one file each, behind one table.

This folder is installed as ``attnbench.modules``; see ``pyproject.toml``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if __name__ == "modules":
    raise ImportError("import attnbench.modules: as 'modules' every class would exist twice")

from .interface import AttentionSpec, SettingsError, Site, in_file

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ATTENTION", "AttentionSpec", "SettingsError", "Site", "create", "in_file", "lookup"]

# Colours: Paul Tol's "muted" scheme, distinct for all common kinds of colour vision
# (https://sronpersonalpages.nl/~pault/); markers tell the modules apart without colour.
_TABLE = (
    AttentionSpec(
        name="se",
        title="Squeeze-and-Excitation Networks",
        arxiv="1709.01507",
        authors=("Jie Hu", "Li Shen", "Samuel Albanie", "Gang Sun", "Enhua Wu"),
        site=Site.AFTER_BN3,
        build=in_file("se", "SqueezeExcitation"),
        label="SE",
        colour="#332288",
        marker="o",
        authors_prefix="se.",
        added_params={"resnet50": 2_530_992, "resnet101": 4_777_712},
    ),
    AttentionSpec(
        name="cbam",
        title="CBAM: Convolutional Block Attention Module",
        arxiv="1807.06521",
        authors=("Sanghyun Woo", "Jongchan Park", "Joon-Young Lee", "In So Kweon"),
        site=Site.AFTER_BN3,
        build=in_file("cbam", "CBAM"),
        label="CBAM",
        colour="#CC6677",
        marker="s",
        authors_prefix="cbam.",
        added_params={"resnet50": 2_532_592, "resnet101": 4_781_012},
    ),
    AttentionSpec(
        name="eca",
        title="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
        arxiv="1910.03151",
        authors=(
            "Qilong Wang",
            "Banggu Wu",
            "Pengfei Zhu",
            "Peihua Li",
            "Wangmeng Zuo",
            "Qinghua Hu",
        ),
        site=Site.AFTER_BN3,
        build=in_file("eca", "EfficientChannelAttention"),
        label="ECA",
        colour="#117733",
        marker="^",
        authors_prefix="eca.",
        published={
            "resnet18": {"kernel_size": (3, 5, 7, 7)},
            "resnet34": {"kernel_size": (3, 3, 5, 7)},
            "resnet50": {"kernel_size": (3, 5, 5, 7)},
            "resnet101": {"kernel_size": (3, 3, 5, 7)},
            "resnet152": {"kernel_size": (3, 3, 5, 7)},
        },
        added_params={"resnet50": 80, "resnet101": 157},
    ),
    AttentionSpec(
        name="gc",
        title="GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
        arxiv="1904.11492",
        authors=("Yue Cao", "Jiarui Xu", "Stephen Lin", "Fangyun Wei", "Han Hu"),
        site=Site.AFTER_BN3,
        build=in_file("gc", "GlobalContext"),
        label="GC",
        colour="#88CCEE",
        marker="D",
        authors_prefix="context_block.",  # in mmdetection's bottleneck
        added_params={"resnet50": 2_548_000, "resnet101": 4_814_321},
    ),
    AttentionSpec(
        name="sk",
        title="Selective Kernel Networks",
        arxiv="1903.06586",
        authors=("Xiang Li", "Wenhai Wang", "Xiaolin Hu", "Jian Yang"),
        site=Site.REPLACE_CONV2,
        build=in_file("sk", "SelectiveKernel"),
        label="SK",
        colour="#882255",
        marker="v",
        authors_prefix="",  # in the bottleneck itself
        published={
            host: {
                "groups": ((32, 32),) * 4,
                "dilation": ((1, 2),) * 4,
                "squeezed": (32, 32, 32, 64),
            }
            for host in ("sknet50", "sknet101")
        },
        added_params={"resnet50": 597_464, "resnet101": 1_128_952},
    ),
    AttentionSpec(
        name="sge",
        title="Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional "
        "Networks",
        arxiv="1905.09646",
        authors=("Xiang Li", "Xiaolin Hu", "Jian Yang"),
        site=Site.AFTER_BN3,
        build=in_file("sge", "SpatialGroupEnhance"),
        label="SGE",
        colour="#999933",
        marker="P",
        authors_prefix="sge.",
        added_params={"resnet50": 2_048, "resnet101": 4_224},
    ),
    AttentionSpec(
        name="sa",
        title="SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
        arxiv="2102.00240",
        authors=("Qing-Long Zhang", "Yu-Bin Yang"),
        site=Site.AFTER_BN3,
        build=in_file("sa", "ShuffleAttention"),
        label="SA",
        colour="#AA4499",
        marker="X",
        authors_prefix="sa.",
        added_params={"resnet50": 708, "resnet101": 1_524},
    ),
)

ATTENTION: dict[str, AttentionSpec] = {entry.name: entry for entry in _TABLE}


def lookup(name: str) -> AttentionSpec:
    """Return the row of that name.

    Raises:
        SettingsError: no such row; the message lists the known names.
    """
    try:
        return ATTENTION[name]
    except KeyError:
        known = ", ".join(ATTENTION)
        raise SettingsError(f"unknown attention module '{name}'; known: {known}") from None


def create(name: str, channels: int, **settings: Any) -> nn.Module:
    """Build a module by name: float32, training mode, (B, channels, H, W) in and out.

    Settings left out have the paper's value. A module that replaces conv2 takes ``stride``.

    Raises:
        SettingsError: unknown name, or channels that the module's groups do not divide.
    """
    return lookup(name).build(channels, **settings)
