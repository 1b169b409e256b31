"""SOFTMAX over csrc/reference/softmax.c."""

from quantcore.errors import KernelError

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/softmax.h" nogil:
    ctypedef struct qc_softmax_params:
        int64_t rows
        int32_t depth
        int32_t[256] exp_table
    ctypedef struct qc_softmax_f32_params:
        int64_t rows
        int32_t depth
        float beta
    void qc_softmax_exp_table(int32_t multiplier, int32_t left_shift, int32_t diff_min, int32_t *exp_table)


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
    name = DTYPE_SUFFIX[dtype] + ("_s16" if output_dtype == "int16" else "")
    return make_call(f"softmax_{name}", &p, sizeof(p))


def softmax_f32_call(*, int64_t rows, int32_t depth, float beta) -> KernelCall:
    """SOFTMAX on float32."""
    cdef qc_softmax_f32_params p
    p.rows = rows
    p.depth = depth
    p.beta = beta
    return make_call("softmax_f32", &p, sizeof(p))
