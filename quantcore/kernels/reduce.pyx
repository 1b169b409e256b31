"""MEAN, SUM and the other reductions over csrc/reference/reduce.c."""

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
        int32_t from_first
    ctypedef struct qc_mean_params:
        qc_reduction reduction
        int32_t input_zero_point
        int32_t channels
        qc_requant requant
    ctypedef struct qc_scaled_sum_params:
        qc_reduction reduction
        float scale
        float bias
        int32_t saturate
        int32_t output_offset
        int32_t lowest
        int32_t highest
    ctypedef struct qc_mean_plain_params:
        qc_reduction reduction
    ctypedef enum qc_reduce_operation:
        QC_REDUCE_SUM
        QC_REDUCE_PRODUCT
        QC_REDUCE_MAX
        QC_REDUCE_MIN
        QC_REDUCE_MAX_LATER
        QC_REDUCE_MIN_LATER
        QC_REDUCE_ANY
        QC_REDUCE_ALL
    ctypedef struct qc_reduce_params:
        qc_reduction reduction
        qc_reduce_operation operation
    ctypedef struct qc_scaled_product_params:
        qc_reduction reduction
        int32_t input_zero_point
        qc_requant requant
    int64_t qc_mean_scratch_size(const qc_reduction *, int64_t)

OPERATIONS = {
    "sum": QC_REDUCE_SUM, "product": QC_REDUCE_PRODUCT, "max": QC_REDUCE_MAX, "min": QC_REDUCE_MIN,
    "max_later": QC_REDUCE_MAX_LATER, "min_later": QC_REDUCE_MIN_LATER, "any": QC_REDUCE_ANY, "all": QC_REDUCE_ALL,
}

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


cdef int fill_reduction(qc_reduction *r, shape, axes, from_first=False) except -1:
    walk = reduction_walk(shape, axes)
    if len(walk) > QC_REDUCTION_RANK:
        raise KernelError(f"a reduction of shape {shape} over {sorted(axes)} alternates more than 8 times")
    r.rank = len(walk)
    r.from_first = from_first
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


def mean_call(dtype, *, shape, axes, int32_t input_zero_point, Requant requant, int32_t channels=1) -> KernelCall:
    """MEAN of int8, uint8 or int16 over the set `axes` (counted from the front); see ``qc_mean_params``."""
    cdef qc_mean_params p
    fill_reduction(&p.reduction, shape, axes)
    p.channels = channels
    p.input_zero_point = input_zero_point
    p.requant = requant.c
    scratch = qc_mean_scratch_size(&p.reduction, ACCUMULATOR[dtype])
    return make_call(f"mean_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, requant)


def scaled_sum_call(dtype, *, shape, axes, float scale, float bias, bint saturate, int32_t output_offset,
                    int32_t lowest, int32_t highest) -> KernelCall:
    """SUM or MEAN of int8, uint8 or int16, rescaled in float32; see ``qc_scaled_sum_params``."""
    cdef qc_scaled_sum_params p
    fill_reduction(&p.reduction, shape, axes)
    p.scale = scale
    p.bias = bias
    p.saturate = saturate
    p.output_offset = output_offset
    p.lowest = lowest
    p.highest = highest
    scratch = qc_mean_scratch_size(&p.reduction, ACCUMULATOR[dtype])
    return make_call(f"scaled_sum_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch)


def scaled_product_call(dtype, *, shape, axes, int32_t input_zero_point, Requant requant) -> KernelCall:
    """REDUCE_PROD of int8 or int16 with scales; see ``qc_scaled_product_params``."""
    cdef qc_scaled_product_params p
    fill_reduction(&p.reduction, shape, axes, True)
    p.input_zero_point = input_zero_point
    p.requant = requant.c
    scratch = qc_mean_scratch_size(&p.reduction, ACCUMULATOR[dtype])
    return make_call(f"scaled_product_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, requant)


def reduce_call(dtype, operation, *, shape, axes, bint from_first=False) -> KernelCall:
    """A reduction without scales, one of ``OPERATIONS``; see ``qc_reduce_params`` for the dtypes."""
    cdef qc_reduce_params p
    fill_reduction(&p.reduction, shape, axes, from_first)
    p.operation = <qc_reduce_operation><int>OPERATIONS[operation]
    return make_call(f"reduce_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def mean_plain_call(dtype, *, shape, axes, bint from_first=False) -> KernelCall:
    """MEAN of float32, int32 or int64 over the set `axes`."""
    cdef qc_mean_plain_params p
    fill_reduction(&p.reduction, shape, axes, from_first)
    scratch = qc_mean_scratch_size(&p.reduction, ACCUMULATOR.get(dtype, 0))
    return make_call(f"mean_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch)
