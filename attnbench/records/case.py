"""The configuration of a run, as it is measured and as a user states it; each option once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from attnbench.records import image_size
from attnbench.records.image_size import Size
from attnbench.records.option import SEVERAL, option, options_of, switch
from attnbench.records.variants import STAGES


@dataclass(frozen=True, kw_only=True)
class Case:
    """The configuration that all variants of a run share."""

    host: str = option(
        "--host",
        help="A ResNet or detector of torchvision by its name there, sknet50, sknet101, "
        "resnet50_backbone, ...",
        default="resnet50",
        meaning="The network that the modules are put into.",
        words=str,
        first=True,
    )
    batch_size: int = option(
        "--batch-size",
        help=SEVERAL,
        metavar="N,...",
        default=1,
        limits=(1, 2**20),
        meaning="Images in one step.",
        unit="1",
        words="batch {}".format,
        grid=3,
        folder="b{}".format,
    )
    image_size: Size = option(  # noqa: RUF009  a field
        "--image-size",
        help=f"A square's side, or height x width. {SEVERAL}",
        metavar="N|HxW,...",
        default_text="224; 800x1333 for a detector",
        limits=(1, 2**16),  # each side
        text=image_size.option,
        meaning="Height and width of an image, or `800x1333` where they differ.",
        unit="pixel",
        words=image_size.written,
        grid=4,
        folder=image_size.option,
    )
    """Of a square image its side, else (height, width)."""
    dtype: Literal["float32", "bfloat16", "float16"] = option(
        "--dtype",
        help="float32, bfloat16, float16",
        metavar="NAME,...",
        default="float32",
        meaning="Of weights and images.",
        words=str,
        grid=2,
    )
    channels_last: bool = switch(
        "--channels-last",
        "channels last",
        help="NHWC memory layout.",
        meaning="Whether images lie in memory with their channels last.",
    )
    mode: Literal["inference", "training"] = option(
        "--mode",
        help="inference, training",
        metavar="NAME,...",
        default="inference",
        meaning="`inference`, or `training`: forward, backward and optimiser step.",
        words=str,
        first=True,
        grid=1,
    )
    compiled: bool = switch(
        "--compile",
        "compiled",
        absent=False,
        help="Networks through torch.compile.",
        meaning="Whether by torch.compile.",
        grid=5,
        folder=lambda on: "compiled" if on else "",
    )
    cuda_graph: bool = switch(
        "--cuda-graph",
        "CUDA graphs",
        absent=False,
        help="Steps captured, then replayed.",
        meaning="Whether each step is captured and replayed.",
    )
    isolated: bool = switch(
        "--isolated",
        absent=False,
        help="Modules alone, at the sizes they have in the host.",
        meaning="Whether modules run alone.",
    )
    stages: tuple[int, ...] = option(
        "--stages",
        absent=STAGES,
        help="That carry the module, such as 2,3,4 or c3-c5.",
        metavar="N,...",
        default=STAGES,
        text=lambda stages: ",".join(map(str, stages)),
        meaning="Of the host, those that carry the module, with spaces.",
        words=lambda stages: "" if stages == STAGES else f"stages {' '.join(map(str, stages))}",
    )
    """Of the host, 1 to 4: those that carry the module."""
    blocks: Literal["all", "last"] = option(
        "--blocks",
        absent="all",
        help="Of each stage: all, last.",
        metavar="NAME",
        default="all",
        meaning="Of each of these: `all`, or the `last`.",
        words=lambda blocks: "last blocks" if blocks == "last" else "",
    )
    """Of each of these stages."""
    device: Literal["cpu", "cuda"] = option(
        "--device",
        help="Where to run; auto takes CUDA where there is a device.",
        default_text="auto",
        meaning="`cpu` or `cuda`.",
        words=str,
    )
    threads: int = option(
        "--threads",
        help="Threads that a CPU computes with.",
        default_text="torch's choice",
        limits=(1, 2**12),
        meaning="Of a CPU.",
        unit="1",
    )
    seed: int = option(
        "--seed",
        help="Of weights, input and order.",
        default=0,
        limits=(0, 2**63 - 1),
        meaning="Of weights, images and order.",
    )

    def __post_init__(self) -> None:
        """Refuse what no run can have."""
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            shortest, longest = sorted(image_size.sides(value))
            if not least <= shortest <= longest <= most:
                raise ValueError(
                    f"{name} must be at least {least} and at most {most}, "
                    f"not {image_size.option(value)}"
                )
        if image_size.of(*image_size.sides(self.image_size)) != self.image_size:
            raise ValueError("image_size is a single number where the image is square")

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(batch, channels, height, width) of one step's images."""
        return (self.batch_size, 3, *image_size.sides(self.image_size))

    @property
    def everywhere(self) -> bool:
        """Whether every block carries the module, as in all networks that papers speak of."""
        return self.stages == STAGES and self.blocks == "all"

    @property
    def placed(self) -> str:
        """Which blocks carry the module: ``stages 3 4, last blocks``; empty where all do."""
        return self._words("stages", "blocks")

    @property
    def described(self) -> str:
        """The configuration in one line."""
        names = sorted(CASE_OPTIONS, key=lambda name: not CASE_OPTIONS[name].first)
        return ("modules alone at their sizes in " if self.isolated else "") + self._words(*names)

    @property
    def folder(self) -> str:
        """The name of its folder within that of a grid: ``inference-float32-b1-224``."""
        words = [CASE_OPTIONS[name].folder(getattr(self, name)) for name in GRID]
        return "-".join(filter(None, words))

    def _words(self, *names: str) -> str:
        known = [(CASE_OPTIONS[name].words, getattr(self, name)) for name in names]
        return ", ".join(filter(None, (words(value) for words, value in known if words)))


CASE_OPTIONS = options_of(Case)
"""The options of a case, by the names of its fields and in their order."""

_PLACES = {name: known.grid for name, known in CASE_OPTIONS.items() if known.grid}

GRID = tuple(sorted(_PLACES, key=_PLACES.__getitem__))
"""The fields of a case of which a grid has every combination, the slowest first."""

LIMITS = {name: known.limits for name, known in CASE_OPTIONS.items() if known.limits}
"""Least and greatest value of numbers, and of an image's sides."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of ``run`` as stated; None where the user left one out.

    Several values of one option make a grid of configurations, of every combination.
    """

    modules: tuple[str, ...] | None = None
    """Names of the suite's modules, and custom ones as ``--module`` takes them."""
    host: str | None = None
    device: str | None = None
    """``cpu``, ``cuda``, or ``auto``: CUDA where there is a device."""
    batch_size: tuple[int, ...] | None = None
    image_size: tuple[Size, ...] | None = None
    """Of square images their sides, else (height, width)."""
    dtype: tuple[str, ...] | None = None
    channels_last: bool | None = None
    mode: tuple[str, ...] | None = None
    compiled: tuple[bool, ...] | None = None
    cuda_graph: bool | None = None
    isolated: bool | None = None
    stages: tuple[int, ...] | None = None
    blocks: str | None = None
    budget_s: float | None = option(
        "--budget",
        absent=None,
        help="Most time in the timed rounds of one configuration.",
        metavar="SECONDS",
        default=100.0,
        text="{:g}".format,
    )
    threads: int | None = None
    seed: int | None = None


_KNOWN = CASE_OPTIONS | options_of(RunOptions)

OPTIONS = {field.name: _KNOWN[field.name] for field in fields(RunOptions) if field.name in _KNOWN}
"""The options of ``run`` but its modules, in the order of the command line."""
