import ctypes

import onnx
import pytest
from onnx import TensorProto, helper

from attnbench.runtimes.prepared import Settings

open_vino = pytest.importorskip("attnbench.runtimes.open_vino", exc_type=ImportError)


@pytest.fixture
def file(tmp_path):
    """A network of one operator."""
    image, output = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("image", "out")
    )
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["out"])], "a", [image], [output]
    )
    path = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def stack_for_signals():
    """The thread's ``stack_t``: its address is what matters, and where it lies in it does not."""
    stated = ctypes.create_string_buffer(64)
    assert ctypes.CDLL(None).sigaltstack(None, stated) == 0
    return stated.raw


def test_networks_that_go_leave_the_stack_for_signals_where_it_is(file):
    first, second = (open_vino.load(file, Settings(1, dtype)) for dtype in ("float32", "bfloat16"))
    before = stack_for_signals()
    del first
    del second
    assert stack_for_signals() == before
