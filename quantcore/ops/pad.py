"""PAD and PADV2."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import movement as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node, ZeroPadding
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes
from quantcore.ops.shared.integer_input import ShapeInput, fitting_paddings
from quantcore.ops.shared.operands import same_dtype, same_parameters, same_parameters_if_delegated
from quantcore.ops.shared.quantization_rule import SAME_SCALE
from quantcore.ops.shared.requant import type_bounds
from quantcore.ops.shared.version_rules import dtype_of, rank_of


def read_paddings(node: Node) -> np.ndarray:
    """Return the known paddings, one row ``(before, after)`` per dimension of the input."""
    paddings = node.known_value(1)
    wanted = (len(node.input(0).shape), 2)
    if paddings.dtype.kind not in "ib" or paddings.shape != wanted:
        raise node.refuse(
            f"paddings are {paddings.dtype} of shape {paddings.shape}; expected integers, {wanted}"
        )
    if paddings.min(initial=0) < 0 or paddings.max(initial=0) > np.iinfo(np.int32).max:
        raise node.refuse(
            f"paddings are in [{paddings.min()}, {paddings.max()}]; expected int32, not negative"
        )
    return paddings.astype(np.int64)


def zero_value(node: Node) -> np.ndarray:
    """Return what stands for 0 in the output, as a 0-d array: its zero point, or 0 without parameters."""
    y = node.output
    if y.dtype not in ("int8", "uint8", "int16") or not y.quantized:
        return np.zeros((), y.dtype)
    low, high = type_bounds(y.dtype)
    if not low <= y.zero_point <= high:
        raise node.refuse(f"the zero point of the output is {y.zero_point}; expected one in [{low}, {high}]")
    return np.array(y.zero_point, y.dtype)


def pad_value(node: Node) -> np.ndarray:
    """Return the value to pad with, as a 0-d array of the dtype.

    PADV2 gives it, in the output's parameters. Otherwise it is what stands for 0: the zero point of the
    output, or 0 where there are no parameters.
    """
    y = node.output
    given = node.optional_input(2)
    if given is not None:
        same_dtype(node, y, given)
        if y.quantized:
            same_parameters(node, y, given)
        value = node.known_value(2)
        if value.size != 1:
            raise node.refuse(f"the value to pad with has shape {value.shape}; expected one element")
        return value.reshape(())
    return zero_value(node)


def zero_padding(node: Node) -> ZeroPadding | None:
    """Return the paddings where the value is what stands for 0."""
    if pad_value(node) != zero_value(node):
        return None
    return [(before, after) for before, after in read_paddings(node).tolist()]


def pad_version(node: Node) -> int:
    """Return 5 for bool, 4 for more than 4 dimensions, 3 for int16, 2 for int8."""
    dtype = dtype_of(node, 0)
    if dtype != "bool" and rank_of(node, 0) > 4:
        return 4
    return {"bool": 5, "int16": 3, "int8": 2}.get(dtype, 1)


@operator(
    "PAD",
    "PADV2",
    dtypes=("any",),
    max_version=6,
    version=pad_version,
    int16x8_version=2,
    rules={"optimized": {"any": Rule()}, "tflm": {"float32, int8, int16, int32": Rule()}},
    quantization=SAME_SCALE,
    integer_inputs={1: ShapeInput(fitting_paddings)},
    zero_padding=zero_padding,
)
def lower_pad(node: Node) -> KernelCall:
    """Lower PAD and PADV2; the paddings, and the value of PADV2, must be known before running."""
    x, y = node.input(0), node.output
    same_dtype(node, x, y)
    if node.op.op == "PAD":
        same_parameters_if_delegated(node, x, y)
    element_bytes(node, x)
    paddings = read_paddings(node)
    y.shape = tuple(int(n) for n in np.array(x.shape, np.int64) + paddings.sum(axis=1))
    return kernels.pad_call(
        shape=x.shape,
        before=[int(n) for n in paddings[:, 0]],
        after=[int(n) for n in paddings[:, 1]],
        value=pad_value(node),
        output=len(node.inputs),
    )
