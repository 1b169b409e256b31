"""CUMSUM over csrc/reference/scan.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call
from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/scan.h" nogil:
    ctypedef struct qc_cumsum_params:
        int64_t outer
        int64_t size
        int64_t inner
        int32_t exclusive
        int32_t reverse


def cumsum_call(dtype, *, int64_t outer, int64_t size, int64_t inner, bint exclusive, bint reverse) -> KernelCall:
    """Sums of everything so far; see ``qc_cumsum_params``."""
    cdef qc_cumsum_params p
    p.outer = outer
    p.size = size
    p.inner = inner
    p.exclusive = exclusive
    p.reverse = reverse
    return make_call(f"cumsum_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
