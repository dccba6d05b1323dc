"""Operators that compute each element of their output on its own."""

from __future__ import annotations

from attnbench.counting.operators.cost import Operator, per_output, rows

ELEMENTWISE: dict[str, Operator] = {
    # One operation for each element of the output, whatever the function.
    **rows(
        """
        __lshift__ __rshift__ bitwise_left_shift bitwise_right_shift bitwise_xor copysign digamma
        erfinv heaviside hypot i0 lgamma nan_to_num xlogy
        acos asin bitwise_and_ bitwise_or_ celu clamp_max clamp_max_ cosh erfc exp2 expm1 fmod frac
        hardshrink isinf isnan log10 log_sigmoid_forward logaddexp pow_ remainder sgn sinc sinh
        softshrink tan trunc rrelu_with_noise
        abs abs_ add add_ angle atan atan2 bitwise_and bitwise_not bitwise_or ceil
        clamp clamp_ clamp_min clamp_min_ cos div div_ elu elu_ eq erf exp
        exp_ floor ge gelu gt hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ le
        leaky_relu leaky_relu_ log log1p log2 logical_and logical_not logical_or logit lt
        masked_fill masked_fill_ maximum minimum mish mul mul_ ne neg neg_ pow
        _prelu_kernel floor_divide reciprocal relu relu_ round rsqrt rsub sigmoid sigmoid_ sign
        silu silu_ sin softplus sqrt sqrt_ sub sub_ tanh tanh_ threshold threshold_ where
        """,
        Operator(elementwise=per_output(1)),
    ),
    # Multiply or divide, then add.
    **rows("addcmul addcmul_ addcdiv addcdiv_ lerp", Operator(elementwise=per_output(2))),
    "aten.addr": Operator(elementwise=per_output(2)),  # an outer product, and its addition
    "aten.glu": Operator(elementwise=per_output(2)),  # a sigmoid and a product
    "aten.polar": Operator(elementwise=per_output(2)),  # a cosine and a sine
    "aten.linalg_cross": Operator(elementwise=per_output(3)),  # two products and their difference
}
