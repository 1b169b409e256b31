"""ELU and GELU."""

from __future__ import annotations

from quantcore.kernels import unary as kernels
from quantcore.kernels._core import KernelCall
from quantcore.kernels.knots import on_arrays
from quantcore.numerics import APPROXIMATE, Rule
from quantcore.ops.delegate import delegable
from quantcore.ops.function_table import lower_table
from quantcore.ops.node import Node
from quantcore.ops.operands import check_dtypes, check_operands
from quantcore.ops.quantization_rule import OWN_SCALE
from quantcore.ops.registry import operator
from quantcore.ops.unary import check_quantized
from quantcore.ops.version_rules import by_dtype

GELU_DTYPES = ("int8", "uint8", "int16", "float32")


def lower_function(node: Node, function: str, float_function: str, dtypes: tuple[str, ...]) -> KernelCall:
    """Lower a function to a table, or to `float_function` on float32."""
    check_operands(node, 1)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, dtypes, x, y)
    y.shape = x.shape
    if dtype == "float32":
        return kernels.unary_call(float_function, dtype, count=x.count)
    check_quantized(node)
    return lower_table(node, on_arrays(function))


def elu_delegated(node: Node) -> bool:
    """Whether XNNPACK takes ELU: float32, or int8 with one scale."""
    return all(delegable(o, ("float32", "int8")) for o in (node.input(0), node.output))


@operator(
    "ELU",
    dtypes=("int8", "float32"),
    max_version=1,
    page="elu",
    rules={
        "optimized": {"float32, int8": Rule()},
        "xnnpack": {"float32": APPROXIMATE, "int8": Rule(form="xnnpack")},
        "tflm": {"float32": Rule(), "int8": Rule(form="exp")},
    },
    xnnpack=elu_delegated,
)
def lower_elu(node: Node) -> KernelCall:
    """Lower ELU; form ``exp`` subtracts 1 from expf, where the others have expm1f."""
    function = "ELU_EXP" if node.rule.form == "exp" else "ELU"
    return lower_function(node, function, "ELU", ("int8", "float32"))


def gelu_delegated(node: Node) -> bool:
    """Whether XNNPACK takes GELU: on float32."""
    return node.input(0).dtype == "float32"


@operator(
    "GELU",
    dtypes=GELU_DTYPES,
    max_version=2,
    version=by_dtype(int8=2, uint8=2),
    int16x8_version=2,
    page="gelu",
    rules={
        "reference": {"float32": APPROXIMATE},
        "optimized": {"float32": APPROXIMATE, "int8, uint8, int16": Rule()},
        "xnnpack": {"float32": APPROXIMATE},
    },
    xnnpack=gelu_delegated,
    quantization=OWN_SCALE,
)
def lower_gelu(node: Node) -> KernelCall:
    """Lower GELU: exact by erfc, or approximate by tanh, which is Eigen's on float32."""
    if bool(node.options.get("approximate", False)):
        return lower_function(node, "GELU_TANH", "GELU_TANH_EIGEN", GELU_DTYPES)
    return lower_function(node, "GELU", "GELU", GELU_DTYPES)
