"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from typing import Any

from quantcore.kernels import resize as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, int_values
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import check_dtypes, check_image, check_operands
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of
from quantcore.ops.shared.xnnpack import VALUES, delegable

DTYPES = ("int8", "uint8", "int16", "float32")
# the reference form by dtype; a profile's rule names another one where its backend has one
REFERENCE_FORM = {"int8": "fixed10", "int16": "fixed10", "uint8": "terms", "float32": "terms"}
MAX_SIZE = 2**24  # rows or columns that float32 positions can tell apart
NEW_SIZE = ShapeInput(lambda x, y: y[1:3], neutral=(1, 1))


def resize_geometry(node: Node) -> dict[str, Any]:
    """Check shapes and options, set the output's shape, and return the geometry for the kernels.

    Values are interpolated or copied as they are stored: TFLite, too, ignores scales that differ.
    """
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_image(node, x)
    height, width = int_values(node, 1, 2)
    batches, input_height, input_width, channels = x.shape
    for what, size in (("input", (input_height, input_width)), ("output", (height, width))):
        if not all(1 <= n <= MAX_SIZE for n in size):
            raise node.refuse(
                f"the {what} is {size[0]} x {size[1]}; expected 1 to {MAX_SIZE} rows and columns"
            )
    y.shape = (batches, height, width, channels)
    return {
        "input_shape": x.shape,
        "output_size": (height, width),
        "align_corners": node.options["align_corners"],
        "half_pixel_centers": node.options["half_pixel_centers"],
    }


def doubles(node: Node, geometry: dict[str, Any]) -> bool:
    """Whether the output is twice as high and wide, where TFLite's optimized float kernel averages."""
    _, height, width, _ = node.input(0).shape
    plain = not (geometry["align_corners"] or geometry["half_pixel_centers"])
    return plain and geometry["output_size"] == (2 * height, 2 * width)


def delegated(node: Node) -> bool:
    """Whether XNNPACK takes RESIZE_BILINEAR: a constant size, and float32 or 8 bits with a scale."""
    size = node.optional_input(1)
    return size is not None and size.tensor.data is not None and delegable(VALUES, node.input(0), node.output)


def resize_version(node: Node) -> int:
    """Return 4 for int16, 3 for the newer pixel positions, 2 for int8."""
    dtype = dtype_of(node, 0)
    if dtype == "int16":
        return 4
    aligned = node.op.op == "RESIZE_NEAREST_NEIGHBOR" and node.options["align_corners"]
    if aligned or node.options["half_pixel_centers"]:
        return 3
    return 2 if dtype == "int8" else 1


@operator(
    "RESIZE_BILINEAR",
    dtypes=DTYPES,
    max_version=4,
    version=resize_version,
    int16x8_version=2,
    rules={
        "optimized": {"float32, uint8": Rule(form="weights"), "int8, int16": Rule()},
        "xnnpack": {"float32": Rule(form="lerp"), "int8, uint8": Rule(form="fixed11")},
        "tflm": {"float32, int8": Rule()},
    },
    xnnpack=delegated,
    quantization=SAME_SCALE,
    integer_inputs={1: NEW_SIZE},
)
def lower_resize_bilinear(node: Node) -> KernelCall:
    """Lower RESIZE_BILINEAR by the form that the profile's rule names."""
    geometry = resize_geometry(node)
    dtype = check_dtypes(node, node.dtypes, node.input(0), node.output)
    if geometry["align_corners"] and geometry["half_pixel_centers"]:
        raise node.refuse("align_corners and half_pixel_centers are both set; expected one of them at most")
    form = node.rule.form or REFERENCE_FORM[dtype]
    if form == "weights" and dtype == "float32" and doubles(node, geometry):
        form = "mean"
    return kernels.resize_bilinear_call(dtype, form, **geometry)


@operator(
    "RESIZE_NEAREST_NEIGHBOR",
    dtypes=DTYPES,
    max_version=4,
    version=resize_version,
    int16x8_version=2,
    rules={"optimized": {"float32, int8, uint8, int16": Rule()}, "tflm": {"float32, int8, int16": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: NEW_SIZE},
)
def lower_resize_nearest_neighbor(node: Node) -> KernelCall:
    """Lower RESIZE_NEAREST_NEIGHBOR."""
    geometry = resize_geometry(node)
    check_dtypes(node, node.dtypes, node.input(0), node.output)
    return kernels.resize_nearest_call(**geometry, element_bytes=element_bytes(node, node.output))
