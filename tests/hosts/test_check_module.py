import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attnbench.errors import UserError
from attnbench.hosts import check_module
from attnbench.hosts.check_module import Place, places, require_fit
from attnbench.hosts.placement.choice import Choice
from attnbench.modules import ATTENTION, AttentionSpec, SettingsError, Site
from attnbench.plugins.resolve import parse

IMAGE = (1, 3, 64, 64)

# The stem divides 64 by 4 and each later stage by 2; a conv2 in its stage's first block sees the
# size before its stride.
AFTER_BN3 = [(256, 16, 16), (512, 8, 8), (1024, 4, 4), (2048, 2, 2)]
CONV2 = [
    (64, 16, 16, 1),
    (128, 16, 16, 2),
    (128, 8, 8, 1),
    (256, 8, 8, 2),
    (256, 4, 4, 1),
    (512, 4, 4, 2),
    (512, 2, 2, 1),
]


def own(build: Callable[..., object], site: Site = Site.AFTER_BN3) -> AttentionSpec:
    return AttentionSpec("own", "Own", "0000.00000", site, build)


def test_the_places_of_a_module_behind_the_last_norm():
    all_places = places(ATTENTION["eca"], "resnet50", IMAGE)
    assert [place.shape for place in all_places] == AFTER_BN3
    assert [place.settings["kernel_size"] for place in all_places] == [3, 5, 5, 7]
    assert all(place.returned == place.shape for place in all_places)


def test_the_places_of_a_module_for_a_convolution():
    all_places = places(ATTENTION["sk"], "resnet50", IMAGE)
    assert [(*place.shape, place.settings["stride"]) for place in all_places] == CONV2
    assert all_places[1].returned == (128, 8, 8)
    assert Place(4, {"stride": 2}, (4, 7, 5)).returned == (4, 4, 3)


def test_chosen_stages_and_blocks_alone_are_places():
    all_places = places(ATTENTION["sk"], "resnet50", IMAGE, Choice((2, 4), "last"))
    assert [place.shape for place in all_places] == [(128, 8, 8), (512, 2, 2)]


@pytest.mark.parametrize("name", ATTENTION)
def test_every_row_of_the_table_is_fit(name: str):
    require_fit(ATTENTION[name], places(ATTENTION[name], "resnet50", IMAGE, Choice((1, 4))))


