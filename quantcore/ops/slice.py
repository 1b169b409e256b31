"""SLICE: a box of the input."""

from __future__ import annotations

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, int_values, row_major_strides
from quantcore.ops.shared.integer_input import ShapeInput
from quantcore.ops.shared.operands import same_dtype, same_parameters_if_delegated
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import dtype_of, rank_of


def slice_version(node: Node) -> int:
    """Return the version for the dtype; 5 for more than 4 dimensions."""
    versions = {"int4": 7, "uint32": 6}
    older = {"int16": 4, "string": 3, "int8": 2}
    dtype = dtype_of(node, 0)
    if dtype in versions:
        return versions[dtype]
    return 5 if rank_of(node, 0) > 4 else older.get(dtype, 1)


@operator(
    "SLICE",
    dtypes=("any",),
    max_version=8,
    version=slice_version,
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32, bool": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(lambda x, y: [0] * len(x)), 2: ShapeInput(lambda x, y: y, (-1, -1))},
)
def lower_slice(node: Node) -> KernelCall:
    """Lower SLICE; begin and size must be known before running. A size of -1 reaches to the end."""
    x, y = node.input(0), node.output
    same_dtype(node, x, y)
    same_parameters_if_delegated(node, x, y)
    begin = int_values(node, 1, len(x.shape))
    size = int_values(node, 2, len(x.shape))
    shape = tuple(n - b if s == -1 else s for n, b, s in zip(x.shape, begin, size, strict=True))
    for d, (n, b, s) in enumerate(zip(x.shape, begin, shape, strict=True)):
        if b < 0 or s < 0 or b + s > n:
            raise node.refuse(f"takes {size[d]} elements from {b} of dimension {d}, which has {n}")
    y.shape = shape
    steps = row_major_strides(x.shape)
    return kernels.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=shape,
        strides=steps,
        first=sum(b * step for b, step in zip(begin, steps, strict=True)),
        output=len(node.inputs),
    )
