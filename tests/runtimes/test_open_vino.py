import ctypes

import onnx
import pytest
from onnx import TensorProto, helper

from attnbench.errors import UserError
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
    first, second = (open_vino.load(file, Settings(1, dtype)) for dtype in ("float32", "int8"))
    before = stack_for_signals()
    del first
    del second
    assert stack_for_signals() == before


class Compiled:
    """States another precision than the one that was asked for."""

    def get_property(self, _):
        return "f32"


def test_a_dtype_that_the_cpu_does_not_compute_in_is_refused(file):
    """OpenVINO takes the hint, computes in float32 and says so where it is asked."""
    with pytest.raises(UserError, match="does not compute in bfloat16 on this CPU: it states f32"):
        open_vino._require_precision(Compiled(), Settings(1, "bfloat16"))
    open_vino._require_precision(Compiled(), Settings(1, "int8"))  # whose other operators it names
    if "BF16" not in open_vino.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(UserError, match="does not compute in bfloat16"):
            open_vino.load(file, Settings(1, "bfloat16"))
