"""MEAN over csrc/reference/reduce.c."""

import math

from quantcore.errors import KernelError

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, Requant, make_call, qc_requant

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/reduce.h" nogil:
    enum:
        QC_REDUCTION_RANK
    ctypedef struct qc_reduction:
        int32_t rank
        int64_t[8] shape
        int64_t[8] output_stride
        int64_t outputs
        int64_t elements
    ctypedef struct qc_mean_params:
        qc_reduction reduction
        int32_t input_zero_point
        qc_requant requant
    ctypedef struct qc_mean_plain_params:
        qc_reduction reduction
    int64_t qc_mean_scratch_size(const qc_reduction *, int64_t)

# bytes of an accumulator that is not the output itself
ACCUMULATOR = {"int8": 4, "uint8": 4, "int16": 4, "int32": 8}


def reduction_walk(shape, axes):
    """Return ``[(size, reduced), ...]`` of as few dimensions as possible: neighbours of one kind are merged."""
    walk = []
    for d, size in enumerate(shape):
        if size == 1:
            continue
        reduced = d in axes
        if walk and last_reduced == reduced:
            size *= walk.pop()[0]
        walk.append((size, reduced))
        last_reduced = reduced
    return walk or [(1, False)]


cdef int fill_reduction(qc_reduction *r, shape, axes) except -1:
    walk = reduction_walk(shape, axes)
    if len(walk) > QC_REDUCTION_RANK:
        raise KernelError(f"a reduction of shape {shape} over {sorted(axes)} alternates more than 8 times")
    r.rank = len(walk)
    r.outputs = math.prod(size for d, size in enumerate(shape) if d not in axes)
    r.elements = math.prod(shape[d] for d in axes) if math.prod(shape) else 0
    stride = 1
    for d in range(len(walk) - 1, -1, -1):
        size, reduced = walk[d]
        r.shape[d] = size
        r.output_stride[d] = 0 if reduced else stride
        if not reduced:
            stride *= size
    return 0


def mean_call(dtype, *, shape, axes, int32_t input_zero_point, Requant requant) -> KernelCall:
    """MEAN of int8, uint8 or int16 over the set `axes` (counted from the front); see ``qc_mean_params``."""
    cdef qc_mean_params p
    fill_reduction(&p.reduction, shape, axes)
    p.input_zero_point = input_zero_point
    p.requant = requant.c
    scratch = qc_mean_scratch_size(&p.reduction, ACCUMULATOR[dtype])
    return make_call(f"mean_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, requant)


def mean_plain_call(dtype, *, shape, axes) -> KernelCall:
    """MEAN of float32, int32 or int64 over the set `axes`."""
    cdef qc_mean_plain_params p
    fill_reduction(&p.reduction, shape, axes)
    scratch = qc_mean_scratch_size(&p.reduction, ACCUMULATOR.get(dtype, 0))
    return make_call(f"mean_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch)
