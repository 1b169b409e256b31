"""Fake quantization and its gradients over csrc/reference/fake_quant.c.

Arrays are seen as ``(outer, channels)``; see ``qc_fake_quant_params``.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t
from numpy cimport PyArray_DATA

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/fake_quant.h" nogil:
    ctypedef enum qc_fake_quant_form:
        QC_FAKE_QUANT_ARGS
        QC_FAKE_QUANT_VARS
        QC_FAKE_QUANT_CHANNELS
    ctypedef struct qc_fake_quant_params:
        int64_t outer
        int64_t channels
        const float *min
        const float *max
        int32_t quant_min
        int32_t quant_max
        qc_fake_quant_form form
        int32_t num_threads
    ctypedef struct qc_fake_quant_lite_params:
        int64_t count
        float low
        float high
        float scale
    ctypedef struct qc_nudged_range:
        float min
        float max
        float scale
        float inverse_scale
        float zero_point
    qc_nudged_range qc_nudge(float min, float max, int32_t quant_min, int32_t quant_max)

FORMS = {"args": QC_FAKE_QUANT_ARGS, "vars": QC_FAKE_QUANT_VARS, "channels": QC_FAKE_QUANT_CHANNELS}


cdef KernelCall make(str name, str form, int64_t outer, low, high, int32_t quant_min, int32_t quant_max,
                     int32_t num_threads):
    cdef qc_fake_quant_params p
    ends = np.array([low, high], dtype=np.float32).reshape(2, -1)
    p.outer = outer
    p.channels = ends.shape[1]
    p.min = <const float *>PyArray_DATA(ends)
    p.max = p.min + p.channels
    p.quant_min = quant_min
    p.quant_max = quant_max
    p.form = <qc_fake_quant_form><int>FORMS[form]
    p.num_threads = num_threads
    return make_call(name, &p, sizeof(p), 0, ends)


def fake_quant_call(form, *, outer, low, high, quant_min, quant_max) -> KernelCall:
    """float32 to float32; `low` and `high` have shape (channels,), or () for one channel."""
    return make("fake_quant_f32", form, outer, low, high, quant_min, quant_max, 1)


def fake_quant_gradient_call(form, *, outer, low, high, quant_min, quant_max, num_threads=1) -> KernelCall:
    """Gradients of the output and inputs to gradients of the inputs, of `low` and of `high` (or None twice)."""
    return make("fake_quant_gradient_f32", form, outer, low, high, quant_min, quant_max, num_threads)


def fake_quant_lite_call(*, int64_t count, float low, float high, float scale) -> KernelCall:
    """float32 to float32 as TFLite's FAKE_QUANT; the ends and the scale are those of the nudged range."""
    cdef qc_fake_quant_lite_params p = qc_fake_quant_lite_params(count, low, high, scale)
    return make_call("fake_quant_lite_f32", &p, sizeof(p))


def nudged_ranges(const float[::1] low, const float[::1] high, int32_t quant_min, int32_t quant_max):
    """Return a float32 array (4, channels): nudged minimum and maximum, scale, and zero point."""
    cdef Py_ssize_t c
    cdef qc_nudged_range nudged
    cdef float[:, ::1] found = np.empty((4, low.shape[0]), dtype=np.float32)
    for c in range(low.shape[0]):
        nudged = qc_nudge(low[c], high[c], quant_min, quant_max)
        found[0, c] = nudged.min
        found[1, c] = nudged.max
        found[2, c] = nudged.scale
        found[3, c] = nudged.zero_point
    return np.asarray(found)
