"""Histograms of bounded size over csrc/reference/histogram.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/histogram.h" nogil:
    ctypedef struct qc_histogram_params:
        int64_t outer
        int64_t channels
        int64_t inner
        int32_t bits
    int64_t qc_histogram_scratch(const qc_histogram_params *)


def histogram_call(*, int64_t outer, int64_t channels, int64_t inner, int32_t bits) -> KernelCall:
    """float32 ``(outer, channels, inner)``; ends ``(2, channels)`` and int64 counts, which it updates.

    The counts have the shape ``(channels, 2 * 2**bits + 1)``. The call raises `KernelError` where an element is
    not finite.
    """
    cdef qc_histogram_params p
    p.outer = outer
    p.channels = channels
    p.inner = inner
    p.bits = bits
    return make_call("histogram_f32", &p, sizeof(p), qc_histogram_scratch(&p))
