import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from attnbench.runtimes.onnx_file import NotExportedError, export, reason, translations


def raised(*messages):
    """An error that was raised from another, from the outermost to the root."""
    error = None
    for message in reversed(messages):
        outer = ValueError(message)
        outer.__cause__ = error
        error = outer
    return error


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (("Failed. Report it.", "Could not guard. Consider others."), "Could not guard."),
        (
            ("Failed", "No function for <OpOverload(op='aten.airy', overload='default')>. Message"),
            "no ONNX operator for aten.airy: No function for <OpOverload(op='aten.airy', "
            "overload='default')>.",
        ),
        (("step 1", "\n  first line\nsecond"), "first line"),
        (("step 1", ""), "ValueError"),
        (("\x1b[96mred",), "\\x1b[96mred"),
        (("x" * 400,), "x" * 299 + "…"),
    ],
)
def test_the_reason_is_the_first_sentence_of_the_root(messages, text):
    assert reason(raised(*messages)) == text


class NoOperator(nn.Module):
    def forward(self, image):
        return torch.special.airy_ai(image)


def test_what_cannot_be_exported_is_named_with_its_operator():
    with pytest.raises(NotExportedError, match=r"no ONNX operator for aten\.special_airy_ai: "):
        export(NoOperator(), torch.ones(1, 3, 4, 4))


class Largest(nn.Module):
    def forward(self, image):
        return functional.adaptive_max_pool2d(image, 1)


def test_the_largest_element_of_a_map_is_one_node_on_every_torch():
    file = onnx.load_model_from_string(export(Largest(), torch.ones(1, 3, 4, 6)))
    assert [node.op_type for node in file.graph.node] == ["ReduceMax"]


def test_a_maximum_to_another_size_is_refused_by_name():
    (largest,) = translations().values()
    with pytest.raises(NotImplementedError, match=r"adaptive_max_pool2d to \[2, 3\]$"):
        largest(None, [2, 3])
