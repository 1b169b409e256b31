"""DIV, FLOOR_DIV and FLOOR_MOD over csrc/reference/division.c, with broadcasting."""

import math

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call
from quantcore.kernels.elementwise cimport (
    fill_broadcast,
    qc_arithmetic_f32_params,
    qc_arithmetic_s32_params,
    qc_broadcast,
)

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/division.h" nogil:
    ctypedef struct qc_div_params:
        qc_broadcast broadcast
        int64_t divisors
        int32_t input1_offset
        int32_t input2_offset
        int32_t multiplier
        int32_t shift
        int32_t output_offset
        int32_t activation_min
        int32_t activation_max
    ctypedef struct qc_division_f32_params:
        qc_arithmetic_f32_params arithmetic
        int64_t divisors
    ctypedef struct qc_division_s32_params:
        qc_arithmetic_s32_params arithmetic
        int64_t divisors
    ctypedef struct qc_floor_params:
        qc_broadcast broadcast
        int64_t divisors


def div_call(dtype, *, shape1, shape2, int32_t input1_offset, int32_t input2_offset, int32_t multiplier,
             int32_t shift, int32_t output_offset, int32_t activation_min, int32_t activation_max) -> KernelCall:
    """DIV of a quantized dtype; see ``qc_div_params``."""
    cdef qc_div_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.divisors = math.prod(shape2)
    p.input1_offset = input1_offset
    p.input2_offset = input2_offset
    p.multiplier = multiplier
    p.shift = shift
    p.output_offset = output_offset
    p.activation_min = activation_min
    p.activation_max = activation_max
    return make_call(f"div_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def div_f32_call(*, shape1, shape2, float activation_min, float activation_max) -> KernelCall:
    """DIV on float32."""
    cdef qc_division_f32_params p
    fill_broadcast(&p.arithmetic.broadcast, shape1, shape2)
    p.divisors = math.prod(shape2)
    p.arithmetic.activation_min = activation_min
    p.arithmetic.activation_max = activation_max
    return make_call("div_f32", &p, sizeof(p))


def div_s32_call(*, shape1, shape2, int32_t activation_min, int32_t activation_max) -> KernelCall:
    """DIV on int32 without scales."""
    cdef qc_division_s32_params p
    fill_broadcast(&p.arithmetic.broadcast, shape1, shape2)
    p.divisors = math.prod(shape2)
    p.arithmetic.activation_min = activation_min
    p.arithmetic.activation_max = activation_max
    return make_call("div_s32", &p, sizeof(p))


def floor_call(op, dtype, *, shape1, shape2) -> KernelCall:
    """``"floor_div"`` or ``"floor_mod"``; see ``qc_division_f32_params``."""
    cdef qc_floor_params p
    fill_broadcast(&p.broadcast, shape1, shape2)
    p.divisors = math.prod(shape2)
    return make_call(f"{op}_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
