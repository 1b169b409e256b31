"""QUANTIZE, DEQUANTIZE and requantize over csrc/reference/affine.c, and the fixed-point primitives.

Arrays are seen as ``(outer, channels, inner)``; see ``qc_affine_params``.
"""

import numpy as np

from quantcore.kernels import _core
from quantcore.kernels._core import BYTES_PER_NANOSECOND, DTYPE_SUFFIX, ELEMENTS_PER_GRAIN, ITEM_BYTES
from quantcore.kernels.lookup import tabulate

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t
from numpy cimport PyArray_DATA

from quantcore.kernels._core cimport KernelCall, Requant, address, leading_count, make_call, qc_requant

cdef extern from "quantcore/affine.h" nogil:
    ctypedef struct qc_affine_params:
        int64_t outer
        int64_t channels
        int64_t inner
        const float *scale
        const int32_t *zero_point
        int32_t qmin
        int32_t qmax
    ctypedef struct qc_affine_body_params:
        int64_t count
        int64_t body
        float scale
        int32_t zero_point
        int32_t qmin
        int32_t qmax
    ctypedef struct qc_half_params:
        int64_t count
    ctypedef struct qc_requantize_params:
        int64_t count
        int32_t input_zero_point
        qc_requant requant
        const uint8_t *table


cdef KernelCall affine_call(str name, str dtype, int64_t outer, int64_t inner, scale, zero_point, int32_t qmin,
                            int32_t qmax):
    cdef qc_affine_params p
    scales = np.asarray(scale, dtype=np.float32, order="C").reshape(-1)
    zero_points = np.asarray(zero_point, dtype=np.int32, order="C").reshape(-1)
    if zero_points.size != scales.size:
        zero_points = np.ascontiguousarray(np.broadcast_to(zero_points, scales.shape))
    p.outer = outer
    p.channels = scales.size
    p.inner = inner
    p.scale = <const float *>PyArray_DATA(scales)
    p.zero_point = <const int32_t *>PyArray_DATA(zero_points)
    p.qmin = qmin
    p.qmax = qmax
    call = make_call(name, &p, sizeof(p), 0, (scales, zero_points))
    if dtype == "int4":
        return call  # two elements in a byte
    item = ITEM_BYTES[dtype]
    sizes = (item, 4) if name.startswith("dequantize") else (4, item)
    cdef double nanoseconds = outer * scales.size * inner * (4 + item) / BYTES_PER_NANOSECOND
    if outer == 1 and scales.size == 1:
        return call.divide(part_of_inner, inner, sizes, nanoseconds, ELEMENTS_PER_GRAIN)
    return call.divide(leading_count, outer, tuple(scales.size * inner * size for size in sizes), nanoseconds)


