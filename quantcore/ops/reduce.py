"""MEAN."""

from __future__ import annotations

import math

import numpy as np

from quantcore.affine import quantize_multiplier
from quantcore.kernels import reduce as kernels
from quantcore.kernels._core import KernelCall, Requant
from quantcore.ops.movement import resolve_axis
from quantcore.ops.operands import check_dtypes, check_operands, per_tensor
from quantcore.ops.registry import Node, operator
from quantcore.ops.requant import type_bounds

QUANTIZED = ("int8", "uint8", "int16")
DTYPES = (*QUANTIZED, "float32", "int32", "int64")
MAX_RANK = 8


def reduced_axes(node: Node) -> set[int]:
    """Return the set of reduced dimensions, counted from the front."""
    axis = node.known_value(1)
    rank = len(node.input(0).shape)
    if axis.dtype != np.int32:
        raise node.refuse(f"axis is {axis.dtype}; expected int32")
    if rank == 0:
        return set()  # TFLite does not look at the axis of a scalar
    return {resolve_axis(node, int(value), rank) for value in axis.reshape(-1)}


def reduced_shape(node: Node, axes: set[int]) -> tuple[int, ...]:
    """Return the output's shape."""
    shape = node.input(0).shape
    if node.options.get("keep_dims"):
        return tuple(1 if d in axes else size for d, size in enumerate(shape))
    return tuple(size for d, size in enumerate(shape) if d not in axes)


def mean_multiplier(multiplier: int, shift: int, elements: int) -> tuple[int, int]:
    """Divide a fixed-point multiplier by the number of elements.

    The quotient keeps its precision by a shift to the left, as far as the shift that remains allows
    (TFLite reference/reduce.h, QuantizedMeanOrSum).
    """
    left = min(elements.bit_length() - 1, 32, 31 + shift)
    return (multiplier << left) // elements, shift - left


def mean_multipliers(node: Node) -> dict[str, np.ndarray]:
    """Return ``{"output": s_input / s_output}`` (float64 division), not yet divided by the element count."""
    if node.output.dtype not in QUANTIZED:
        return {}
    with np.errstate(all="ignore"):
        return {"output": np.array([np.float64(node.input(0).scale) / np.float64(node.output.scale)])}


def mean_requant(node: Node, elements: int) -> Requant:
    """Return the requantization from a sum to the mean."""
    y = node.output
    (real,) = mean_multipliers(node)["output"]
    if not real < 2.0**31:
        raise node.refuse(f"the ratio of the scales is {real:g}; expected less than 2**31")
    multiplier, shift = quantize_multiplier(real)
    multiplier, shift = mean_multiplier(int(multiplier), int(shift), max(elements, 1))
    if shift > 31:
        raise node.refuse(f"the ratio of the scales is {real:g}; expected less than 2**31")
    low, high = type_bounds(y.dtype)
    return Requant(
        node.rule.rounding,
        multiplier,
        shift,
        output_offset=y.zero_point,
        activation_min=low,
        activation_max=high,
    )


@operator("MEAN", dtypes=DTYPES, max_version=3, page="mean", multipliers=mean_multipliers)
def lower_mean(node: Node) -> KernelCall:
    """Lower MEAN; the axes must be known before running."""
    check_operands(node, 2)
    x, y = node.input(0), node.output
    dtype = check_dtypes(node, DTYPES, x, y)
    axes = reduced_axes(node)
    y.shape = reduced_shape(node, axes)
    if len(kernels.reduction_walk(x.shape, axes)) > MAX_RANK:
        raise node.refuse(f"shape {x.shape} over axes {sorted(axes)} alternates more than {MAX_RANK} times")
    if dtype not in QUANTIZED:
        return kernels.mean_plain_call(dtype, shape=x.shape, axes=axes)
    per_tensor(node, x, y)
    if dtype == "int16" and (x.zero_point or y.zero_point):
        raise node.refuse(f"int16 zero points are {x.zero_point} and {y.zero_point}; expected 0")
    elements = math.prod(x.shape[d] for d in axes)
    return kernels.mean_call(
        dtype, shape=x.shape, axes=axes, input_zero_point=x.zero_point, requant=mean_requant(node, elements)
    )
