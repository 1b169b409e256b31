"""SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND: blocks of pixels, elsewhere."""

from __future__ import annotations

import numpy as np

from quantcore.kernels import movement
from quantcore.kernels import rearrange as kernels
from quantcore.kernels._core import KernelCall
from quantcore.numerics import Rule
from quantcore.ops.node import Node
from quantcore.ops.pad import zero_value
from quantcore.ops.registry import operator
from quantcore.ops.shared.indices import element_bytes, empty_call, int_values, row_major_strides
from quantcore.ops.shared.operands import (
    check_dtypes,
    check_image,
    check_operands,
    same_parameters_if_delegated,
)
from quantcore.ops.shared.quantization_rule import SAME_SCALE, SAME_SCALE_INT8
from quantcore.ops.shared.version_rules import by_dtype, dtype_of, rank_of

DTYPES = ("float32", "int8", "uint8", "int32", "int64")
BATCH_DTYPES = (*DTYPES, "int16")


def block_size(node: Node) -> int:
    """Return the option block_size; refuse inputs that are not images."""
    size = int(node.options["block_size"])
    if size < 1:
        raise node.refuse(f"block_size is {size}; expected at least 1")
    check_image(node, node.input(0))
    return size


def permute(node: Node, split: tuple[int, ...], order: tuple[int, ...], shape: tuple[int, ...]) -> KernelCall:
    """See the input as an array of shape `split`, and copy it with its dimensions in another `order`."""
    x, y = node.input(0), node.output
    check_dtypes(node, node.dtypes, x, y)
    same_parameters_if_delegated(node, x, y)
    y.shape = shape
    steps = row_major_strides(split)
    return movement.strided_copy_call(
        element_bytes=element_bytes(node, x),
        shape=[split[d] for d in order],
        strides=[steps[d] for d in order],
    )


def batch_version(node: Node) -> int:
    """Return 4 for int16, 3 for other ranks than 4, 2 for int8."""
    dtype = dtype_of(node, 0)
    if dtype == "int16":
        return 4
    return 3 if rank_of(node, 0) != 4 else 2 if dtype == "int8" else 1


