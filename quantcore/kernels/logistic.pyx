"""LOGISTIC and TANH over csrc/reference/logistic.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t

from quantcore.kernels._core cimport KernelCall, make_call

from quantcore.kernels.libm import known_libm

cdef extern from "<math.h>" nogil:
    float tanhf(float)

cdef extern from "quantcore/logistic.h" nogil:
    ctypedef struct qc_function_f32_params:
        int64_t count
        int32_t known_libm
    ctypedef struct qc_sigmoid_s16_params:
        int64_t count
        int32_t multiplier
        int32_t right_shift
    ctypedef struct qc_sigmoid_fixed_params:
        int64_t count
        int32_t left_shift
    float qc_logistic(float)
    float qc_logistic_from_exp(float)
    void qc_function_table(float (*function)(float) noexcept nogil, float input_scale, int32_t input_zero_point,
                           float output_scale, int32_t output_zero_point, int32_t lowest, uint8_t *table)
    void qc_function_table_xnnpack(float (*function)(float) noexcept nogil, float input_scale, int32_t input_zero_point,
                                   float output_scale, int32_t output_zero_point, int32_t lowest, uint8_t *table)
    void qc_function_table_fixed(int is_tanh, int32_t input_zero_point, int32_t multiplier, int32_t left_shift,
                                 int32_t radius, uint8_t *table)


def function_table(function, dtype, *, float input_scale, int32_t input_zero_point, float output_scale,
                   int32_t output_zero_point, bint xnnpack=False):
    """Return the table of ``"logistic"`` or ``"tanh"`` on int8 or uint8, by input byte.

    See ``qc_function_table`` and ``qc_function_table_xnnpack``.
    """
    cdef uint8_t[::1] table = np.empty(256, dtype=np.uint8)
    lowest = np.iinfo(dtype).min
    if xnnpack:
        qc_function_table_xnnpack(qc_logistic_from_exp if function == "logistic" else tanhf, input_scale,
                                  input_zero_point, output_scale, output_zero_point, lowest, &table[0])
        return np.asarray(table)
    qc_function_table(qc_logistic if function == "logistic" else tanhf, input_scale, input_zero_point, output_scale,
                      output_zero_point, lowest, &table[0])
    return np.asarray(table)


def fixed_function_table(function, *, int32_t input_zero_point, int32_t multiplier, int32_t left_shift,
                         int32_t radius):
    """Return TFLite Micro's table of ``"logistic"`` or ``"tanh"`` on int8; see ``qc_function_table_fixed``."""
    cdef uint8_t[::1] table = np.empty(256, dtype=np.uint8)
    qc_function_table_fixed(function == "tanh", input_zero_point, multiplier, left_shift, radius, &table[0])
    return np.asarray(table)


def sigmoid_s16_call(function, *, int64_t count, int32_t multiplier, int32_t right_shift) -> KernelCall:
    """``"logistic"`` or ``"tanh"`` on int16 by interpolation; see ``qc_sigmoid_s16_params``."""
    cdef qc_sigmoid_s16_params p = qc_sigmoid_s16_params(count, multiplier, right_shift)
    return make_call(f"{function}_s16", &p, sizeof(p)).divide_elements(count, 2, 2)


def sigmoid_fixed_call(function, *, int64_t count, int32_t left_shift) -> KernelCall:
    """``"logistic"`` or ``"tanh"`` on int16 in fixed point; see ``qc_sigmoid_fixed_params``."""
    cdef qc_sigmoid_fixed_params p = qc_sigmoid_fixed_params(count, left_shift)
    return make_call(f"{function}_fixed_s16", &p, sizeof(p)).divide_elements(count, 2, 2)


def function_f32_call(function, *, int64_t count) -> KernelCall:
    """``"logistic"`` or ``"tanh"`` on float32, also ``"logistic_eigen"``, ``"tanh_eigen"``."""
    cdef qc_function_f32_params p
    p.count = count
    p.known_libm = known_libm()
    return make_call(f"{function}_f32", &p, sizeof(p)).divide_elements(count, 4, 4)
