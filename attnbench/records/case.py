"""The configuration of a run, as it is measured and as a user states it; each option once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from attnbench.records import device, image_size
from attnbench.records.image_size import Size
from attnbench.records.options import site_patterns
from attnbench.records.options.option import SEVERAL, option, options_of, switch
from attnbench.records.variants import STAGES

DTYPES = {
    "float": "float32",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
    "amp-bf16": "amp",
    "amp-bfloat16": "amp",
    "amp-fp16": "amp-float16",
}
"""Other names of dtypes -> the suite's."""

AUTOCAST = {"amp": "bfloat16", "amp-float16": "float16"}
"""Dtypes that are none of weights: float32 weights under autocast to that dtype."""


Runtime = Literal[
    "eager", "compile", "cuda-graph", "compile+cuda-graph", "onnxruntime", "openvino", "tensorrt"
]
"""What executes a network; ``attnbench.runtimes`` has a file for each."""

RUNTIMES: dict[str, str] = {
    "eager": "eager PyTorch",
    "compile": "compiled",
    "cuda-graph": "CUDA graphs",
    "compile+cuda-graph": "compiled, CUDA graphs",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
}
"""Runtimes in the order of tables, each in words."""


EXPORTED: tuple[Runtime, ...] = ("onnxruntime", "openvino", "tensorrt")
"""The runtimes that execute files."""

FULL_BITS = 8
"""Of weights in int8, where a CPU's sums of their products are exact."""

UNTRIED = "tensorrt has not run on a GPU yet: it is written by its documentation."
"""What help says of it."""


def written(word: str) -> str:
    """Return the value of an option as records have it: ``BF16``, ``torch.bfloat16``, ``CPU``."""
    lower = word.strip().lower().removeprefix("torch.")
    return DTYPES.get(lower, lower)


