import hashlib
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from attnbench.errors import UserError
from attnbench.runtimes import artefact, onnx_file, table
from attnbench.runtimes.artefact import (
    Images,
    OtherAnswersError,
    Subject,
    load_same,
    make,
    relative_error,
)
from attnbench.runtimes.prepared import Prepared

ONES = torch.ones(1, 3, 4, 4)
IMAGES = Images((ONES, 2 * ONES), ())
FACTS = {"threads": 1}


class Scale(nn.Module):
    def forward(self, image):
        return 3 * image


@pytest.fixture
def exported(monkeypatch):
    """Files of two bytes instead of exports; a list of what was exported."""
    made = []
    monkeypatch.setattr(
        onnx_file, "export", lambda network, image, _: made.append((network, image)) or b"ab"
    )
    return made


@pytest.fixture
def runtime(monkeypatch):
    """Return a function that makes ONNX Runtime compute something else."""

    def stub(call):
        row = table.TABLE["onnxruntime"]
        prepared = Prepared(call, facts=FACTS, operators=lambda: {"Mul": 1})
        stubbed = type("Stub", (table.Runtime,), {"load": lambda _: lambda *_: prepared})
        monkeypatch.setitem(artefact.TABLE, "onnxruntime", stubbed(**vars(row)))

    return stub


@pytest.fixture
def subject(case):
    return Subject(replace(case, runtime="onnxruntime"), "sa", None)


def test_a_file_is_described(tmp_path, subject, exported, runtime):
    runtime(lambda image: [3 * image])
    export = make(tmp_path / "new", subject, Scale(), IMAGES)
    assert (tmp_path / "new" / export.file).read_bytes() == b"ab"
    assert (export.bytes, export.sha256) == (2, hashlib.sha256(b"ab").hexdigest())
    assert (export.operators, export.nodes, export.settings) == ({"Mul": 1}, 1, FACTS)
    assert (export.relative_error, export.bound) == (0.0, 1e-3)
    assert export.seconds > 0
    assert [image is ONES for _, image in exported] == [True]


def test_a_network_is_exported_once(tmp_path, subject, exported, runtime):
    runtime(lambda image: [3 * image])
    first, again = (make(tmp_path, subject, Scale(), IMAGES) for _ in range(2))
    assert len(exported) == 1
    assert again.seconds is None
    assert (again.file, again.sha256) == (first.file, first.sha256)


@pytest.mark.usefixtures("exported")
def test_a_runtime_that_adds_one_percent_is_caught(tmp_path, subject, runtime):
    runtime(lambda image: [3.03 * image])
    message = r"ONNX Runtime in float32 gives other outputs .* differ by 1.000% .* 0.100% is"
    with pytest.raises(OtherAnswersError, match=message):
        make(tmp_path, subject, Scale(), IMAGES)


class Rounded(nn.Module):
    """Returns a sixteenth more in bfloat16 than in float32."""

    def forward(self, image):
        return 3 * image * (1 if image.dtype == torch.float32 else 1 + 2**-4)


@pytest.fixture
def half(case, monkeypatch):
    """Return a function that makes OpenVINO compute something else in float32 and in bfloat16."""

    def stub(in_float32, in_bfloat16):
        calls = {"float32": in_float32, "bfloat16": in_bfloat16}
        row = table.TABLE["openvino"]
        load = lambda _, settings: Prepared(calls[settings.dtype])  # noqa: E731
        stubbed = type("Stub", (table.Runtime,), {"load": lambda _: load})
        monkeypatch.setitem(artefact.TABLE, "openvino", stubbed(**vars(row)))
        return Subject(replace(case, runtime="openvino", dtype="bfloat16"), "sa", None)

    return stub


@pytest.mark.usefixtures("exported")
def test_rounding_to_half_precision_is_allowed_twice_what_eager_pytorch_makes_of_it(tmp_path, half):
    export = make(tmp_path, half(lambda x: [3 * x], lambda x: [3.3 * x]), Rounded(), IMAGES)
    assert export.relative_error == pytest.approx(0.1)
    assert export.bound == 2 * 2**-4
    subject = half(lambda x: [3 * x], lambda x: [3.4 * x])  # 13.3%
    message = r"OpenVINO in bfloat16 gives other outputs .* differ by 13.333% .* 12.500% is"
    with pytest.raises(OtherAnswersError, match=message):
        make(tmp_path, subject, Rounded(), IMAGES)
    exact = make(tmp_path, half(lambda x: [3 * x], lambda x: [3 * x]), Scale(), IMAGES)
    assert exact.bound == artefact.BOUND["bfloat16"]


@pytest.mark.usefixtures("exported")
def test_one_percent_that_rounding_would_hide_is_caught_in_float32(tmp_path, half):
    subject = half(lambda x: [3.03 * x], lambda x: [3.03 * x])
    message = r"OpenVINO in float32 gives other outputs .* differ by 1.000% .* 0.100% is"
    with pytest.raises(OtherAnswersError, match=message):
        make(tmp_path, subject, Rounded(), IMAGES)


def test_an_own_error_that_cannot_be_known_widens_nothing():
    class Fails(nn.Module):
        def forward(self, image):
            if image.dtype != torch.float32:
                raise RuntimeError("not implemented for 'BFloat16'")
            return image

    class Overflows(nn.Module):
        def forward(self, image):
            return image if image.dtype == torch.float32 else image * float("inf")

    for network in (Fails(), Overflows()):
        assert artefact.own_error(network, [ONES], [ONES], "bfloat16") == 0.0


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize(
    "call",
    [
        lambda _: [3 * ONES],  # right for the example alone
        lambda image: [image * float("nan")],
        lambda image: [3 * image, image],
        lambda image: [3 * image[:, :1]],
    ],
)
def test_other_answers_are_caught(tmp_path, subject, runtime, call):
    runtime(call)
    with pytest.raises(OtherAnswersError):
        make(tmp_path, subject, Scale(), IMAGES)


