"""What makes a module's figures wrong, found by trying it; more of it in test_check_module."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from attnbench.hosts import trial
from attnbench.hosts.check_module import Place, require_fit
from attnbench.hosts.conditions import Conditions
from attnbench.modules import AttentionSpec, SettingsError, Site

PLACE = Place(4, {}, (4, 6, 5))


def tried(build, *conditions: Conditions) -> None:
    require_fit(AttentionSpec("own", "Own", "", Site.AFTER_BN3, build), [PLACE], conditions)


class Scale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class LateLayer(Scale):
    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "fc"):
            self.fc = nn.Conv2d(x.shape[1], x.shape[1], 1)
        return x * self.fc(x)


class LateTake(Scale):
    """Takes its parameter away, as code does that folds weights."""

    def forward(self, x: Tensor) -> Tensor:
        if "weight" in self._parameters:
            self.folded = self._parameters.pop("weight").detach()
        return x * self.folded


class Replacing(Scale):
    def forward(self, x: Tensor) -> Tensor:
        self.weight = nn.Parameter(self.weight.detach().clone())
        return x * self.weight


class Growing(Scale):
    def forward(self, x: Tensor) -> Tensor:
        self.weight.data = self.weight.data.expand(4, 6, 5)
        return x * self.weight


class LateBuffer(Scale):
    def forward(self, x: Tensor) -> Tensor:
        self.register_buffer("grid", torch.ones(x.shape[2:]))
        return x * self.grid


class LateInEvaluation(Scale):
    def train(self, mode: bool = True) -> nn.Module:
        if not mode:
            self.gate = nn.Linear(2, 3)
        return super().train(mode)


class LateInTraining(Scale):
    def forward(self, x: Tensor) -> Tensor:
        if self.training and not hasattr(self, "fc"):
            self.fc = nn.Conv2d(4, 4, 1)
        return super().forward(x)


class LateByTrain(Scale):
    def train(self, mode: bool = True) -> nn.Module:
        if mode:
            self.shift = nn.Parameter(torch.zeros(1))
        return super().train(mode)


class NeverTrained(Scale):
    """Cannot be trained, which inference does not ask for."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise NotImplementedError
        return super().forward(x)


class Caching(Scale):
    """Keeps a constant for the next forward: nothing that is counted."""

    grid = None

    def forward(self, x: Tensor) -> Tensor:
        self.grid = torch.ones(x.shape[2:]) if self.grid is None else self.grid
        return super().forward(x) * self.grid


class InList(Scale):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.branches = [{"a": nn.Conv2d(channels, channels, 1, bias=False)}, nn.ReLU()]

    def forward(self, x: Tensor) -> Tensor:
        return self.branches[0]["a"](x)