@dataclass(frozen=True, kw_only=True)
class Case:
    """The configuration that all variants of a run share."""

    host: str = option(
        "--host NAME",
        help="A network of torchvision by its name there, sknet50, resnet50_backbone, ...; "
        "timm:NAME, file.py:function, ultralytics:NAME.yaml, an entry point.",
        default="resnet50",
        meaning="The network that the modules are put into.",
        words=str,
    )
    batch_size: int = option(
        "--batch-size N,...",
        help=f"Images in one step. {SEVERAL}",
        default=1,
        limits=(1, 2**20),
        meaning="Images in one step.",
        unit="1",
        words="batch {}".format,
    )
    image_size: Size = option(  # noqa: RUF009  a field
        "--image-size N|HxW,...",
        help=f"A square's side, or height x width. {SEVERAL}",
        default_text="the host's own, such as 224 or 800x1333",
        limits=(1, 2**16),  # each side
        text=image_size.option,
        meaning="Height and width of an image, or `800x1333` where they differ.",
        unit="pixel",
        words=image_size.written,
    )
    dtype: Literal["float32", "bfloat16", "float16", "amp", "amp-float16", "int8"] = option(
        "--dtype NAME,...",
        help="float32, bfloat16, float16; amp: float32 under autocast to bfloat16; amp-float16: to "
        "float16, with a gradient scaler in training (CUDA); int8 where --runtime has it.",
        default="float32",
        meaning="Of weights and images; `amp` and `amp-float16`: float32, computed under autocast "
        "to bfloat16 or float16.",
        words=str,
    )
    channels_last: bool = switch(
        "--channels-last",
        "channels last",
        help="NHWC memory layout.",
        meaning="Whether images lie in memory with their channels last.",
    )
    mode: Literal["inference", "training"] = option(
        "--mode NAME,...",
        help="What a step is: inference, training.",
        default="inference",
        meaning="`inference`, or `training`: forward, backward and optimiser step.",
        words=str,
    )
    runtime: Runtime = option(  # noqa: RUF009  a field
        "--runtime NAME,...",
        absent="eager",
        since=5,
        help=f"What executes the networks: {', '.join(RUNTIMES)}. {SEVERAL} {UNTRIED}",
        default="eager",
        meaning="What executes the networks.",
        words=lambda runtime: "" if runtime == "eager" else RUNTIMES[runtime],
    )
    calibration: str = option(
        "--calibrate DIR",
        absent="",
        since=5,
        help="int8: images to take its ranges from, anywhere in a folder; at most 64.",
        default="",
        default_text="noise of other seeds",
        text=lambda known: known.partition(": ")[0],
        meaning="int8: the folder of images that its ranges are from, how many, and their SHA-256; "
        "empty where they are from noise.",
        words=lambda known: f"calibrated on {known[:-52]}" if known else "",
    )
    cudnn_benchmark: bool = switch(
        "--cudnn-benchmark",
        "cuDNN benchmark",
        absent=False,
        since=5,
        help="On CUDA: let cuDNN try its algorithms, and each process choose its own.",
        meaning="Whether cuDNN's benchmark is on.",
    )
    isolated: bool = switch(
        "--isolated",
        absent=False,
        help="Modules alone, at the sizes they have in the host.",
        meaning="Whether modules run alone.",
    )
    stages: tuple[int, ...] = option(
        "--stages N,...",
        absent=STAGES,
        help="The stages that carry the module, such as 2,3,4 or c3-c5.",
        default=STAGES,
        text=lambda stages: ",".join(map(str, stages)),
        meaning="Of the host, those that carry the module, with spaces.",
        words=lambda stages: "" if stages == STAGES else f"stages {' '.join(map(str, stages))}",
    )
    blocks: Literal["all", "last"] = option(
        "--blocks NAME",
        absent="all",
        help="The blocks of each stage that carry it: all, last.",
        default="all",
        meaning="Of each of these: `all`, or the `last`.",
        words=lambda blocks: "last blocks" if blocks == "last" else "",
    )
    at: str = option(
        "--at PATTERNS",
        absent="",
        since=5,
        help="Put the module behind the host's modules of these paths, such as "
        "features.*.conv.3@BatchNorm2d: shell patterns that do not cross dots, an optional type, "
        "!pattern excludes.",
        default="",
        default_text="where residual branches end",
        meaning="The parts of the host that the module stands behind; empty for its own sites.",
        words=lambda at: f"at {at}" if at else "",
    )
    replace: Literal["", "squeeze-excite"] = option(
        "--replace KIND",
        absent="",
        since=5,
        help="squeeze-excite: the module takes the place of the host's own modules of this kind.",
        default="",
        default_text="nothing",
        meaning="The kind of the host's own modules that give way to the module.",
        words=lambda kind: f"in place of {kind}" if kind else "",
    )
    device: str = option(
        "--device NAME",
        help="cpu, cuda, cuda:1, xpu, mps; auto takes a GPU where there is one.",
        default_text="auto",
        meaning="`cpu`, `cuda`, `xpu`, `mps`, or with a number where there are several: `cuda:1`.",
        words=str,
    )
    threads: int = option(
        "--threads N",
        help="Threads that a CPU computes with.",
        default_text="torch's choice",
        limits=(1, 2**12),
        meaning="Of a CPU.",
        unit="1",
    )
    seed: int = option(
        "--seed N",
        help="The seed of weights, input and order.",
        default=0,
        limits=(0, 2**63 - 1),
        meaning="Of weights, images and order.",
    )

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            shortest, longest = sorted(image_size.sides(value))
            if not least <= shortest <= longest <= most:
                given = image_size.option(value)
                raise ValueError(f"{name} must be at least {least} and at most {most}, not {given}")
        if image_size.of(*image_size.sides(self.image_size)) != self.image_size:
            raise ValueError("image_size is a single number where the image is square")
        if unknown := sorted(set(self.stages) - set(STAGES)):
            raise ValueError(f"unknown stages {unknown}; known: 1 to 4")
        if not self.stages or list(self.stages) != sorted(set(self.stages)):
            raise ValueError(f"stages are each stated once, in their order, not {self.stages}")
        if device.written(self.device) != self.device:
            raise ValueError(f"device is written {device.written(self.device)}, not {self.device}")
        if not self.host.strip():
            raise ValueError("host is the name of a network")
        if self.calibration and self.dtype != "int8":
            raise ValueError(f"calibration is of int8 alone, not of {self.dtype}")
        if self.at and self.at != site_patterns.written(self.at):
            raise ValueError(f"at is written without spaces: {site_patterns.written(self.at)}")

    @property
    def autocast(self) -> str:
        """The dtype to which torch casts operators of float32 networks; empty where it does not."""
        return AUTOCAST.get(self.dtype, "")

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(batch, channels, height, width) of one step's images."""
        return (self.batch_size, 3, *image_size.sides(self.image_size))

    @property
    def compiled(self) -> bool:
        """Whether torch.compile compiles the networks."""
        return self.runtime.startswith("compile")

    @property
    def cuda_graph(self) -> bool:
        """Whether each step is captured as a CUDA graph, then replayed."""
        return self.runtime.endswith("cuda-graph")

    @property
    def exported(self) -> bool:
        """Whether a runtime executes files that the networks are exported to."""
        return self.runtime in EXPORTED

    @property
    def everywhere(self) -> bool:
        """Whether every block carries the module, as in all networks that papers speak of."""
        return self.stages == STAGES and self.blocks == "all" and not (self.at or self.replace)

    @property
    def placed(self) -> str:
        """Which blocks carry the module: ``stages 3 4, last blocks``; empty where all do."""
        return self._words("stages", "blocks", "at", "replace")

    @property
    def described(self) -> str:
        """The configuration in one line, host and mode first."""
        names = dict.fromkeys(("host", "mode", *CASE_OPTIONS))
        return ("modules alone at their sizes in " if self.isolated else "") + self._words(*names)

    @property
    def folder(self) -> str:
        """All of :data:`GRID` as the folder's name in a grid: ``inference-float32-b1-224``."""
        size = image_size.option(self.image_size)
        runtime = "" if self.runtime == "eager" else f"-{self.runtime}"
        return f"{self.mode}-{self.dtype}-b{self.batch_size}-{size}{runtime}"

    def _words(self, *names: str) -> str:
        known = [(CASE_OPTIONS[name].words, getattr(self, name)) for name in names]
        return ", ".join(filter(None, (words(value) for words, value in known if words)))


