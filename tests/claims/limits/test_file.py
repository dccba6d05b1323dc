from pathlib import Path

import pytest

from attnbench.claims.limits.file import Limit, read
from attnbench.errors import UserError


def test_a_line_may_set_several_limits(file) -> None:
    path = file("# ours\n\nsa in resnet50: added params <= 708, peak bytes <= 1_000  # few\n")
    first, second = read(path)
    assert first == Limit(path, 3, "sa", "resnet50", "params", added=True, most=708)
    assert second == Limit(path, 3, "sa", "resnet50", "peak bytes", added=False, most=1_000)
    assert (first.where, first.folder) == (f"{path}, line 3", path.parent)


def test_a_limit_may_be_of_a_runtime(file) -> None:
    path = file("sa in resnet50 on ONNXRuntime: added nodes <= 400, artefact bytes <= 1_000\n")
    first, second = read(path)
    assert first == Limit(
        path, 1, "sa", "resnet50", "nodes", added=True, most=400, runtime="onnxruntime"
    )
    assert (second.metric, second.added) == ("artefact bytes", False)
    assert first.subject == "sa in resnet50 on onnxruntime: added nodes"


def test_a_name_with_spaces_is_quoted(file) -> None:
    name = "my  gates/no. #1.py:Mine,sizes=(3, 5)"
    for text in (
        f'"{name}" in resnet50: params <= 1',
        f'  "{name}"  in resnet50:  params  <= 1 # "ours" # all of it',
    ):
        (limit,) = read(file(f'# "no" limit\n{text}\n'))
        assert (limit.module, limit.host, limit.most) == (name, "resnet50", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("my gates/mine.py:Mine in resnet50: params <= 1", "line 1: not of the form"),
        ('"mine.py:Mine in resnet50: params <= 1', "line 1: not of the form"),
        ('"" in resnet50: params <= 1', "line 1: not of the form"),
        ("sa: params <= 1", "line 1: not of the form"),
        ("sa in resnet50 on tensorrt: nodes <= 1", "unknown runtime 'tensorrt'; known: onnxr"),
        ("sa in resnet50 on openvino: params <= 1", "'params' cannot be limited on openvino; quan"),
        ("sa in resnet50 on openvino: latency <= 1 s", "latency cannot be limited on openvino"),
        ("sa in resnet50: nodes <= 1", "'nodes' cannot be limited without a runtime: 'sa in re"),
        ("sa in resnet50: params < 1", "'params < 1' is not of the form"),
        ("sa in resnet50: params <= 1.5", "is not of the form"),
        (
            "sa in resnet50: speed <= 1",
            "line 1: 'speed' cannot be limited; quantities are params, ",
        ),
        (
            "sa in resnet50: params",
            "is not of the form 'added params <= 708'; quantities are params",
        ),
        ("sa in resnet50: parms <= 1", "quantities are .*, peak bytes, each .* 'latency <= 50 ms'"),
        (
            "sa in resnet50: latency <= 1",
            "line 1: 'latency <= 1' needs s, ms, us: latency <= 50 ms",
        ),
        ("sa in resnet50: params <= 7_", "is not of the form"),
        ("sa in resnet50: params <= " + "9" * 5000, "is not of the form"),
        ("# nothing", "sets no limit"),
        ("", "sets no limit"),
    ],
)
def test_a_line_that_is_not_understood_is_named(file, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(file(text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read(tmp_path / "none")
