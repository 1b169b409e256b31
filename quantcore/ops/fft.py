"""RFFT2D, COMPLEX_ABS, REAL, IMAG: the audio front end."""

from __future__ import annotations

import math

from quantcore.kernels import fft as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.registry import operator
from quantcore.ops.shared.fft_twiddles import half_twiddles, twiddles
from quantcore.ops.shared.indices import int_values
from quantcore.ops.shared.operands import check_dtypes, check_operands

LONGEST = 2**16  # of a transform, so that a file cannot ask for tables of any size
PARTS = {"COMPLEX_ABS": "abs", "REAL": "real", "IMAG": "imag"}


@operator("RFFT2D", dtypes=("complex64",), max_version=1, rules={"optimized": {"complex64": Rule()}})
def lower_rfft2d(node: Node) -> KernelCall:
    """Lower RFFT2D; the lengths must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    check_dtypes(node, ("float32",), x)
    check_dtypes(node, ("complex64",), y)
    if len(x.shape) < 2:
        raise node.refuse(f"the input has shape {x.shape}; expected at least two dimensions")
    height, width = int_values(node, 1, 2)
    for size, least in ((height, 1), (width, 2)):
        if not least <= size <= LONGEST or size & (size - 1):
            raise node.refuse(f"a length is {size}; expected a power of two from {least} to {LONGEST}")
    y.shape = (*x.shape[:-2], height, width // 2 + 1)
    return kernels.rfft2d_call(
        slices=math.prod(x.shape[:-2]),
        rows=x.shape[-2],
        columns=x.shape[-1],
        height=height,
        width=width,
        row_twiddles=twiddles(width // 2),
        column_twiddles=twiddles(height),
        half_twiddles=half_twiddles(width),
    )


@operator(
    "COMPLEX_ABS",
    "REAL",
    "IMAG",
    dtypes=("float32",),
    max_version=1,
    page="rfft2d",
    rules={"optimized": {"float32": Rule()}},
)
def lower_complex_part(node: Node) -> KernelCall:
    """Lower COMPLEX_ABS, REAL and IMAG."""
    check_operands(node, 1)
    x, y = node.input(0), node.output
    check_dtypes(node, ("complex64",), x)
    check_dtypes(node, ("float32",), y)
    y.shape = x.shape
    return kernels.complex_call(PARTS[node.op.op], count=x.count)
