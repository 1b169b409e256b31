"""Functions of one element over csrc/reference/unary.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, Requant, make_call, qc_requant

from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES
from quantcore.kernels.libm import known_libm

cdef extern from "quantcore/unary.h" nogil:
    ctypedef enum qc_unary_function:
        QC_ABS
        QC_NEG
        QC_SQUARE
        QC_SQRT
        QC_RSQRT
        QC_EXP
        QC_LOG
        QC_SIN
        QC_COS
        QC_FLOOR
        QC_CEIL
        QC_ROUND
        QC_SIGN
        QC_RINT
        QC_ELU
        QC_ELU_EXP
        QC_GELU
        QC_GELU_TANH
        QC_GELU_TANH_EIGEN
    ctypedef struct qc_unary_params:
        int64_t count
        qc_unary_function function
        int32_t known_libm
    ctypedef struct qc_abs_params:
        int64_t count
        int32_t input_offset
        qc_requant requant
    ctypedef struct qc_sqrt_params:
        int64_t count
        float input_scale
        int32_t input_zero_point
        float output_scale
        int32_t output_zero_point
    ctypedef struct qc_rsqrt_params:
        int64_t count
        int32_t input_offset
        qc_requant requant

FUNCTIONS = {
    "ABS": QC_ABS, "NEG": QC_NEG, "SQUARE": QC_SQUARE, "SQRT": QC_SQRT, "RSQRT": QC_RSQRT, "EXP": QC_EXP,
    "LOG": QC_LOG, "SIN": QC_SIN, "COS": QC_COS, "FLOOR": QC_FLOOR, "CEIL": QC_CEIL, "ROUND": QC_ROUND,
    "SIGN": QC_SIGN, "RINT": QC_RINT, "ELU": QC_ELU, "ELU_EXP": QC_ELU_EXP, "GELU": QC_GELU,
    "GELU_TANH": QC_GELU_TANH, "GELU_TANH_EIGEN": QC_GELU_TANH_EIGEN,
}


def unary_call(function, dtype, *, int64_t count) -> KernelCall:
    """One of ``FUNCTIONS`` on values without scales; integers have ABS, NEG and SIGN."""
    cdef qc_unary_params p
    p.count = count
    p.function = <qc_unary_function><int>FUNCTIONS[function]
    p.known_libm = known_libm() if dtype == "float32" else 0
    call = make_call(f"unary_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype])


def abs_call(dtype, *, int64_t count, int32_t input_offset, Requant requant) -> KernelCall:
    """ABS of int8 or int16 with scales; see ``qc_abs_params``."""
    cdef qc_abs_params p
    p.count = count
    p.input_offset = input_offset
    p.requant = requant.c
    call = make_call(f"abs_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), 0, requant)
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype], requant)


def sqrt_call(dtype, *, int64_t count, float input_scale, int32_t input_zero_point, float output_scale,
              int32_t output_zero_point) -> KernelCall:
    """SQRT of int8 or int16 with scales; see ``qc_sqrt_params``."""
    cdef qc_sqrt_params p
    p.count = count
    p.input_scale = input_scale
    p.input_zero_point = input_zero_point
    p.output_scale = output_scale
    p.output_zero_point = output_zero_point
    call = make_call(f"sqrt_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype])


def rsqrt_call(dtype, *, int64_t count, int32_t input_offset, Requant requant) -> KernelCall:
    """RSQRT of int8 or int16 with scales; see ``qc_rsqrt_params``."""
    cdef qc_rsqrt_params p
    p.count = count
    p.input_offset = input_offset
    p.requant = requant.c
    call = make_call(f"rsqrt_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), 0, requant)
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype], requant)
