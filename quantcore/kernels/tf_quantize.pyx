"""TensorFlow's QuantizeV2 and Dequantize over csrc/reference/tf_quantize.c.

Arrays are seen as ``(outer, slices, inner)``, with one range per slice.
"""

import numpy as np

from quantcore.errors import KernelError
from quantcore.kernels._core import DTYPE_SUFFIX

from libc.stdint cimport int32_t, int64_t
from numpy cimport PyArray_DATA

from quantcore.kernels._core cimport QC_OK, KernelCall, make_call, qc_status

cdef extern from "quantcore/tf_quantize.h" nogil:
    ctypedef enum qc_tf_mode:
        QC_TF_MIN_COMBINED
        QC_TF_MIN_FIRST
        QC_TF_SCALED_HALF_AWAY_FROM_ZERO
        QC_TF_SCALED_HALF_TO_EVEN
        QC_TF_ONEDNN_SCALED
        QC_TF_ONEDNN_MIN_FIRST
        QC_TF_ONEDNN_MIN_FIRST_SCALAR
    ctypedef struct qc_tf_type:
        int64_t lowest
        int64_t highest
        int32_t narrow_range
    ctypedef struct qc_tf_quantize_range:
        float min_range
        float max_range
        float scale
        float offset
    ctypedef struct qc_tf_quantize_params:
        int64_t outer
        int64_t slices
        int64_t inner
        qc_tf_mode mode
        const qc_tf_quantize_range *range
    ctypedef struct qc_tf_dequantize_terms:
        float shift
        float scale
        float offset
    ctypedef struct qc_tf_dequantize_params:
        int64_t outer
        int64_t slices
        int64_t inner
        int32_t bfloat16
        int32_t by_int32
        const qc_tf_dequantize_terms *terms

cdef extern from "quantcore/tf_quantize_rules.h" nogil:
    qc_status qc_tf_choose_quantize_range(qc_tf_mode mode, const qc_tf_type *type, float min_range, float max_range,
                                          float ensure_minimum_range, qc_tf_quantize_range *chosen)
    qc_status qc_tf_choose_dequantize_terms(qc_tf_mode mode, const qc_tf_type *type, float min_range,
                                            float max_range, qc_tf_dequantize_terms *chosen)

MODES = {
    "MIN_COMBINED": QC_TF_MIN_COMBINED,
    "MIN_FIRST": QC_TF_MIN_FIRST,
    "SCALED_HALF_AWAY_FROM_ZERO": QC_TF_SCALED_HALF_AWAY_FROM_ZERO,
    "SCALED_HALF_TO_EVEN": QC_TF_SCALED_HALF_TO_EVEN,
    "ONEDNN_SCALED": QC_TF_ONEDNN_SCALED,
    "ONEDNN_MIN_FIRST": QC_TF_ONEDNN_MIN_FIRST,
    "ONEDNN_MIN_FIRST_SCALAR": QC_TF_ONEDNN_MIN_FIRST_SCALAR,
}
SUFFIX = {**DTYPE_SUFFIX, "uint16": "u16"}
# the fields of qc_tf_quantize_range and qc_tf_dequantize_terms
RANGE = np.dtype([("min_range", "f4"), ("max_range", "f4"), ("scale", "f4"), ("offset", "f4")])
TERMS = np.dtype([("shift", "f4"), ("scale", "f4"), ("offset", "f4")])


cdef qc_tf_type type_of(str dtype, bint narrow_range):
    bounds = np.iinfo(dtype)
    return qc_tf_type(bounds.min, bounds.max, narrow_range)


def _refuse(float min_range, float max_range):
    raise KernelError(
        f"the range [{min_range!r}, {max_range!r}] is too narrow or too wide for float32: its width or a step of it "
        "becomes an infinity or a NaN; expected a wider or narrower range"
    )


def quantize_ranges(str mode, str dtype, const float[::1] min_range, const float[::1] max_range, *,
                    float ensure_minimum_range, bint narrow_range):
    """Return `RANGE` records, one per slice; see ``qc_tf_choose_quantize_range``.

    Raises
    ------
    KernelError
        A constant is not finite.
    """
    cdef qc_tf_type kind = type_of(dtype, narrow_range)
    cdef Py_ssize_t i
    ranges = np.empty(min_range.shape[0], RANGE)
    cdef qc_tf_quantize_range *chosen = <qc_tf_quantize_range *>PyArray_DATA(ranges)
    for i in range(min_range.shape[0]):
        if qc_tf_choose_quantize_range(MODES[mode], &kind, min_range[i], max_range[i], ensure_minimum_range,
                                       &chosen[i]) != QC_OK:
            _refuse(min_range[i], max_range[i])
    return ranges


def quantize_call(str mode, str dtype, *, int64_t outer, int64_t inner, ranges) -> KernelCall:
    """float32 to `dtype`; `ranges` from `quantize_ranges`, one per slice."""
    cdef qc_tf_quantize_params p
    p.outer = outer
    p.slices = ranges.size
    p.inner = inner
    p.mode = MODES[mode]
    p.range = <const qc_tf_quantize_range *>PyArray_DATA(ranges)
    return make_call(f"tf_quantize_f32_{SUFFIX[dtype]}", &p, sizeof(p), 0, ranges)


def dequantize_terms(str mode, str dtype, const float[::1] min_range, const float[::1] max_range, *,
                     bint narrow_range):
    """Return `TERMS` records, one per slice; see ``qc_tf_choose_dequantize_terms``.

    Raises
    ------
    KernelError
        A constant is not finite.
    """
    cdef qc_tf_type kind = type_of(dtype, narrow_range)
    cdef Py_ssize_t i
    terms = np.empty(min_range.shape[0], TERMS)
    cdef qc_tf_dequantize_terms *chosen = <qc_tf_dequantize_terms *>PyArray_DATA(terms)
    for i in range(min_range.shape[0]):
        if qc_tf_choose_dequantize_terms(MODES[mode], &kind, min_range[i], max_range[i], &chosen[i]) != QC_OK:
            _refuse(min_range[i], max_range[i])
    return terms


def dequantize_call(str dtype, *, int64_t outer, int64_t inner, terms, bint bfloat16, bint by_int32) -> KernelCall:
    """`dtype` to float32; `terms` from `dequantize_terms`, one per slice."""
    cdef qc_tf_dequantize_params p
    p.outer = outer
    p.slices = terms.size
    p.inner = inner
    p.bfloat16 = bfloat16
    p.by_int32 = by_int32
    p.terms = <const qc_tf_dequantize_terms *>PyArray_DATA(terms)
    return make_call(f"tf_dequantize_{SUFFIX[dtype]}_f32", &p, sizeof(p), 0, terms)
