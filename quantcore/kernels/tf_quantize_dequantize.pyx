"""TensorFlow's QuantizeAndDequantize over csrc/reference/tf_quantize_dequantize.c.

Arrays are seen as ``(outer, slices, inner)``, with one range per slice.
"""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, address, make_call

cdef extern from "quantcore/tf_quantize_dequantize.h" nogil:
    # that of float64 differs in the type of the ends, to which both have pointers
    ctypedef struct qc_tf_quantize_dequantize_f32_params:
        int64_t outer
        int64_t slices
        int64_t inner
        int64_t lowest
        int64_t highest
        int32_t half_up
        int32_t range_given
        const float *min
        const float *max


def quantize_and_dequantize_call(suffix, *, int64_t outer, int64_t slices, int64_t inner, int64_t lowest,
                                 int64_t highest, bint half_up, low, high) -> KernelCall:
    """`suffix` is ``f32`` or ``f64``; `low` and `high` are contiguous of that type, one number per slice, or None."""
    cdef qc_tf_quantize_dequantize_f32_params p
    p.outer = outer
    p.slices = slices
    p.inner = inner
    p.lowest = lowest
    p.highest = highest
    p.half_up = half_up
    p.range_given = low is not None
    p.min = <const float *>address(low)
    p.max = <const float *>address(high)
    return make_call(f"tf_quantize_dequantize_{suffix}", &p, sizeof(p), 0, (low, high))
