import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from attnbench.claims.limits.check import check
from attnbench.claims.limits.file import METRICS, read
from attnbench.errors import UserError
from attnbench.modules import ATTENTION, AttentionSpec, Site
from attnbench.records.schema import Export
from attnbench.runtimes import figures
from attnbench.runtimes.onnx_file import NotExportedError


@pytest.fixture
def on_runtime(monkeypatch):
    """What a runtime makes of networks: of SE 12 operators, of the plain host 10."""
    made = Export(
        file="a",
        sha256="0" * 64,
        bytes=1_000,
        load_s=1.0,
        operators={"Conv": 9, "Mul": 1},
        relative_error=0.0,
        bound=1e-3,
    )

    def of_network(build, *_):
        more = any(type(each).__name__ == "SqueezeExcitation" for each in build().modules())
        return replace(made, operators={"Conv": 9, "Mul": 3}, bytes=1_500) if more else made

    monkeypatch.setattr(figures, "of_network", of_network)


@pytest.mark.usefixtures("on_runtime", "one_process")
def test_limits_of_a_runtime_are_held_against_what_it_makes_of_the_network(file) -> None:
    limits = "added nodes <= 2, added nodes <= 1, nodes <= 12, artefact bytes <= 1_400"
    outcomes = check(read(file(f"se in resnet18 on openvino: {limits}")))
    assert [(each.computed, each.verdict) for each in outcomes] == [
        (2, "within"),
        (2, "OVER by 1"),
        (12, "within"),
        (1_500, "OVER by 100"),
    ]
    assert {each.rule for each in outcomes} == {"openvino"}


@pytest.mark.usefixtures("one_process")
def test_what_a_runtime_cannot_execute_is_within_no_limit(file, monkeypatch) -> None:
    def of_network(*_):
        raise NotExportedError("no ONNX operator for aten.airy: none")

    monkeypatch.setattr(figures, "of_network", of_network)
    (outcome,) = check(read(file("se in resnet18 on openvino: nodes <= 9_000")))
    assert (outcome.holds, outcome.computed, outcome.computed_text) == (False, None, "none")
    assert outcome.verdict == ("not executed by openvino: no ONNX operator for aten.airy: none")


@pytest.mark.parametrize(("line", "name"), [("foo in resnet50", "foo"), ("sa in vgg", "vgg")])
def test_an_unknown_module_or_host_is_named_with_its_line(file, line: str, name: str) -> None:
    with pytest.raises(UserError, match=rf"line 1: unknown .*'{name}'"):
        check(read(file(f"{line}: params <= 1")))


def test_a_limit_holds_up_to_its_last_unit(file) -> None:
    at, below = check(read(file("sa in resnet50: added params <= 708, added params <= 707")))
    assert (at.holds, at.verdict, at.computed, at.unit) == (True, "within", 708, "parameters")
    assert (below.holds, below.verdict) == (False, "OVER by 1")


def test_every_metric_can_be_limited(file) -> None:
    limits = ", ".join(f"added {metric} <= 0" for metric in METRICS)
    outcomes = check(read(file(f"sa in resnet50: {limits}")))
    by_metric = dict(zip(METRICS, outcomes, strict=True))
    assert by_metric["macs"].holds  # SA multiplies no matrices
    kernels = by_metric["executed kernels"].computed
    assert kernels % 16 == 0  # the same in each of the 16 blocks
    assert kernels >= 12 * 16
    assert by_metric["leaf operations"].computed == 2_759_680
    assert by_metric["leaf operations"].computed_text == "2,759,680"
    assert by_metric["fvcore operations"].computed == 16_558_080
    assert by_metric["peak bytes"].unit == "bytes"
    assert by_metric["executed macs"].unit == "operations"


def test_what_the_counter_does_not_know_is_never_within(file, monkeypatch) -> None:
    class Airy(nn.Module):
        def forward(self, x):
            return torch.special.airy_ai(x)

    own = AttentionSpec("own", "Own", "0000.00000", Site.AFTER_BN3, lambda channels: Airy())  # noqa: ARG005
    monkeypatch.setitem(ATTENTION, "own", own)
    limits = "added executed kernels <= 1_000, added macs <= 0, peak bytes <= 99_999_999"
    kernels, macs, peak = check(read(file(f"own in resnet50: {limits}")))
    for outcome in (kernels, macs):
        assert not outcome.holds
        assert outcome.verdict == "not fully counted: aten.special_airy_ai x16"
    assert peak.holds  # the trace follows what an unknown operator returns