CASE_OPTIONS = options_of(Case)
"""The options of a case, by the names of its fields and in their order."""

GRID = ("mode", "dtype", "batch_size", "image_size", "runtime")
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
    """``cpu``, ``cuda``, ``cuda:1``, ``xpu``, ``mps``, or ``auto``: a GPU where there is one."""
    batch_size: tuple[int, ...] | None = None
    image_size: tuple[Size, ...] | None = None
    dtype: tuple[str, ...] | None = None
    channels_last: bool | None = None
    mode: tuple[str, ...] | None = None
    runtime: tuple[str, ...] | None = None
    calibration: str | None = None
    """A folder of images that int8 takes its ranges from."""
    cudnn_benchmark: bool | None = None
    isolated: bool | None = None
    stages: tuple[int, ...] | None = None
    blocks: str | None = None
    at: str | None = None
    replace: str | None = None
    budget_s: float | None = option(
        "--budget SECONDS",
        absent=None,
        help="Most time in the timed rounds of one run.",
        default=100.0,
        text="{:g}".format,
    )
    processes: int | None = option(
        "--processes N",
        absent=None,
        help="Fresh processes that share the rounds of a run, one after the other; what differs "
        "between them is in the intervals.",
        default_text="6; 1 with --compile, --isolated or a budget below 60 s",
    )
    energy: int | None = option(
        "--energy ROUNDS",
        absent=None,
        help="Also measure joules an image, from the hardware's own counter: rounds of windows of "
        "5 s, one for each network, apart from the timing; at least 6.",
        default=0,
        default_text="none",
        since=5,
        text=lambda rounds: str(rounds) if rounds else "",
    )
    timeout_s: float | None = option(
        "--timeout SECONDS",
        absent=None,
        help="Most time for one step of a child process: a trial, a count, a memory peak, a "
        "warm-up, a round. What takes longer is ended, and has failed.",
        default=600.0,
        text="{:g}".format,
    )
    wait_for_quiet_s: float | None = option(
        "--wait-for-quiet SECONDS",
        absent=None,
        help="Most time, in all rounds of a run together, to hold a round back while other "
        "programs use its cores; 0 does not wait. Rounds beside them are flagged.",
        default=60.0,
        default_text="60, or a shorter --budget",
        text="{:g}".format,
    )
    if_busy: Literal["wait", "refuse", "share"] | None = None
    """What to do while another measurement runs on this machine: wait for its end (the default),
    raise, or measure beside it, which flags every round. Not part of the plan."""
    profile: bool | None = None
    """Whether to profile networks too, apart from the timing. Not part of the plan."""
    threads: int | None = None
    seed: int | None = None
    repeat: int | None = option(
        "--repeat N",
        absent=None,
        help="Runs of each configuration, each in a folder of its own, through all configurations "
        "before the next repetition. Tables pool them.",
        default=1,
    )
    every_minutes: float | None = option(
        "--every MINUTES",
        absent=None,
        help="With --repeat: least time between the starts of two repetitions.",
        default=0.0,
        text="{:g}".format,
    )


_KNOWN = CASE_OPTIONS | options_of(RunOptions)

OPTIONS = {field.name: _KNOWN[field.name] for field in fields(RunOptions) if field.name in _KNOWN}
"""The options of ``run`` but its modules, in the order of the command line."""