@operator(
    "SPACE_TO_DEPTH",
    dtypes=DTYPES,
    max_version=2,
    version=by_dtype(int8=2),
    int16x8_version=2,
    rules={"optimized": {"float32, int8, uint8, int32, int64": Rule()}, "tflm": {"float32, int8": Rule()}},
    quantization=SAME_SCALE_INT8,
)
def lower_space_to_depth(node: Node) -> KernelCall:
    """Lower SPACE_TO_DEPTH: the pixels of a block become channels, row by row."""
    check_operands(node, 1)
    size = block_size(node)
    n, height, width, depth = node.input(0).shape
    if height % size or width % size:
        raise node.refuse(f"{height} x {width} pixels do not divide into blocks of {size}")
    split = (n, height // size, size, width // size, size, depth)
    shape = (n, height // size, width // size, size * size * depth)
    return permute(node, split, (0, 1, 3, 2, 4, 5), shape)


@operator(
    "DEPTH_TO_SPACE",
    dtypes=DTYPES,
    max_version=2,
    registered={"BUILTIN_REF": 1},
    version=by_dtype(int8=2),
    int16x8_version=2,
    page="space_to_depth",
    rules={"optimized": {"float32, int8, uint8, int32, int64": Rule()}, "tflm": {"float32, int8": Rule()}},
    quantization=SAME_SCALE_INT8,
)
def lower_depth_to_space(node: Node) -> KernelCall:
    """Lower DEPTH_TO_SPACE, the reverse of SPACE_TO_DEPTH."""
    check_operands(node, 1)
    size = block_size(node)
    n, height, width, channels = node.input(0).shape
    if channels % (size * size):
        raise node.refuse(f"{channels} channels do not divide into blocks of {size} x {size} pixels")
    split = (n, height, width, size, size, channels // (size * size))
    shape = (n, height * size, width * size, channels // (size * size))
    return permute(node, split, (0, 1, 3, 2, 4, 5), shape)


def read_blocks(node: Node) -> tuple[list[int], np.ndarray, int]:
    """Return block and ``(before, after)`` of two spatial dimensions, and how many the input has (1 or 2)."""
    check_operands(node, 3)
    check_dtypes(node, node.dtypes, node.input(0), node.output)
    rank = len(node.input(0).shape)
    if rank not in (3, 4):
        raise node.refuse(f"the input has shape {node.input(0).shape}; expected three or four dimensions")
    spatial = rank - 2
    block, margins = int_values(node, 1, spatial), node.known_value(2)
    if margins.dtype not in (np.int32, np.int64) or margins.shape != (spatial, 2):
        raise node.refuse(f"input 2 is {margins.dtype} of shape {margins.shape}; expected ({spatial}, 2)")
    limit = np.iinfo(np.int32).max
    if min(block) < 1 or max(block) > limit or margins.min() < 0 or margins.max() > limit:
        raise node.refuse(
            f"blocks are {block}, rows before and after {margins.tolist()}; expected blocks of at least 1 "
            "and no negative rows"
        )
    missing = 2 - spatial
    return (
        block + [1] * missing,
        np.concatenate([margins.astype(np.int64), np.zeros((missing, 2), np.int64)]),
        spatial,
    )


@operator(
    "SPACE_TO_BATCH_ND",
    dtypes=BATCH_DTYPES,
    max_version=4,
    version=batch_version,
    int16x8_version=2,
    rules={
        "optimized": {"float32, int8, uint8, int16, int32, int64": Rule()},
        "tflm": {"float32, int8": Rule(form="zero")},
    },
    quantization=SAME_SCALE,
)
def lower_space_to_batch(node: Node) -> KernelCall:
    """Lower SPACE_TO_BATCH_ND; blocks and paddings must be known before running."""
    block, paddings, spatial = read_blocks(node)
    x, y = node.input(0), node.output
    space = [*x.shape[1:-1], 1][:2]
    padded = [n + int(before + after) for n, (before, after) in zip(space, paddings, strict=True)]
    if any(n % size for n, size in zip(padded, block, strict=True)):
        raise node.refuse(f"{padded} padded rows and columns do not divide into blocks of {block}")
    grid = [n // size for n, size in zip(padded, block, strict=True)]
    batch, depth = x.shape[0], x.shape[-1]
    y.shape = (batch * block[0] * block[1], *grid[:spatial], depth)
    if y.count == 0:
        return empty_call()
    return kernels.blocks_call(
        to_batch=True,
        batch=batch,
        space=space,
        block=block,
        origin=[int(before) for before in paddings[:, 0]],
        grid=grid,
        depth=depth,
        value=np.zeros((), y.dtype) if node.rule.form == "zero" else zero_value(node),
        output=3,
    )


@operator(
    "BATCH_TO_SPACE_ND",
    dtypes=BATCH_DTYPES,
    max_version=4,
    version=batch_version,
    int16x8_version=2,
    page="space_to_batch_nd",
    rules={
        "optimized": {"float32, int8, uint8, int16, int32, int64": Rule()},
        "tflm": {"float32, int8": Rule()},
    },
    quantization=SAME_SCALE,
)
def lower_batch_to_space(node: Node) -> KernelCall:
    """Lower BATCH_TO_SPACE_ND; blocks and crops must be known before running."""
    block, crops, spatial = read_blocks(node)
    x, y = node.input(0), node.output
    if x.shape[0] % (block[0] * block[1]):
        raise node.refuse(f"{x.shape[0]} images do not divide into blocks of {block}")
    grid = [*x.shape[1:-1], 1][:2]
    space = [n * size - int(c.sum()) for n, size, c in zip(grid, block, crops, strict=True)]
    if min(space) < 0:
        raise node.refuse(
            f"crops {crops[:spatial].tolist()} leave {space[:spatial]} rows and columns; expected at least 0"
        )
    batch, depth = x.shape[0] // (block[0] * block[1]), x.shape[-1]
    y.shape = (batch, *space[:spatial], depth)
    if y.count == 0:
        return empty_call()
    return kernels.blocks_call(
        to_batch=False,
        batch=batch,
        space=space,
        block=block,
        origin=[int(before) for before in crops[:, 0]],
        grid=grid,
        depth=depth,
        value=np.zeros((), f"V{element_bytes(node, x)}"),
        output=3,
    )
