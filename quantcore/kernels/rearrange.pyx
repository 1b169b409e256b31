"""Mirrored edges, blocks, filled arrays over csrc/reference/rearrange.c; TOPK_V2 over csrc/reference/topk.c."""

import numpy as np

from quantcore.errors import KernelError

from libc.stdint cimport int32_t, int64_t, uint8_t

from quantcore.kernels._core cimport KernelCall, address, make_call
from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/rearrange.h" nogil:
    enum:
        QC_MAX_RANK
    ctypedef struct qc_mapped_copy_params:
        int32_t output
        int32_t rank
        int32_t element_bytes
        int64_t[8] shape
        const int64_t *offset
    ctypedef struct qc_fill_params:
        int32_t input
        int32_t output
        int32_t element_bytes
        int64_t count
    ctypedef struct qc_blocks_params:
        int32_t output
        int32_t element_bytes
        int64_t batch
        int64_t[2] space
        int64_t[2] block
        int64_t[2] origin
        int64_t[2] grid
        int64_t depth
        uint8_t[16] value
    ctypedef struct qc_one_hot_params:
        int64_t outer
        int64_t depth
        int64_t inner
        int32_t index_bytes
        int32_t element_bytes
    ctypedef struct qc_reverse_sequence_params:
        int64_t outer
        int64_t low
        int64_t middle
        int64_t high
        int64_t slice_bytes
        int32_t sequence_is_high
        int32_t index_bytes

cdef extern from "quantcore/topk.h" nogil:
    ctypedef struct qc_topk_params:
        int64_t rows
        int64_t size
        int64_t k
        int32_t index_bytes


def mapped_copy_call(*, offsets, int32_t element_bytes, int32_t output=1) -> KernelCall:
    """``output[i, j, ...] = input.flat[offsets[0][i] + offsets[1][j] + ...]``, offsets in elements."""
    cdef qc_mapped_copy_params p
    if len(offsets) > QC_MAX_RANK:
        raise KernelError(f"{len(offsets)} dimensions; the kernel takes {QC_MAX_RANK}")
    table = np.concatenate([np.zeros(0, np.int64), *offsets]).astype(np.int64)
    p.output = output
    p.rank = len(offsets)
    p.element_bytes = element_bytes
    for d in range(p.rank):
        p.shape[d] = len(offsets[d])
    p.offset = <const int64_t *>address(table)
    return make_call("mapped_copy", &p, sizeof(p), 0, table)


def fill_call(*, int64_t count, int32_t element_bytes, int32_t input, int32_t output) -> KernelCall:
    """One value, `count` times; `input` and `output` are positions in the pointer table."""
    cdef qc_fill_params p
    p.input = input
    p.output = output
    p.element_bytes = element_bytes
    p.count = count
    return make_call("fill", &p, sizeof(p))


def blocks_call(*, bint to_batch, int64_t batch, space, block, origin, grid, int64_t depth, value,
                int32_t output) -> KernelCall:
    """SPACE_TO_BATCH_ND (`to_batch`) or BATCH_TO_SPACE_ND of two spatial dimensions; see ``qc_blocks_params``.

    `value` is a NumPy scalar of the dtype: what stands in the padding.
    """
    cdef qc_blocks_params p
    cdef const unsigned char[:] encoded = np.asarray(value).tobytes()
    p.output = output
    p.element_bytes = encoded.shape[0]
    p.batch = batch
    for d in range(2):
        p.space[d] = space[d]
        p.block[d] = block[d]
        p.origin[d] = origin[d]
        p.grid[d] = grid[d]
    p.depth = depth
    for d in range(p.element_bytes):
        p.value[d] = encoded[d]
    return make_call("space_to_batch" if to_batch else "batch_to_space", &p, sizeof(p))


def one_hot_call(*, int64_t outer, int64_t depth, int64_t inner, int32_t index_bytes,
                 int32_t element_bytes) -> KernelCall:
    """One of two values by index; see ``qc_one_hot_params``."""
    cdef qc_one_hot_params p
    p.outer = outer
    p.depth = depth
    p.inner = inner
    p.index_bytes = index_bytes
    p.element_bytes = element_bytes
    return make_call("one_hot", &p, sizeof(p))


def reverse_sequence_call(*, int64_t outer, int64_t low, int64_t middle, int64_t high, int64_t slice_bytes,
                          bint sequence_is_high, int32_t index_bytes) -> KernelCall:
    """The leading elements of each sequence in reverse; see ``qc_reverse_sequence_params``."""
    cdef qc_reverse_sequence_params p
    p.outer = outer
    p.low = low
    p.middle = middle
    p.high = high
    p.slice_bytes = slice_bytes
    p.sequence_is_high = sequence_is_high
    p.index_bytes = index_bytes
    return make_call("reverse_sequence", &p, sizeof(p))


def topk_call(dtype, *, int64_t rows, int64_t size, int64_t k, int32_t index_bytes) -> KernelCall:
    """The `k` largest of each row and their places; see ``qc_topk_params``."""
    cdef qc_topk_params p
    p.rows = rows
    p.size = size
    p.k = k
    p.index_bytes = index_bytes
    return make_call(f"topk_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
