"""Shapes that broadcast."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels.elementwise import broadcast_shape
from quantcore.ops.node import Node, Operand

__all__ = ["broadcast", "broadcast_strides", "common_shape", "walked_in_rows"]

MAX_MICRO_RANK = 4  # TFLite Micro broadcasts over four dimensions


def broadcast(node: Node, max_rank: int, *operands: Operand) -> tuple[int, ...]:
    """Return the shape that those of `operands` broadcast to.

    Refused are more than `max_rank` dimensions, where shapes differ, and more elements than TFLite counts.
    """
    shape = common_shape(node, *(o.shape for o in operands))
    listed = " and ".join(str(o.shape) for o in operands)
    if node.profile.micro:
        max_rank = min(max_rank, MAX_MICRO_RANK)
    if len({o.shape for o in operands}) > 1 and len(shape) > max_rank:
        raise node.refuse(
            f"shapes {listed} broadcast over {len(shape)} dimensions; the limit is {max_rank}, as in TFLite"
        )
    if math.prod(shape) > np.iinfo(np.int32).max:
        raise node.refuse(f"shapes {listed} broadcast to more than 2**31 - 1 elements")
    return shape


def common_shape(node: Node, *shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that all of `shapes` broadcast to."""
    common: tuple[int, ...] = ()
    try:
        for shape in shapes:
            common = broadcast_shape(common, shape)
    except KernelError as error:
        raise node.refuse(str(error)) from None
    return common


def broadcast_strides(shape: Sequence[int], full: Sequence[int]) -> list[int]:
    """Return the distance between neighbours, in elements; 0 in dimensions where `shape` repeats."""
    sizes = (1,) * (len(full) - len(shape)) + tuple(shape)
    strides, step = [], 1
    for size, size_full in zip(reversed(sizes), reversed(full), strict=True):
        strides.append(step if size == size_full else 0)
        step *= size
    return strides[::-1]


def walked_in_rows(shape1: tuple[int, ...], shape2: tuple[int, ...]) -> bool:
    """Whether TFLite's optimized kernels walk two shapes that broadcast row by row, by vector code.

    From the last dimension outwards, they allow dimensions that are equal, then such in which one input
    repeats, equal ones, such in which the other input repeats, equal ones. Any other pattern is left to the
    reference kernel. Source: TFLite ``kernels/internal/reference/process_broadcast_shapes.h``.
    """
    rank = max(len(shape1), len(shape2))
    sizes1, sizes2 = ((1,) * (rank - len(s)) + tuple(s) for s in (shape1, shape2))
    pairs = list(zip(sizes1, sizes2, strict=True))
    unequal = [pair for pair in reversed(pairs) if pair[0] != pair[1]]
    if unequal and unequal[0][0] != 1:  # the input that repeats in the innermost such dimension comes first
        pairs = [(b, a) for a, b in pairs]

    def equal(pair: tuple[int, int]) -> bool:
        return pair[0] == pair[1]

    def first_repeats(pair: tuple[int, int]) -> bool:
        return pair[0] == 1

    def second_repeats(pair: tuple[int, int]) -> bool:
        return pair[1] == 1

    for matches in (equal, first_repeats, equal, second_repeats, equal):
        while pairs and matches(pairs[-1]):
            pairs.pop()
    return not pairs