class LateInDictionary(Scale):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.by_size: dict[int, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.by_size.setdefault(x.shape[2], nn.Parameter(torch.ones(1)))
        return x * self.by_size[x.shape[2]]


class BesideList(Scale):
    """Lists what is registered too."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.inner = Scale(channels)
        self.order, self.plain = [self.inner, nn.ReLU()], {"weight": self.weight}

    def forward(self, x: Tensor) -> Tensor:
        return self.order[0](x) * self.weight


class LikeTheSuite(Scale):
    def forward(self, x: Tensor) -> Tensor:
        raise SettingsError(f"{len(x)}" * 1000)


def test_a_modules_own_error_is_short_whatever_its_class():
    with pytest.raises(SettingsError, match=r"^on an input of 4x6x5 2{299}…$"):
        tried(LikeTheSuite)


OF_THE_FILE = nn.Conv2d(4, 4, 1, bias=False)


class OfTheFile(Scale):
    def forward(self, x: Tensor) -> Tensor:
        return OF_THE_FILE(super().forward(x))


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (LateLayer, "its forward makes or replaces fc.weight, fc.bias, so they would not be"),
        (LateTake, "its forward makes or replaces weight, so"),
        (Replacing, "its forward makes or replaces weight, so"),
        (Growing, "its forward makes or replaces weight, so"),
        (LateBuffer, "its forward makes or replaces grid, so"),
        (LateInEvaluation, "its forward makes or replaces gate.weight, gate.bias, so"),
        (LateInTraining, "its forward in training makes or replaces fc.weight, fc.bias, so"),
        (LateByTrain, "its forward in training makes or replaces shift, so"),
        (InList, "it keeps branches: weight where torch does not look.*nn.ModuleList"),
        (LateInDictionary, "it keeps by_size where torch does not look"),
        (OfTheFile, r"it computes with learnable tensors of shape \(4, 4, 1, 1\) that are not"),
    ],
)
def test_what_no_counter_would_see_is_refused(build, why: str):
    with pytest.raises(SettingsError, match=f"^on an input of 4x6x5 {why}"):
        tried(build)


def old_weight_norm(channels: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.Conv2d(channels, channels, 1))


def old_spectral_norm(channels: int) -> nn.Module:
    return nn.utils.spectral_norm(nn.Conv2d(channels, channels, 1))


def script(channels: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return nn.Sequential(torch.jit.script(nn.Conv2d(channels, channels, 1)))


def weight_norm(channels: int) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(nn.Conv2d(channels, channels, 1))


ALL = [
    Conditions(dtype=dtype, channels_last=last)
    for dtype in ("float32", "bfloat16", "float16")
    for last in (False, True)
] + [Conditions(autocast=dtype) for dtype in ("bfloat16", "float16")]


@pytest.mark.parametrize(
    "build",
    [
        Scale,
        Caching,
        NeverTrained,
        BesideList,
        old_weight_norm,
        old_spectral_norm,
        script,
        weight_norm,
    ],
)
def test_what_is_counted_as_it_is_passes_in_every_dtype_and_layout(build):
    tried(build, *([] if build is Caching else ALL))


class InFloat32(Scale):
    def forward(self, x: Tensor) -> Tensor:
        return x.float() * self.weight.float()


def test_under_autocast_an_output_may_be_of_either_dtype():
    tried(InFloat32, Conditions(autocast="bfloat16"))


class Viewing(Scale):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1).view(x.shape)


class Overflowing(Scale):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1e6


@pytest.mark.parametrize(
    ("build", "conditions", "why"),
    [
        (
            InFloat32,
            Conditions(dtype="bfloat16"),
            "in bfloat16 it returns torch.float32 for an input of torch.bfloat16",
        ),
        (Caching, Conditions(dtype="float16"), "in float16 it returns torch.float32"),
        (Viewing, Conditions(channels_last=True), "in float32, channels last it fails: Runtime"),
        (Overflowing, Conditions(dtype="float16"), "in float16 it returns numbers that are not fi"),
        (
            Overflowing,
            Conditions(autocast="float16"),
            "under autocast to float16 it returns numbers that are not finite",
        ),
    ],
)
def test_what_holds_in_float32_alone_is_refused_where_the_run_is_not(build, conditions, why: str):
    tried(build)
    with pytest.raises(SettingsError, match=f"^on an input of 4x6x5 {why}"):
        tried(build, conditions)


class OnDeviceAlone(Scale):
    """As a module of CUDA kernels: it fails on the CPU."""

    device = "cpu"

    def forward(self, x: Tensor) -> Tensor:
        if self.device == "cpu":
            raise RuntimeError("not compiled for the CPU")
        return super().forward(x)


@pytest.fixture
def a_second_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let "cuda" be the CPU under another name, which a module can tell from it."""
    place, place_image = Conditions.place, Conditions.place_image

    def moved(self: Conditions, module: nn.Module) -> nn.Module:
        module.device = self.device
        return place(Conditions("cpu", self.dtype, self.channels_last), module)

    monkeypatch.setattr(Conditions, "place", moved)
    monkeypatch.setattr(
        Conditions,
        "place_image",
        lambda self, x: place_image(Conditions("cpu", self.dtype, self.channels_last), x),
    )


@pytest.mark.usefixtures("a_second_device")
def test_a_module_of_another_device_is_tried_there():
    with pytest.raises(SettingsError, match="it fails: RuntimeError: not compiled for the CPU"):
        tried(OnDeviceAlone)
    tried(OnDeviceAlone, Conditions("cuda"), Conditions("cuda", "bfloat16"))

    class Late(OnDeviceAlone):
        forward = LateBuffer.forward

    with pytest.raises(SettingsError, match="its forward makes or replaces grid"):
        tried(Late, Conditions("cuda"))


class OnCpuAlone(OnDeviceAlone):
    def forward(self, x: Tensor) -> Tensor:
        if self.device != "cpu":
            raise RuntimeError("its grid is on the CPU")
        return x


@pytest.mark.usefixtures("a_second_device")
def test_a_module_that_fails_on_the_runs_device_is_refused():
    tried(OnCpuAlone)
    with pytest.raises(SettingsError, match="in float32, on cuda it fails: RuntimeError: its grid"):
        tried(OnCpuAlone, Conditions("cuda"))


class WithoutClass(Scale):
    __class__ = property(lambda _: 1 / 0)


class AsConvolution(Scale):
    __class__ = property(lambda _: nn.Conv2d)


class Holding(Scale):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.inner = WithoutClass(channels)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (WithoutClass, "its __class__ cannot be read: ZeroDivisionError: division by zero"),
        (Holding, "it fails: ZeroDivisionError: division by zero"),
        (AsConvolution, "its __class__ is not AsConvolution, so it may be counted as another"),
    ],
)
def test_a_class_that_misleads_counters_is_refused(build, why: str):
    with pytest.raises(SettingsError, match=why):
        tried(build)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class NoAttributes(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def __getattr__(self, name: str) -> object:
        raise ZeroDivisionError(name)


class NoClass:
    def __init__(self, channels: int) -> None:
        self.channels = channels

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise ValueError("no class")


def raising(error: BaseException):
    class Raising(Scale):
        def forward(self, _: Tensor) -> Tensor:
            raise error

    return Raising


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (
            raising(UnspeakableError()),
            r"it fails: UnspeakableError: \(its text cannot be read: \w+\)$",
        ),
        (
            raising(ValueError("a\x1b[31m\u202eb\nc")),
            r"it fails: ValueError: a\\x1b\[31m\\u202eb c$",
        ),
        (raising(ValueError("x" * 1000)), r"it fails: ValueError: x{299}…$"),
        (raising(type("\x1b" + "N" * 100, (Exception,), {})("text")), r"it fails: \\x1bN{75}…: t"),
        (NoAttributes, "it cannot be copied: ZeroDivisionError: __deepcopy__$"),
        (NoClass, "it fails: ValueError: no class$"),
    ],
)
def test_a_foreign_error_is_one_printable_line(build, why: str):
    with pytest.raises(SettingsError, match=f"^on an input of 4x6x5 {why}") as raised:
        tried(build)
    assert str(raised.value).isprintable()


def test_complex_weights_stay_complex():
    module = nn.Module()
    module.scale = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    module.shift = nn.Parameter(torch.ones(2))
    Conditions(dtype="bfloat16").place(module)
    assert (module.scale.dtype, module.shift.dtype) == (torch.complex64, torch.bfloat16)
    assert isinstance(module.shift, nn.Parameter)


def test_the_trial_leaves_what_it_is_given(monkeypatch: pytest.MonkeyPatch):
    """A module that cannot be run with gradients can still be measured."""

    class InferenceAlone(Scale):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise RuntimeError("no gradients")
            return super().forward(x)

    tried(InferenceAlone)
    monkeypatch.setattr(trial, "_hidden", lambda _: iter(()))
    with pytest.raises(SettingsError, match=r"tensors of shape \(4, 4, 1, 1\) that are not"):
        tried(InList)
