"""BATCH_MATMUL over csrc/reference/batch_matmul.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from quantcore.kernels._core import DTYPE_SUFFIX

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
    int64_t qc_matmul_hybrid_scratch_size(const qc_matmul_shape *)


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


def batch_matmul_call(str dtype, shape, *, int32_t lhs_offset=0, int32_t rhs_offset=0,
                      Requant requant=None) -> KernelCall:
    """Products of int8, int16 or float32; those of int8 without `requant` are int32. See ``qc_matmul_params``.

    `shape` is a `MatmulShape`.
    """
    cdef qc_matmul_params p
    memset(&p, 0, sizeof(p))  # some have no requantization
    p.shape = c_shape(shape)
    p.lhs_offset = lhs_offset
    p.rhs_offset = rhs_offset
    name = f"batch_matmul_{DTYPE_SUFFIX[dtype]}"
    if requant is not None:
        p.requant = requant.c
    elif dtype == "int8":
        name += "_s32"
    return make_call(name, &p, sizeof(p), 0, requant)


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
