"""Data movement over csrc/reference/movement.c: by element size, for every dtype."""

import numpy as np

from quantcore.errors import KernelError

from libc.stdint cimport int32_t, int64_t, uint8_t

from quantcore.kernels._core cimport KernelCall, address, make_call

cdef extern from "quantcore/movement.h" nogil:
    enum:
        QC_MAX_RANK
    ctypedef struct qc_copy_params:
        int32_t input
        int32_t output
        int64_t size_bytes
    ctypedef struct qc_strided_copy_params:
        int32_t input
        int32_t output
        int32_t rank
        int32_t element_bytes
        int64_t first
        int64_t[8] shape
        int64_t[8] stride
    ctypedef struct qc_parts_params:
        int32_t whole
        int32_t first_part
        int64_t rows
        int32_t parts
        const int64_t *part_bytes
    ctypedef struct qc_join_rescaled_params:
        qc_parts_params parts
        const float *ratio
        const float *bias
        int32_t output_zero_point
    ctypedef struct qc_pad_params:
        int32_t input
        int32_t output
        int32_t rank
        int32_t element_bytes
        int64_t[8] shape
        int64_t[8] before
        int64_t[8] after
        uint8_t[16] value
    ctypedef struct qc_gather_params:
        int64_t batch
        int64_t outer
        int64_t axis
        int64_t count
        int64_t slice_bytes
        int32_t index_bytes

MAX_RANK = QC_MAX_RANK


def copy_call(*, int64_t size_bytes, int32_t input=0, int32_t output=1) -> KernelCall:
    """The same bytes. `input` and `output` are positions in the operator's pointer table."""
    cdef qc_copy_params p
    p.input = input
    p.output = output
    p.size_bytes = size_bytes
    cdef KernelCall call = make_call("copy", &p, sizeof(p))
    call.views = ((output, input, 0),)
    return call


def merge_dimensions(shape, strides):
    """Return an equal traversal ``(shape, strides)`` of as few dimensions as possible.

    Dimensions of one element go, and a dimension that continues the next one is merged with it, so that
    the innermost rows become long.
    """
    sizes, steps = [], []
    for size, step in zip(shape, strides):
        if size == 1:
            continue
        if steps and outer_step == step * size:
            size *= sizes.pop()
            steps.pop()
        sizes.append(size)
        steps.append(step)
        outer_step = step
    return sizes, steps


def strided_copy_call(*, int32_t element_bytes, shape, strides, int64_t first=0, int32_t input=0,
                      int32_t output=1) -> KernelCall:
    """``output[i, j, ...] = input.flat[first + i * strides[0] + j * strides[1] ...]``, strides in elements."""
    cdef qc_strided_copy_params p
    shape, strides = merge_dimensions(shape, strides)
    if len(shape) > QC_MAX_RANK:
        raise KernelError(f"{len(shape)} dimensions after merging; the kernel takes {QC_MAX_RANK}")
    p.input = input
    p.output = output
    p.rank = len(shape)
    p.element_bytes = element_bytes
    p.first = first
    for d in range(p.rank):
        p.shape[d] = shape[d]
        p.stride[d] = strides[d]
    cdef KernelCall call = make_call("strided_copy", &p, sizeof(p))
    if strides in ([], [1]):
        call.views = ((output, input, first * element_bytes),)
    return call


cdef object fill_parts(qc_parts_params *p, int32_t whole, int32_t first_part, int64_t rows, part_bytes):
    """Fill `p` and return the array that it points into."""
    part_bytes = np.ascontiguousarray(part_bytes, dtype=np.int64)
    p.whole = whole
    p.first_part = first_part
    p.rows = rows
    p.parts = part_bytes.size
    p.part_bytes = <const int64_t *>address(part_bytes)
    return part_bytes


def offsets_of(part_bytes):
    """Where each part begins, in bytes."""
    return (np.cumsum(part_bytes) - part_bytes).tolist()


def join_call(*, int64_t rows, part_bytes) -> KernelCall:
    """Parts of ``[rows][part_bytes[k]]`` side by side into one ``[rows][sum(part_bytes)]``."""
    cdef qc_parts_params p
    keepalive = fill_parts(&p, len(part_bytes), 0, rows, part_bytes)
    cdef KernelCall call = make_call("join", &p, sizeof(p), 0, keepalive)
    if rows == 1:
        call.views = tuple((k, p.whole, at) for k, at in enumerate(offsets_of(keepalive)))
    return call


def split_call(*, int64_t rows, part_bytes, int32_t whole, int32_t first_part) -> KernelCall:
    """The reverse of `join_call`; `whole` and `first_part` are positions in the pointer table."""
    cdef qc_parts_params p
    keepalive = fill_parts(&p, whole, first_part, rows, part_bytes)
    cdef KernelCall call = make_call("split", &p, sizeof(p), 0, keepalive)
    if rows == 1:
        call.views = tuple((first_part + k, whole, at) for k, at in enumerate(offsets_of(keepalive)))
    return call


def join_rescaled_u8_call(*, int64_t rows, part_bytes, ratio, bias, int32_t output_zero_point) -> KernelCall:
    """Like `join_call` for uint8 parts that are rescaled; see ``qc_join_rescaled_params``."""
    cdef qc_join_rescaled_params p
    keepalive = fill_parts(&p.parts, len(part_bytes), 0, rows, part_bytes)
    ratio = np.ascontiguousarray(ratio, dtype=np.float32)
    bias = np.ascontiguousarray(bias, dtype=np.float32)
    if ratio.shape != keepalive.shape or bias.shape != keepalive.shape:
        raise KernelError(f"expected one ratio and bias for each of {keepalive.size} parts")
    p.ratio = <const float *>address(ratio)
    p.bias = <const float *>address(bias)
    p.output_zero_point = output_zero_point
    return make_call("join_rescaled_u8", &p, sizeof(p), 0, (keepalive, ratio, bias))


def pad_call(*, shape, before, after, value, int32_t output) -> KernelCall:
    """`value` (a NumPy scalar of the dtype) around the input; `output` is the position of the output."""
    cdef qc_pad_params p
    cdef const unsigned char[:] encoded = np.asarray(value).tobytes()
    dimensions = merge_unpadded(shape, before, after)
    if len(dimensions) > QC_MAX_RANK:
        raise KernelError(f"{len(dimensions)} dimensions after merging; the kernel takes {QC_MAX_RANK}")
    p.input = 0
    p.output = output
    p.rank = len(dimensions)
    p.element_bytes = encoded.shape[0]
    for d, (size, low, high) in enumerate(dimensions):
        p.shape[d] = size
        p.before[d] = low
        p.after[d] = high
    for d in range(p.element_bytes):
        p.value[d] = encoded[d]
    return make_call("pad", &p, sizeof(p))


def merge_unpadded(shape, before, after):
    """Return ``(size, before, after)`` per dimension, where one without padding is merged into the one outside it."""
    dimensions = []
    for size, low, high in zip(shape, before, after):
        if dimensions and low == high == 0:
            dimensions.append(tuple(size * v for v in dimensions.pop()))
        else:
            dimensions.append((size, low, high))
    return dimensions


def gather_call(*, int64_t batch, int64_t outer, int64_t axis, int64_t count, int64_t slice_bytes,
                int32_t index_bytes) -> KernelCall:
    """Slices by index; see ``qc_gather_params``."""
    cdef qc_gather_params p
    p.batch = batch
    p.outer = outer
    p.axis = axis
    p.count = count
    p.slice_bytes = slice_bytes
    p.index_bytes = index_bytes
    return make_call("gather", &p, sizeof(p))
