"""LOG_SOFTMAX over csrc/reference/log_softmax.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, leading_count, make_call

from quantcore.kernels._core import DTYPE_SUFFIX
from quantcore.kernels.libm import known_libm

cdef extern from "quantcore/log_softmax.h" nogil:
    ctypedef struct qc_log_softmax_params:
        int64_t rows
        int32_t depth
        int32_t diff_min
        int32_t reverse_multiplier
        int32_t reverse_shift
        int32_t[256] exp_table
        int32_t[256] scaled
    ctypedef struct qc_log_softmax_table_params:
        int64_t rows
        int32_t depth
        int32_t output_zero_point
        float input_scale
        float output_scale
        float[256] exp_table
    ctypedef struct qc_log_softmax_f32_params:
        int64_t rows
        int32_t depth
        int32_t known_libm
    void qc_log_softmax_tables(int32_t multiplier, int32_t left_shift, qc_log_softmax_params *)
    void qc_softmax_float_table(float input_scale, float beta, float *exp_table)


def log_softmax_call(dtype, *, int64_t rows, int32_t depth, int32_t multiplier, int32_t left_shift, int32_t diff_min,
                     int32_t reverse_multiplier, int32_t reverse_shift) -> KernelCall:
    """LOG_SOFTMAX on int8 or uint8 in fixed point; see ``qc_log_softmax_params``."""
    cdef qc_log_softmax_params p
    p.rows = rows
    p.depth = depth
    p.diff_min = diff_min
    p.reverse_multiplier = reverse_multiplier
    p.reverse_shift = reverse_shift
    qc_log_softmax_tables(multiplier, left_shift, &p)
    return make_call(f"log_softmax_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def log_softmax_table_call(dtype, *, int64_t rows, int32_t depth, float input_scale, float output_scale,
                           int32_t output_zero_point) -> KernelCall:
    """LOG_SOFTMAX on int8 or uint8 as TFLite's optimized kernels compute it."""
    cdef qc_log_softmax_table_params p
    p.rows = rows
    p.depth = depth
    p.input_scale = input_scale
    p.output_scale = output_scale
    p.output_zero_point = output_zero_point
    qc_softmax_float_table(input_scale, 1.0, p.exp_table)
    return make_call(f"log_softmax_table_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def log_softmax_f32_call(*, int64_t rows, int32_t depth) -> KernelCall:
    """LOG_SOFTMAX on float32."""
    cdef qc_log_softmax_f32_params p
    p.rows = rows
    p.depth = depth
    p.known_libm = known_libm()
    call = make_call("log_softmax_f32", &p, sizeof(p))
    return call.divide(leading_count, rows, (4 * depth, 4 * depth), rows * depth)
