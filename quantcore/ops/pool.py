"""MAX_POOL_2D and AVERAGE_POOL_2D."""

from __future__ import annotations

from quantcore.kernels import pool as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import APPROXIMATE, SUMMED, Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.operands import check_dtypes, check_image, check_operands, check_zero_points
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.requant import float_bounds, fused_activation, quantized_bounds
from quantcore.ops.shared.version_rules import by_dtype
from quantcore.ops.shared.windows import window_geometry
from quantcore.ops.shared.xnnpack import VALUES, delegable


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes the pool: float32, the maximum also 8 bits, no stride larger than the window."""
    filter_size = (node.options["filter_height"], node.options["filter_width"])
    stride = (node.options["stride_h"], node.options["stride_w"])
    return (
        delegable(VALUES if node.op.op == "MAX_POOL_2D" else ("float32",), node.input(0))
        and delegable((node.input(0).dtype,), node.output)
        and all(1 <= s <= f for s, f in zip(stride, filter_size, strict=True))
    )


@operator(
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    dtypes=("int8", "uint8", "int16", "float32"),
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    page={"MAX_POOL_2D": "max_pool_2d", "AVERAGE_POOL_2D": "average_pool_2d"},
    rules={
        "MAX_POOL_2D": {
            "optimized": {"float32, int8, uint8, int16": Rule()},
            "xnnpack": {"float32": APPROXIMATE, "int8, uint8": Rule(bounds="xnnpack")},
            "tflm": {"float32, int8, int16": Rule()},
        },
        "AVERAGE_POOL_2D": {
            "optimized": {"float32, int8, uint8, int16": Rule()},
            "xnnpack": {"float32": SUMMED},
            "tflm": {"float32, int8, int16": Rule()},
        },
    },
    xnnpack=delegated,
    quantization=SAME_SCALE,
)
def lower_pool(node: Node) -> KernelCall:
    """Lower a pool. Values are taken as stored: TFLite, too, ignores scales that differ."""
    check_operands(node, 1)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, node.dtypes, x, y)
    check_image(node, x)
    batches, height, width, channels = x.shape
    filter_size = (node.options["filter_height"], node.options["filter_width"])
    geometry = window_geometry(node, (height, width), filter_size)
    y.shape = (batches, geometry.output_height, geometry.output_width, channels)
    window = min(filter_size[0], height) * min(filter_size[1], width)
    limit = kernels.MAX_WINDOW.get(dtype, window)
    if window > limit:
        raise node.refuse(f"windows hold {window} elements; the limit for {dtype} is {limit}")
    if dtype == "float32":
        low, high = float_bounds(node)
    else:
        check_zero_points(node, y)
        low, high = quantized_bounds(node, fused_activation(node), y)
    return kernels.pool_call(
        "max" if node.op.op == "MAX_POOL_2D" else "average",
        dtype,
        input_shape=x.shape,
        output_size=(geometry.output_height, geometry.output_width),
        filter_size=filter_size,
        stride=(node.options["stride_h"], node.options["stride_w"]),
        padding=(geometry.pad_top, geometry.pad_left),
        activation_min=low,
        activation_max=high,
    )
