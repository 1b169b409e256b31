"""BATCH_MATMUL over csrc/reference/batch_matmul.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_requant

cdef extern from "quantcore/batch_matmul.h" nogil:
    ctypedef struct qc_matmul_shape:
        int32_t[3] batch
        int64_t[3] lhs_batch
        int64_t[3] rhs_batch
        int32_t rows
        int32_t columns
        int32_t depth
        int64_t lhs_row
        int64_t lhs_depth
        int64_t rhs_column
        int64_t rhs_depth
    ctypedef struct qc_matmul_params:
        qc_matmul_shape shape
        int32_t lhs_offset
        int32_t rhs_offset
        qc_requant requant
    ctypedef struct qc_matmul_hybrid_params:
        qc_matmul_shape shape
        int32_t asymmetric
        int32_t weight_scales
        const float *weight_scale
    int64_t qc_matmul_scratch_size(const qc_matmul_shape *, int64_t item)
    int64_t qc_matmul_hybrid_scratch_size(const qc_matmul_shape *)

RATE = {"int8": 60, "int16": 10, "float32": 20}  # products that a core forms in a nanosecond


cdef qc_matmul_shape c_shape(object shape):
    """Convert a `MatmulShape`; a value outside int32 raises OverflowError."""
    cdef qc_matmul_shape s
    cdef int d
    (batch, lhs_batch, rhs_batch, s.rows, s.columns, s.depth, s.lhs_row, s.lhs_depth, s.rhs_column,
     s.rhs_depth) = shape
    for d in range(3):
        s.batch[d] = batch[d]
        s.lhs_batch[d] = lhs_batch[d]
        s.rhs_batch[d] = rhs_batch[d]
    return s


cdef int outermost(const qc_matmul_shape *s) noexcept:
    """Return the first batch dimension with more than one matrix; 3 if there is none."""
    for d in range(3):
        if s.batch[d] != 1:
            return d
    return 3


cdef void part_of_matmul(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    """Matrices along the outermost batch dimension, or rows of a single one."""
    cdef qc_matmul_shape *s = <qc_matmul_shape *>params
    cdef int d = outermost(s)
    if d < 3:
        s.batch[d] = <int32_t>count
    else:
        s.rows = <int32_t>count


cdef KernelCall divide_matmul(KernelCall call, const qc_matmul_shape *s, int64_t item, int64_t output_item, double rate):
    cdef int64_t row = s.columns * output_item
    cdef int64_t matrices = <int64_t>s.batch[0] * s.batch[1] * s.batch[2]
    cdef double nanoseconds = matrices * s.rows * <double>s.columns * s.depth / rate
    cdef int d = outermost(s)
    if d == 3:
        return call.divide(part_of_matmul, s.rows, (s.lhs_row * item, 0, row), nanoseconds)
    inner = matrices // s.batch[d] if s.batch[d] else 0
    unit_bytes = (s.lhs_batch[d] * item, s.rhs_batch[d] * item, inner * s.rows * row)
    return call.divide(part_of_matmul, s.batch[d], unit_bytes, nanoseconds)


cdef qc_matmul_shape as_one_matrix(qc_matmul_shape s):
    """Return the same products as one, where the left matrices follow each other and the right one repeats."""
    cdef int64_t rows = s.rows, matrix = s.rows * <int64_t>s.depth
    if s.lhs_depth != 1:
        return s
    for d in (2, 1, 0):
        if s.batch[d] != 1 and (s.rhs_batch[d] != 0 or s.lhs_batch[d] != matrix):
            return s
        matrix *= s.batch[d]
        rows *= s.batch[d]
    if rows >= 2**31:
        return s
    s.rows = <int32_t>rows
    s.lhs_row = s.depth
    for d in range(3):
        s.batch[d] = 1
        s.lhs_batch[d] = s.rhs_batch[d] = 0
    return s


cdef object matmul_bound(const qc_matmul_shape *s, int32_t lhs_offset, int32_t rhs_offset):
    """Return what sums of int8 products do not exceed in magnitude."""
    return s.depth * max(abs(lhs_offset - 128), abs(lhs_offset + 127)) * max(abs(rhs_offset - 128), abs(rhs_offset + 127))


def batch_matmul_call(str dtype, shape, *, int32_t lhs_offset=0, int32_t rhs_offset=0,
                      Requant requant=None) -> KernelCall:
    """Products of int8, int16 or float32; those of int8 without `requant` are int32. See ``qc_matmul_params``.

    `shape` is a `MatmulShape`.
    """
    cdef qc_matmul_params p
    memset(&p, 0, sizeof(p))  # some have no requantization
    p.shape = as_one_matrix(c_shape(shape))
    p.lhs_offset = lhs_offset
    p.rhs_offset = rhs_offset
    name = f"batch_matmul_{DTYPE_SUFFIX[dtype]}"
    output_item = item = ITEM_BYTES[dtype]
    if requant is not None:
        bound = matmul_bound(&p.shape, lhs_offset, rhs_offset) if dtype == "int8" else None
        p.requant = requant.prepared(p.shape.columns, 1, bound)
    elif dtype == "int8":
        name += "_s32"
        output_item = 4
    call = make_call(name, &p, sizeof(p), qc_matmul_scratch_size(&p.shape, item), requant)
    return divide_matmul(call, &p.shape, item, output_item, RATE[dtype])


def batch_matmul_hybrid_call(shape, *, bint asymmetric, weight_scale, bint fma=False) -> KernelCall:
    """float32 times int8 weights with one scale, or one per column; with `fma` as XNNPACK does it. See
    ``qc_matmul_hybrid_params``."""
    cdef qc_matmul_hybrid_params p
    scales = np.ascontiguousarray(weight_scale, dtype=np.float32)
    p.shape = c_shape(shape)
    p.asymmetric = asymmetric
    p.weight_scales = scales.size
    p.weight_scale = <const float *>address(scales)
    name = "batch_matmul_hybrid_fma" if fma else "batch_matmul_hybrid"
    return make_call(name, &p, sizeof(p), qc_matmul_hybrid_scratch_size(&p.shape), scales)
