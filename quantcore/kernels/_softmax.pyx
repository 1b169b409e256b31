"""SOFTMAX over csrc/reference/softmax.c."""

from quantcore.errors import KernelError

from libc.stdint cimport int16_t, int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, leading_count, make_call

from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES
from quantcore.kernels.libm import known_libm

cdef extern from "quantcore/softmax.h" nogil:
    ctypedef struct qc_softmax_params:
        int64_t rows
        int32_t depth
        int32_t[256] exp_table
    ctypedef struct qc_softmax_table_params:
        int64_t rows
        int32_t depth
        float output_scale
        int32_t output_zero_point
        float[256] exp_table
    ctypedef struct qc_softmax_s16_params:
        int64_t rows
        int32_t depth
        int32_t multiplier
        int32_t shift
        int16_t[513] exp_table
        int16_t[513] reciprocal_table
    void qc_softmax_float_table(float input_scale, float beta, float *exp_table)
    ctypedef struct qc_softmax_f32_params:
        int64_t rows
        int32_t depth
        float beta
        int32_t known_libm
    void qc_softmax_exp_table(int32_t multiplier, int32_t left_shift, int32_t diff_min, int32_t *exp_table)

# exps of 1 that sums for an int16 output hold, by the dtype of the input: Q12.19, unsigned, and Q16.15
MAX_SUMMANDS = {"int8": 8191, "uint8": 8191, "int16": 65535}


def softmax_call(dtype, output_dtype, *, int64_t rows, int32_t depth, int32_t multiplier, int32_t left_shift,
                 int32_t diff_min) -> KernelCall:
    """SOFTMAX on int8 or uint8, to the same dtype or int16; see ``qc_softmax_exp_table`` for the parameters."""
    cdef qc_softmax_params p
    if multiplier < 1 << 30 or not 0 <= left_shift <= 31 or diff_min > 0:
        raise KernelError(
            f"multiplier is {multiplier}, shift {left_shift}, diff_min {diff_min}; expected a multiplier of at "
            "least 2**30, a shift in [0, 31] and a diff_min of at most 0"
        )
    p.rows = rows
    p.depth = depth
    qc_softmax_exp_table(multiplier, left_shift, diff_min, p.exp_table)
    call = make_call(f"softmax_{suffix(dtype, output_dtype)}", &p, sizeof(p))
    return divide_rows(call, rows, depth, ITEM_BYTES[dtype], ITEM_BYTES[output_dtype])


cdef KernelCall divide_rows(KernelCall call, int64_t rows, int64_t depth, int64_t input_item, int64_t output_item):
    """Divide a call whose params begin with the rows; an element takes about a nanosecond."""
    return call.divide(leading_count, rows, (depth * input_item, depth * output_item), rows * depth)


def suffix(dtype, output_dtype):
    """Return how kernels on 8 bits are called: after the input, and the output where that is wider."""
    return DTYPE_SUFFIX[dtype] + ("_s16" if output_dtype == "int16" else "")


def softmax_table_call(dtype, output_dtype, *, int64_t rows, int32_t depth, float input_scale, float beta,
                       float output_scale, int32_t output_zero_point) -> KernelCall:
    """SOFTMAX on int8 or uint8, to the same dtype or int16, as TFLite's optimized kernels compute it."""
    cdef qc_softmax_table_params p
    p.rows = rows
    p.depth = depth
    p.output_scale = output_scale
    p.output_zero_point = output_zero_point
    qc_softmax_float_table(input_scale, beta, p.exp_table)
    call = make_call(f"softmax_table_{suffix(dtype, output_dtype)}", &p, sizeof(p))
    return divide_rows(call, rows, depth, ITEM_BYTES[dtype], ITEM_BYTES[output_dtype])


def softmax_s16_call(*, int64_t rows, int32_t depth, int32_t multiplier, int32_t shift, const int16_t[::1] exp_table,
                     const int16_t[::1] reciprocal_table) -> KernelCall:
    """SOFTMAX on int16; the tables have 513 knots, see ``qc_softmax_s16_params``."""
    cdef qc_softmax_s16_params p
    p.rows = rows
    p.depth = depth
    p.multiplier = multiplier
    p.shift = shift
    cdef int i
    for i in range(513):
        p.exp_table[i] = exp_table[i]
        p.reciprocal_table[i] = reciprocal_table[i]
    return divide_rows(make_call("softmax_s16", &p, sizeof(p)), rows, depth, 2, 2)


def softmax_f32_call(*, int64_t rows, int32_t depth, float beta) -> KernelCall:
    """SOFTMAX on float32."""
    cdef qc_softmax_f32_params p
    p.rows = rows
    p.depth = depth
    p.beta = beta
    p.known_libm = known_libm()
    return divide_rows(make_call("softmax_f32", &p, sizeof(p)), rows, depth, 4, 4)
