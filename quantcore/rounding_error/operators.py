"""From tensors to `RealOutput`: which operator is derived by what, and values that are only moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from quantcore.errors import UnsupportedOperatorError
from quantcore.graph import Subgraph
from quantcore.numerics import Profile
from quantcore.ops.node import Node
from quantcore.ops.registry import build_node
from quantcore.ops.shared.requant import FLOAT_BOUNDS
from quantcore.rounding_error.elementwise import (
    real_function,
    real_leaky_relu,
    real_mul,
    real_prelu,
    real_quantize,
    real_relu,
    real_sum,
)
from quantcore.rounding_error.images import real_resize_bilinear
from quantcore.rounding_error.means import real_average_pool, real_mean, real_softmax
from quantcore.rounding_error.real import RealOutput
from quantcore.rounding_error.sums import (
    real_batch_matmul,
    real_conv_2d,
    real_depthwise_conv_2d,
    real_fully_connected,
    real_transpose_conv,
)

__all__ = ["DERIVED", "RealValues"]

# What derives an operator, and the positions of the operands whose values it takes
DERIVED: dict[str, tuple[Callable[..., RealOutput], tuple[int, ...]]] = {
    "CONV_2D": (real_conv_2d, (0,)),
    "DEPTHWISE_CONV_2D": (real_depthwise_conv_2d, (0,)),
    "FULLY_CONNECTED": (real_fully_connected, (0,)),
    "BATCH_MATMUL": (real_batch_matmul, (0, 1)),
    "TRANSPOSE_CONV": (real_transpose_conv, (2,)),
    **dict.fromkeys(("ADD", "SUB"), (real_sum, (0, 1))),
    "MUL": (real_mul, (0, 1)),
    "MEAN": (real_mean, (0,)),
    "AVERAGE_POOL_2D": (real_average_pool, (0,)),
    "RESIZE_BILINEAR": (real_resize_bilinear, (0,)),
    "QUANTIZE": (real_quantize, (0,)),
    **dict.fromkeys(("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"), (real_relu, (0,))),
    "LEAKY_RELU": (real_leaky_relu, (0,)),
    "PRELU": (real_prelu, (0, 1)),
    **dict.fromkeys(("LOGISTIC", "TANH", "GELU"), (real_function, (0,))),
    "SOFTMAX": (real_softmax, (0,)),
}
# What only moves values, by what it does to arrays
RESHAPED = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
BOUND = 2.0**-14  # of an activation's bound, which is a float32 quotient with the zero point added to it


class RealValues:
    """Real outputs of a subgraph's operators, for the integers that its tensors have.

    Parameters
    ----------
    subgraph : Subgraph
    profile : Profile
        Whose kernels gave the integers.
    values : dict of int to ndarray
        Every tensor of one run (`Interpreter.run_all`).
    exact : collection of int
        Tensors whose integers a forward pass is given too.
    inputs : dict of int to RealOutput, optional
        What inputs of the subgraph were quantized from.
    """

    def __init__(
        self,
        subgraph: Subgraph,
        profile: Profile,
        values: Mapping[int, np.ndarray],
        exact: set[int] | frozenset[int],
        inputs: Mapping[int, RealOutput] | None = None,
    ) -> None:
        self.inputs = inputs or {}
        self.subgraph, self.profile, self.values, self.exact = subgraph, profile, values, exact
        self.producers = subgraph.producers()

    def at(self, t: int) -> RealOutput:
        """Return the real output that tensor `t` was rounded from, from the exact tensors before it.

        Raises
        ------
        UnsupportedOperatorError
            For an operator whose bounds are not derived, or that rounds what has been rounded before without
            the forward pass having the integers between.
        """
        if t in self.inputs:
            return self.inputs[t]
        index = self.producers.get(t)
        if index is None:
            raise UnsupportedOperatorError(f"tensor {t} is computed by no operator")
        node = self.node(index)
        given = [o.index for o in node.inputs if o is not None and o.tensor.data is None and o.quantized]
        inputs = [self.operand(i) for i in given]
        if node.op.op == "QUANTIZE" and node.input(0).dtype == "float32":
            self.check_float_input(node)
        if unscaled(node) or node.op.op not in DERIVED:
            return self.moved(node, t, inputs)
        rounded = [i for i, real in zip(given, inputs, strict=True) if not real.is_exact]
        if rounded:
            raise node.refuse(
                f"its input, tensor {rounded[0]}, is rounded, but no FakeQuantize stands there; expected one "
                "behind the layer before"
            )
        derived, positions = DERIVED[node.op.op]
        operands = [np.asarray(self.values[node.input(i).index]) for i in positions]
        return self.within_bounds(node, derived(node, *operands))

    def check_float_input(self, node: Node) -> None:
        """Refuse to say what a float operator's output may be rounded to."""
        source = self.producers.get(node.input(0).index)
        if source is not None:
            raise node.refuse(f"its input is computed in float by {self.subgraph.operators[source].op}")

    def operand(self, t: int) -> RealOutput:
        """Return an input's values as the forward pass has them."""
        if t in self.exact:
            zero_point = self.zero_point(t)
            return RealOutput.exact(self.values[t].astype(np.float64) - zero_point)
        return self.at(t)

    def zero_point(self, t: int) -> int:
        """Return the zero point of a tensor."""
        quantization = self.subgraph.tensors[t].quantization
        return 0 if quantization is None else int(quantization.zero_point[0])

    def node(self, index: int) -> Node:
        """Return an operator as its module sees it."""
        op = self.subgraph.operators[index]
        used = [t for t in (*op.inputs, *op.outputs) if t >= 0]
        tensors = self.subgraph.tensors
        shapes = {t: self.values[t].shape for t in used if t in self.values and tensors[t].data is None}
        known = {t: self.values[t] for t in op.inputs if t in self.values and not tensors[t].is_quantized}
        constants = {t: data for t in used if (data := tensors[t].data) is not None}
        return build_node(self.subgraph, index, self.profile, shapes, {**known, **constants})

    def within_bounds(self, node: Node, real: RealOutput) -> RealOutput:
        """Clamp to the bounds of dtype and activation."""
        y = node.output
        info = np.iinfo(y.dtype)
        low, high = float(info.min - y.zero_point), float(info.max - y.zero_point)
        fused = str(node.options.get("fused_activation_function", "NONE"))
        name = node.op.op if node.op.op in FLOAT_BOUNDS else fused
        bottom, top = (bound / np.float64(y.scale) for bound in FLOAT_BOUNDS[name])
        error = 0.0 if name in ("NONE", "RELU") else BOUND
        return real.bounded(max(low, bottom), min(high, top), error)

    def moved(self, node: Node, t: int, inputs: list[RealOutput]) -> RealOutput:
        """Return what an operator that computes nothing makes of its inputs."""
        rule = None if node.definition is None else node.definition.quantization
        parts = inputs if unscaled(node) or (rule is not None and rule.same_scale) else []
        if parts and all(real.is_exact for real in parts):
            return RealOutput.exact(self.values[t].astype(np.float64) - self.zero_point(t))
        if parts and (node.op.op in RESHAPED or unscaled(node)):
            shape = self.values[t].shape
            return RealOutput(*(part.reshape(shape) for part in fields(parts[0])))
        if parts and node.op.op == "CONCATENATION":
            axis = int(node.options["axis"])
            return RealOutput(*(np.concatenate(p, axis) for p in zip(*map(fields, parts), strict=True)))
        raise node.refuse(
            "how far it may round is not derived; docs/numerics/qat.md has the operators for which it is"
        )


def unscaled(node: Node) -> bool:
    """Whether a QUANTIZE changes the dtype alone, uint8 for int8."""
    if node.op.op != "QUANTIZE" or node.input(0).dtype == "float32":
        return False
    x, y = node.input(0), node.output
    return bool(x.scale == y.scale) and {x.dtype, y.dtype} == {"int8", "uint8"}


def fields(real: RealOutput) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, kernel and forward."""
    return real.value, real.kernel, real.forward
