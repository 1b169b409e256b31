"""ELU and GELU."""

from __future__ import annotations

from quantcore.kernels._core import KernelCall
from quantcore.numerics import APPROXIMATE, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.function_table import lower_function
from quantcore.ops.shared.quantization_rule import OWN_SCALE
from quantcore.ops.shared.version_rules import by_dtype
from quantcore.ops.shared.xnnpack import delegable, float32_alone


def elu_delegated(node: Node) -> bool:
    """Whether XNNPACK takes ELU: float32, or int8 with one scale."""
    return delegable(("float32", "int8"), node.input(0), node.output)


@operator(
    "ELU",
    dtypes=("int8", "float32"),
    max_version=1,
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
    return lower_function(node, function, on_floats="ELU")


@operator(
    "GELU",
    dtypes=("int8", "uint8", "int16", "float32"),
    max_version=2,
    version=by_dtype(int8=2, uint8=2),
    int16x8_version=2,
    rules={
        "reference": {"float32": APPROXIMATE},
        "optimized": {"float32": APPROXIMATE, "int8, uint8, int16": Rule()},
        "xnnpack": {"float32": APPROXIMATE},
    },
    xnnpack=float32_alone,
    quantization=OWN_SCALE,
)
def lower_gelu(node: Node) -> KernelCall:
    """Lower GELU: exact by erfc, or approximate by tanh, which is Eigen's on float32."""
    if node.options["approximate"]:
        return lower_function(node, "GELU_TANH", on_floats="GELU_TANH_EIGEN")
    return lower_function(node, "GELU")
