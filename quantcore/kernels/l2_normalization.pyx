"""L2_NORMALIZATION over csrc/reference/l2_normalization.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/l2_normalization.h" nogil:
    ctypedef struct qc_l2_normalization_params:
        int64_t rows
        int64_t depth
        int32_t input_zero_point


def l2_normalization_call(dtype, *, int64_t rows, int64_t depth, int32_t input_zero_point=0) -> KernelCall:
    """L2_NORMALIZATION of rows; see ``qc_l2_normalization_params``."""
    cdef qc_l2_normalization_params p = qc_l2_normalization_params(rows, depth, input_zero_point)
    return make_call(f"l2_normalization_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
