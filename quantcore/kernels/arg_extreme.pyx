"""ARG_MAX and ARG_MIN over csrc/reference/arg_extreme.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/arg_extreme.h" nogil:
    ctypedef struct qc_arg_extreme_params:
        int64_t outer
        int64_t axis
        int64_t inner
        int32_t smallest
        int32_t wide


def arg_extreme_call(dtype, *, int64_t outer, int64_t axis, int64_t inner, bint smallest, bint wide) -> KernelCall:
    """Index of the largest (or `smallest`) element as int32 (or, if `wide`, int64); see ``qc_arg_extreme_params``."""
    cdef qc_arg_extreme_params p
    p.outer = outer
    p.axis = axis
    p.inner = inner
    p.smallest = smallest
    p.wide = wide
    return make_call(f"arg_extreme_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
