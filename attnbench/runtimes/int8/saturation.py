"""Whether this CPU's products of int8 are exact.

Without an instruction of their own (VNNI) two products of an unsigned and a signed number of 8 bits
are added in 16 bits, where the greatest that do not fit are cut off: outputs are then off by any
amount. With weights of 7 bits every sum fits: 2 * 255 * 64 is below 2**15.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnxruntime import InferenceSession

ROWS, COLUMNS = 64, 16
GREATEST_UNSIGNED, GREATEST_SIGNED = 255, 127


@cache
def weight_bits() -> int:
    """Return the bits of weights with which sums of products are exact here: 8, or 7."""
    of_image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, ROWS])
    of_sums = helper.make_tensor_value_info("sums", TensorProto.INT32, [1, COLUMNS])
    weights = [GREATEST_SIGNED] * (ROWS * COLUMNS)
    weight = helper.make_tensor("weight", TensorProto.INT8, [ROWS, COLUMNS], weights)
    product = helper.make_node("MatMulInteger", ["image", "weight"], ["sums"])
    graph = helper.make_graph([product], "greatest", [of_image], [of_sums], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"image": np.full((1, ROWS), GREATEST_UNSIGNED, np.uint8)})
    is_exact = bool((sums == ROWS * GREATEST_UNSIGNED * GREATEST_SIGNED).all())
    return 8 if is_exact else 7