class Same(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Halved(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2]


class Mixing(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0, keepdim=True)


class NotFinite(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0


class Random(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rand(1)


class Counting(Same):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class Unseeded(Same):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        torch.seed()
        nn.init.normal_(self.weight)


class Locked(Same):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.lock = threading.Lock()


class Forgetful(Same):
    def __deepcopy__(self, memo: object) -> nn.Module:
        return nn.Identity()


class Listing(Same):
    def forward(self, x: Tensor) -> list[Tensor]:  # type: ignore[override]
        return [x]


class Failing(Same):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError(f"{x.ndim}\ndimensions")


class Asserting(Same):
    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.shape[1] % 7 == 0, "")
        return x


class Leaving(Same):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(x.ndim)


class Interrupting(Same):
    def forward(self, x: Tensor) -> Tensor:
        if x.ndim:
            raise KeyboardInterrupt
        return x


class Widening(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class NeverAlone(Same):
    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            raise ValueError("no batch")
        return x


class LazyAlone(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x if len(x) == 1 else x * self.weight


class Squeezing(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(0)


class Unsized(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.LazyConv2d(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Doubling(Same):
    def forward(self, x: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        return x


class Benchmarking(Same):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        torch.backends.cudnn.benchmark = True


@pytest.mark.parametrize(
    ("build", "why"),
    [(Doubling, "default dtype from torch.float32"), (Benchmarking, "cudnn.benchmark from False")],
)
def test_a_module_that_changes_torch_is_refused(build, why: str):
    try:
        with pytest.raises(SettingsError, match=f"^on an input of 4x6x5 it changes torch's {why}"):
            require_fit(own(build), [Place(4, {}, (4, 6, 5))])
    finally:
        torch.set_default_dtype(torch.float32)
        torch.backends.cudnn.benchmark = False


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (Halved, r"returns the shape \(2, 4, 3, 5\), expected is \(2, 4, 6, 5\)"),
        (Mixing, r"returns the shape \(1, 4, 6, 5\), expected"),
        (NotFinite, "returns numbers that are not finite"),
        (Random, "not deterministic: the same input, other numbers"),
        (Counting, "not deterministic: the same input, other numbers"),
        (Unseeded, "not deterministic: built from one seed, other numbers"),
        (Locked, "cannot be copied: TypeError: cannot pickle"),
        (Forgetful, "its copy computes other numbers"),
        (Listing, "returns a list, not a tensor"),
        (Failing, "it fails: ValueError: 4 dimensions"),
        (Asserting, r"it fails: AssertionError: torch._assert\(x.shape\[1\] % 7 == 0, "),
        (Leaving, "it fails: SystemExit: 4"),
        (Interrupting, "it fails: KeyboardInterrupt: raise KeyboardInterrupt"),
        (Widening, "it returns torch.float64 for an input of torch.float32"),
        (NeverAlone, "of one image it fails: ValueError: no batch"),
        (LazyAlone, "of one image it returns other numbers than for that image among two"),
        (Squeezing, r"of one image it returns the shape \(4, 6, 5\), expected is \(1, 4, 6, 5\)"),
        (Unsized, r"it is built without the sizes of conv.weight, conv.bias \(a lazy layer\)"),
        (lambda channels: channels, "it is a int, not a torch module"),
        (lambda: None, "it fails: TypeError: .* takes 0 positional"),
    ],
)
def test_a_module_that_is_not_fit_is_refused_with_the_reason(build, why: str):
    with pytest.raises(SettingsError, match=f"^on an input of 4x6x5 .*{why}"):
        require_fit(own(build), [Place(4, {}, (4, 6, 5))])


def test_a_module_that_is_fit_passes_and_keeps_its_own_randomness_in_training():
    require_fit(own(lambda channels: nn.Sequential(Same(channels), nn.Dropout(0.5))), PLACES)


PLACES = [Place(4, {}, (4, 6, 5)), Place(8, {}, (8, 3, 3))]


def test_a_width_that_the_module_refuses_is_said_in_its_own_words():
    with pytest.raises(SettingsError, match="on an input of 4x6x5 sge, groups: 4 channels do not"):
        require_fit(ATTENTION["sge"], PLACES)


def test_a_file_is_tried_in_a_process_that_it_may_take_along(tmp_path: Path):
    path = tmp_path / "killer.py"
    path.write_text(
        "import os\n"
        "from torch import nn\n"
        "class Killer(nn.Module):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__()\n"
        "    def forward(self, x):\n"
        "        os.abort()\n"
    )
    module = parse(f"{path}:Killer")
    with pytest.raises(
        UserError, match="Killer is refused: the worker process was killed by SIGABRT"
    ):
        check_module.in_subprocess(check_module.check, module, "resnet50", [IMAGE])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os; os._exit(0)", "Gate is refused: the worker process ended with status 0"),
        (
            "raise KeyboardInterrupt",
            "Gate is refused: the worker process was ended by KeyboardInterrupt",
        ),
        ("1 / 0", "Gate: the file cannot be loaded: ZeroDivisionError"),
        (
            "Gate = list",
            r"Gate: list\(iterable=\(\), /\) has no parameter known to take the number",
        ),
    ],
)
def test_what_a_file_does_when_it_is_loaded_is_one_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "gate.py").write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        check_module.in_subprocess(
            check_module.check, parse("gate.py:Gate", tmp_path), "resnet50", [IMAGE]
        )
    assert "\n" not in str(raised.value)


def test_each_size_of_image_is_tried(tmp_path: Path):
    path = tmp_path / "wide.py"
    path.write_text(
        "from torch import nn\n"
        "class Wide(nn.Identity):\n"
        "    def forward(self, x):\n"
        "        return x[..., :16]\n"
    )
    module = parse(f"{path}:Wide")
    check_module.check(module, "resnet50", [IMAGE])
    with pytest.raises(SettingsError, match="on an input of 256x16x24 it returns the shape"):
        check_module.check(module, "resnet50", [IMAGE, (1, 3, 64, 96)])