def test_a_failed_export_leaves_no_file(tmp_path, subject, monkeypatch):
    def fails(*_):
        raise onnx_file.NotExportedError("no")

    monkeypatch.setattr(onnx_file, "export", fails)
    with pytest.raises(onnx_file.NotExportedError):
        make(tmp_path, subject, Scale(), IMAGES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("exported")
def test_what_a_killed_process_has_left_is_removed(tmp_path, subject, runtime):
    runtime(lambda image: [3 * image])
    (tmp_path / f".{subject.file_name}.x7").write_bytes(b"a")
    export = make(tmp_path, subject, Scale(), IMAGES)
    assert [path.name for path in tmp_path.iterdir()] == [export.file]


def test_the_name_holds_all_that_determines_a_file(subject):
    case = subject.case
    same = [{"threads": 4}, {"runtime": "openvino"}, {"dtype": "bfloat16", "runtime": "openvino"}]
    assert {replace(subject, case=replace(case, **each)).file_name for each in same} == {
        subject.file_name
    }
    others = [
        {"seed": 4},
        {"image_size": 64},
        {"batch_size": 1},
        {"stages": (4,)},
        {"dtype": "int8"},
        {"at": "layer4.*"},
        {"replace": "conv2"},
    ]
    names = [replace(subject, case=replace(case, **each)).file_name for each in others]
    names += [replace(subject, variant="se").file_name, replace(subject, source="x").file_name]
    names += [replace(subject, host_source="x").file_name]
    assert len({subject.file_name, *names}) == 11


@pytest.mark.parametrize("host", ["lib/nets.py:small", "/tmp/lib/nets.py:small"])
def test_the_file_of_a_host_in_a_file_lies_in_the_folder(subject, host):
    name = replace(subject, case=replace(subject.case, host=host)).file_name
    assert name.startswith("nets.py-small-")
    assert "/" not in name


@pytest.mark.usefixtures("exported")
def test_only_the_file_of_the_record_is_loaded(tmp_path, subject, runtime):
    runtime(lambda image: [3 * image])
    export = make(tmp_path, subject, Scale(), IMAGES)
    assert load_same(tmp_path, subject.case, export).facts == FACTS
    (tmp_path / export.file).write_bytes(b"ac")
    with pytest.raises(UserError, match="is not what was exported; run anew"):
        load_same(tmp_path, subject.case, export)
    (tmp_path / export.file).unlink()
    with pytest.raises(UserError, match=r"cannot read .*: No such file or directory; run anew"):
        load_same(tmp_path, subject.case, export)


def test_an_error_is_a_share_of_the_largest_output():
    reference = torch.tensor([-4.0, 1.0, 0.0])
    assert relative_error(reference, [torch.tensor([-4.0, 1.5, 0.0])]) == 0.125  # 0.5 / 4
    both = (reference, torch.tensor([0.5]))
    assert relative_error(both, [reference, torch.tensor([0.25])]) == 0.5  # 0.25 / 0.5, the larger
    assert relative_error(torch.zeros(2), [torch.tensor([0.0, 2.0])]) == 2.0
    assert relative_error(reference, [reference[:2]]) == float("inf")


def test_an_export_is_a_record(tmp_path, subject, exported, runtime):  # noqa: ARG001
    runtime(lambda image: [3 * image])
    made = make(tmp_path, subject, Scale(), IMAGES)
    assert json.dumps(made.settings) == '{"threads": 1}'
    with pytest.raises(ValueError, match="at most bound"):
        replace(made, relative_error=0.5)


@pytest.mark.usefixtures("exported")
def test_no_number_on_one_image_alone_is_no_answer(tmp_path, subject, runtime):
    runtime(lambda image: [3 * image * (1.0 if image.max() == 1 else float("nan"))])
    with pytest.raises(OtherAnswersError, match="differ by nan%"):
        make(tmp_path, subject, Scale(), IMAGES)


@pytest.mark.usefixtures("exported")
def test_where_eager_half_precision_is_off_by_all_half_is_allowed(tmp_path, half):
    class Chaotic(nn.Module):
        def forward(self, image):
            return 3 * image * (1 if image.dtype == torch.float32 else 2)

    zeros = half(lambda x: [3 * x], lambda x: [0 * x])  # off by 100%
    with pytest.raises(OtherAnswersError, match=r"differ by 100.000% .* 50.000% is"):
        make(tmp_path, zeros, Chaotic(), IMAGES)


def test_a_file_in_float32_that_was_deleted_is_made_and_held_again(
    tmp_path, case, runtime, exported, monkeypatch
):
    bits = 8

    class Tool:
        quantised = staticmethod(lambda *_, **__: b"cd")
        weight_bits = staticmethod(lambda **_: bits)

    monkeypatch.setattr(artefact, "import_module", lambda _: Tool)
    runtime(lambda image: [3 * image])
    subject = Subject(replace(case, runtime="onnxruntime", dtype="int8"), "sa", None)
    made = make(tmp_path, subject, Scale(), IMAGES)
    assert made.settings["weight_bits"] == 8
    bits = 7
    assert subject.file_name != made.file  # which a CPU that cuts off sums must not take
    bits = 8
    assert (tmp_path / made.file).read_bytes() == b"cd"
    (tmp_path / subject.file_names[0]).unlink()
    runtime(lambda image: [3.03 * image])  # 1%, of which int8 would allow fifty times as much
    with pytest.raises(OtherAnswersError, match="ONNX Runtime in float32"):
        make(tmp_path, subject, Scale(), IMAGES)
    assert len(exported) == 2