cdef void part_of_inner(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    (<qc_affine_params *>params).inner = count


cdef void part_of_body(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    cdef qc_affine_body_params *p = <qc_affine_body_params *>params
    p.count = count
    p.body = max(0, min(p.body - first, count))


def quantize_call(dtype, *, outer=1, inner, scale, zero_point, int32_t qmin, int32_t qmax) -> KernelCall:
    """float32 to `dtype`; `scale` and `zero_point` have shape (channels,), or () for one channel."""
    return affine_call(f"quantize_f32_{DTYPE_SUFFIX[dtype]}", dtype, outer, inner, scale, zero_point, qmin, qmax)


def dequantize_call(dtype, *, outer=1, inner, scale, zero_point) -> KernelCall:
    """`dtype` to float32; `scale` and `zero_point` have shape (channels,), or () for one channel."""
    return affine_call(f"dequantize_{DTYPE_SUFFIX[dtype]}_f32", dtype, outer, inner, scale, zero_point, 0, 0)


cdef KernelCall divide_body(KernelCall call, int64_t count, int64_t input_item, int64_t output_item):
    cdef double nanoseconds = count * (input_item + output_item) / BYTES_PER_NANOSECOND
    return call.divide(part_of_body, count, (input_item, output_item), nanoseconds, ELEMENTS_PER_GRAIN)


def quantize_body_call(form, dtype, *, int64_t count, int64_t body=0, float scale, int32_t zero_point, int32_t qmin,
                       int32_t qmax) -> KernelCall:
    """float32 to `dtype`, per tensor, by the form ``reciprocal`` or ``saturating``; see ``qc_affine_body_params``."""
    cdef qc_affine_body_params p = qc_affine_body_params(count, body, scale, zero_point, qmin, qmax)
    call = make_call(f"quantize_{form}_f32_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return divide_body(call, count, 4, ITEM_BYTES[dtype])


def dequantize_body_call(form, dtype, *, int64_t count, int64_t body, float scale, int32_t zero_point) -> KernelCall:
    """`dtype` to float32, per tensor, by the form ``terms``; see ``qc_affine_body_params``."""
    cdef qc_affine_body_params p = qc_affine_body_params(count, body, scale, zero_point, 0, 0)
    call = make_call(f"dequantize_{form}_{DTYPE_SUFFIX[dtype]}_f32", &p, sizeof(p))
    return call if dtype == "int4" else divide_body(call, count, ITEM_BYTES[dtype], 4)


def dequantize_f16_call(*, int64_t count) -> KernelCall:
    """float16 to float32."""
    cdef qc_half_params p
    p.count = count
    return make_call("dequantize_f16_f32", &p, sizeof(p)).divide_elements(count, 2, 4)


cdef requantize_table(str name, qc_requantize_params *params, Requant requant):
    """Return the results in the body by input byte, of 8 bits to 8 bits; None where the definition has to run."""
    if _core.isa == "scalar" or params.requant.body < 1:
        return None
    cdef qc_requantize_params every = params[0]
    every.count = 256
    every.requant.body = INT32_MAX
    return tabulate(make_call(name, &every, sizeof(every), 0, requant))


def requantize_call(from_dtype, to_dtype, *, int64_t count, int32_t input_zero_point, Requant requant) -> KernelCall:
    """`from_dtype` to `to_dtype`, per tensor."""
    cdef qc_requantize_params p
    name = f"requantize_{DTYPE_SUFFIX[from_dtype]}_{DTYPE_SUFFIX[to_dtype]}"
    p.count = count
    p.input_zero_point = input_zero_point
    p.requant = requant.c
    p.table = NULL
    of_bytes = ITEM_BYTES[from_dtype] == ITEM_BYTES[to_dtype] == 1
    table = requantize_table(name, &p, requant) if of_bytes else None
    p.table = <const uint8_t *>address(table)
    call = make_call(name, &p, sizeof(p), 0, (requant, table))
    return call.divide_elements(count, ITEM_BYTES[from_dtype], ITEM_BYTES[to_dtype], requant)


# The fixed-point primitives over arrays: one loop per function of fixed_point.h. All arrays are
# contiguous, of one size; quantcore.affine broadcasts and validates.

cdef extern from "quantcore/fixed_point.h" nogil:
    int32_t qc_srdhm(int32_t a, int32_t b)
    int32_t qc_rounding_divide_by_pot(int32_t x, int exponent)
    int32_t qc_rounding_right_shift(int32_t x, int exponent)
    int32_t qc_multiply_double_rounding(int32_t x, int32_t multiplier, int shift)
    int32_t qc_multiply_ruy(int32_t x, int32_t multiplier, int shift)
    int32_t qc_multiply_single_rounding(int32_t x, int32_t multiplier, int shift)
    int32_t qc_multiply_int16_multiplier(int64_t x, int32_t multiplier, int shift)
    int32_t qc_multiply_float32(int32_t x, float real_multiplier)
    int32_t qc_multiply_float64(int32_t x, double real_multiplier)

ctypedef int32_t (*shift_rule)(int32_t, int) noexcept nogil
ctypedef int32_t (*multiplier_rule)(int32_t, int32_t, int) noexcept nogil


cdef shift_rule shift_rule_of(str name) except NULL:
    if name == "rounding_divide_by_pot":
        return <shift_rule>qc_rounding_divide_by_pot
    return <shift_rule>qc_rounding_right_shift


cdef multiplier_rule multiplier_rule_of(str name) except NULL:
    if name == "double_rounding":
        return <multiplier_rule>qc_multiply_double_rounding
    if name == "ruy":
        return <multiplier_rule>qc_multiply_ruy
    return <multiplier_rule>qc_multiply_single_rounding


def high_mul_loop(const int32_t[::1] a, const int32_t[::1] b, int32_t[::1] out):
    """``out = qc_srdhm(a, b)``."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            out[i] = qc_srdhm(a[i], b[i])


def shift_loop(str name, const int32_t[::1] x, const int32_t[::1] exponent, int32_t[::1] out):
    """``out = rule(x, exponent)`` for ``rounding_divide_by_pot`` or ``rounding_right_shift``."""
    cdef shift_rule rule = shift_rule_of(name)
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            out[i] = rule(x[i], exponent[i])


def multiplier_loop(str name, const int32_t[::1] x, const int32_t[::1] multiplier, const int32_t[::1] shift,
                    int32_t[::1] out):
    """``out = rule(x, multiplier, shift)`` for a rule with int32 accumulators."""
    cdef multiplier_rule rule = multiplier_rule_of(name)
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            out[i] = rule(x[i], multiplier[i], shift[i])


def int16_multiplier_loop(const int64_t[::1] x, const int32_t[::1] multiplier, const int32_t[::1] shift,
                          int32_t[::1] out):
    """``out = qc_multiply_int16_multiplier(x, multiplier, shift)``; accumulators are int64."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            out[i] = qc_multiply_int16_multiplier(x[i], multiplier[i], shift[i])


def real_multiplier_loop(str name, const int32_t[::1] x, const double[::1] real_multiplier, int32_t[::1] out):
    """``out = rule(x, real_multiplier)`` for ``float32`` or ``float64``."""
    cdef bint single = name == "float32"
    cdef Py_ssize_t i
    with nogil:
        for i in range(out.shape[0]):
            if single:
                out[i] = qc_multiply_float32(x[i], <float>real_multiplier[i])
            else:
                out[i] = qc_multiply_float64(x[i], real_multiplier[i])
