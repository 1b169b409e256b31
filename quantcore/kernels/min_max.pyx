"""Running minimum and maximum over csrc/reference/min_max.c."""

from libc.stdint cimport int64_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/min_max.h" nogil:
    ctypedef struct qc_min_max_params:
        int64_t outer
        int64_t channels
        int64_t inner


def min_max_call(*, int64_t outer, int64_t channels, int64_t inner) -> KernelCall:
    """float32 ``(outer, channels, inner)`` and a range ``(2, channels)`` that it widens.

    The call raises `KernelError` where an element is not finite.
    """
    cdef qc_min_max_params p
    p.outer = outer
    p.channels = channels
    p.inner = inner
    return make_call("min_max_f32", &p, sizeof(p))
