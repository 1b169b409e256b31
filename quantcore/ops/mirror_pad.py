"""MIRROR_PAD."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import rearrange as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.pad import read_paddings
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, empty_call, row_major_strides
from quantcore.ops.shared.integer_input import ShapeInput, fitting_paddings
from quantcore.ops.shared.operands import check_dtypes, check_operands, same_parameters
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.version_rules import by_dtype


def mirrored(size: int, before: int, after: int, *, edge: bool) -> np.ndarray:
    """Return the place in the input of each element of a padded dimension.

    With `edge`, the outermost element is repeated; it must not be padded by more elements than there are.
    """
    places = np.arange(size)
    skipped = 0 if edge else 1
    first = places[skipped : before + skipped]
    last = places[size - after - skipped : size - skipped]
    return np.concatenate([first[::-1], places, last[::-1]])


@operator(
    "MIRROR_PAD",
    dtypes=("float32", "int8", "uint8", "int16", "int32", "int64"),
    max_version=3,
    version=by_dtype(int8=2, int16=3),
    int16x8_version=2,
    rules={
        "optimized": {"float32, int8, uint8, int16, int32, int64": Rule()},
        "tflm": {"float32, int8": Rule()},
    },
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(fitting_paddings)},
)
def lower_mirror_pad(node: Node) -> KernelCall:
    """Lower MIRROR_PAD; the paddings must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, node.dtypes, x, y)
    same_parameters(node, x, y)
    mode = node.options["mode"]
    edge = mode == "SYMMETRIC"
    paddings = read_paddings(node)
    for d, (size, pads) in enumerate(zip(x.shape, paddings, strict=True)):
        most = max(size - (not edge), 0)
        if pads.max() > most:
            raise node.refuse(
                f"pads dimension {d} by {pads.tolist()}; {mode} mirrors at most {most} of its {size} elements"
            )
    y.shape = tuple(int(n) for n in np.array(x.shape, np.int64) + paddings.sum(axis=1))
    if y.count == 0:
        return empty_call()
    offsets = [
        mirrored(size, int(before), int(after), edge=edge) * step
        for size, (before, after), step in zip(x.shape, paddings, row_major_strides(x.shape), strict=True)
    ]
    return kernels.mapped_copy_call(offsets=offsets, element_bytes=element_bytes(node, x), output=2)
