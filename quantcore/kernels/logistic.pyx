"""LOGISTIC and TANH over csrc/reference/logistic.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "<math.h>" nogil:
    float tanhf(float)

cdef extern from "quantcore/logistic.h" nogil:
    ctypedef struct qc_function_f32_params:
        int64_t count
    float qc_logistic(float)
    void qc_function_table(float (*function)(float) noexcept nogil, float input_scale, int32_t input_zero_point,
                           float output_scale, int32_t output_zero_point, int32_t lowest, uint8_t *table)


def function_table(function, dtype, *, float input_scale, int32_t input_zero_point, float output_scale,
                   int32_t output_zero_point):
    """Return the table of ``"logistic"`` or ``"tanh"`` on int8 or uint8, by input byte; see ``qc_function_table``."""
    cdef uint8_t[::1] table = np.empty(256, dtype=np.uint8)
    lowest = np.iinfo(dtype).min
    qc_function_table(qc_logistic if function == "logistic" else tanhf, input_scale, input_zero_point, output_scale,
                      output_zero_point, lowest, &table[0])
    return np.asarray(table)


def function_f32_call(function, *, int64_t count) -> KernelCall:
    """``"logistic"`` or ``"tanh"`` on float32."""
    cdef qc_function_f32_params p
    p.count = count
    return make_call(f"{function}_f32", &p, sizeof(p))