class Products(nn.Module):
    """Products that are in no layer: by a function, by an operator, and by a transform."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        gate = functional.conv2d(x, self.weight).softmax(-1)
        rows = x.mean(2)
        affinity = rows @ rows.mT
        return x * gate + affinity.mean() + torch.fft.rfft(rows).real.mean()


def test_a_rule_that_leaves_out_products_is_never_within(file, monkeypatch) -> None:
    own = AttentionSpec("own", "Own", "0000.00000", Site.AFTER_BN2, Products)
    monkeypatch.setitem(ATTENTION, "own", own)
    metrics = [metric for metric in METRICS if metric != "params"]
    limits = ", ".join(f"added {metric} <= 1_000_000_000" for metric in metrics)
    outcomes = check(read(file(f"own in resnet18: {limits}")))
    verdicts = {metric: row.verdict for metric, row in zip(metrics, outcomes, strict=True)}
    by_module = "aten.convolution x8, aten.bmm x8, aten._fft_r2c x8"
    assert verdicts == dict.fromkeys(metrics, "within") | {
        "macs": "not fully counted: aten._fft_r2c x8",
        "executed macs": "not fully counted: aten._fft_r2c x8",
        "leaf operations": f"not fully counted: {by_module}",
        "thop operations": f"not fully counted: {by_module}",
        "fvcore operations": "not fully counted: aten::fft_rfft x8",
        "torch operations": "not fully counted: aten._fft_r2c x8",
    }
    assert all(row.holds == (row.verdict == "within") for row in outcomes)


def test_what_the_plain_host_has_too_adds_nothing(file) -> None:
    # The mask branch has a transposed convolution, which leaf leaves out.
    host = "sge in maskrcnn_resnet50_fpn"
    limits = "added leaf operations <= 999_999_999, leaf operations <= 999_999_999_999"
    added, whole = check(read(file(f"{host}: {limits}")))
    assert added.verdict == "within"
    assert whole.verdict == "not fully counted: aten.convolution x1"


def test_what_depends_on_the_input_is_never_within(file, monkeypatch) -> None:
    class Choosing(nn.Module):
        def forward(self, x):
            return x if x.mean().item() > 0 else x.relu()

    own = AttentionSpec("own", "Own", "0000.00000", Site.AFTER_BN3, lambda channels: Choosing())  # noqa: ARG005
    monkeypatch.setitem(ATTENTION, "own", own)
    limits = "added executed kernels <= 1_000, added fvcore operations <= 1_000, added params <= 0"
    *figures, params = check(read(file(f"own in resnet18: {limits}")))
    for outcome in figures:  # fvcore too, which computes with data anyway
        assert not outcome.holds
        assert outcome.verdict == "not the same for every input: its forward depends on data"
    assert params.holds  # counted without a forward


def test_a_class_in_a_file_of_ones_own_can_be_limited(file, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "class Mine(nn.Conv2d):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__(channels, channels, 1, groups=channels, bias=False)\n"
    )
    # A weight a channel: 256, 512, 1024 and 2048 in 3, 4, 6 and 3 blocks.
    added = 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048
    (outcome,) = check(read(file(f"mine.py:Mine in resnet50: added params <= {added - 1}")))
    assert outcome.verdict == "OVER by 1"


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("broken.py:Mine", r"refused: the file cannot be loaded: ZeroDivisionError"),
        ("empty.py:Mine", "refused: there is no Mine in"),
        (
            "other.py:Other",
            r"refused: Other\(\) has no parameter known to take the number of",
        ),
    ],
)
def test_a_module_that_cannot_be_loaded_does_not_hold_and_the_other_lines_are_held(
    file, tmp_path: Path, module: str, message: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "other.py").write_text("def Other(): ...\n")
    text = f"{module} in resnet18: params <= 1\neca in resnet18: added params <= 44\n"
    refused, held = check(read(file(text)))
    assert refused.verdict.startswith(re.search(message, refused.verdict)[0])
    assert (refused.computed, refused.holds, refused.line) == (None, False, 1)
    assert held.holds


def test_a_file_that_is_not_there_is_named_before_anything_is_tried(file) -> None:
    with pytest.raises(UserError, match=r"line 2: none.py:Mine: there is no Python file"):
        check(read(file("sa in resnet50: params <= 1\nnone.py:Mine in resnet50: params <= 1")))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        ("os._exit(0)", "refused: the worker process ended with status 0"),
        ("raise KeyboardInterrupt", "refused: .*KeyboardInterrupt"),
        (
            "os._exit(0) if 'Fake' in type(x).__name__ else None; return x",
            "refused: the worker process ended with",
        ),
    ],
)
def test_a_module_cannot_end_the_gate(file, tmp_path: Path, forward: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "from torch import nn\n"
        "class Mine(nn.Identity):\n"
        f"    def forward(self, x): {forward}\n"
    )
    path = file("eca in resnet50: added params <= 80\nmine.py:Mine in resnet18: macs <= 1\n")
    held, refused = check(read(path))
    assert held.holds
    assert re.match(message, refused.verdict)
    assert (refused.holds, refused.computed_text) == (False, "none")


def test_outcomes_have_the_order_of_the_lines(file, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from torch.nn import Identity as Mine\n")
    lines = [f"{name} in resnet18: added params <= 0" for name in ("eca", "mine.py:Mine", "sge")]
    outcomes = check(read(file("\n".join([*lines, lines[1]]))))
    assert [outcome.name[-1] for outcome in outcomes] == ["1", "2", "3", "4"]
    assert [outcome.holds for outcome in outcomes] == [False, True, False, True]
