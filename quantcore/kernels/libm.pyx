"""Which functions of the C library have the bits that vector versions compute: csrc/include/quantcore/libm.h."""

from functools import cache

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels import _core

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "<math.h>" nogil:
    float expf(float)
    float tanhf(float)

cdef extern from "quantcore/libm.h" nogil:
    ctypedef enum qc_known_libm:
        QC_KNOWN_EXPF
        QC_KNOWN_TANHF

cdef extern from "quantcore/logistic.h" nogil:
    ctypedef struct qc_function_f32_params:
        int64_t count
        int32_t known_libm

cdef extern from "quantcore/unary.h" nogil:
    ctypedef enum qc_unary_function:
        QC_EXP
    ctypedef struct qc_unary_params:
        int64_t count
        qc_unary_function function
        int32_t known_libm

# The only two floats at which glibc's expf with FMA and without differ.
FUSED = (float.fromhex("0x1.04845ep+5"), float.fromhex("-0x1.f8cbb2p+5"))


def known_libm():
    """Return the functions, as bits, that the versions in use may compute themselves.

    They are compared with the C library at some ten thousand places, once per process: libraries that compute otherwise
    round otherwise at one place in a few thousand at most.
    """
    return _known_libm(_core.isa)


@cache
def _known_libm(isa):
    if isa == "scalar":
        return 0
    cdef qc_unary_params exp_params
    cdef qc_function_f32_params tanh_params
    x = _places()
    exp_params.count = tanh_params.count = x.size
    exp_params.function = QC_EXP
    exp_params.known_libm = tanh_params.known_libm = QC_KNOWN_EXPF | QC_KNOWN_TANHF
    found = 0
    if _agrees(make_call("unary_f32", &exp_params, sizeof(exp_params)), x, 0):
        found |= QC_KNOWN_EXPF
    if _agrees(make_call("tanh_f32", &tanh_params, sizeof(tanh_params)), x, 1):
        found |= QC_KNOWN_TANHF
    return found


def _places():
    """Return floats from 2^-30 to beyond where the functions end, of both signs, and where forms of expf differ."""
    positive = np.arange(0x30800000, 0x43000000, 0xC35B).astype(np.uint32).view(np.float32)
    return np.concatenate([positive, -positive, np.float32([*FUSED, 0.0, -0.0, np.inf, -np.inf])])


cdef bint _agrees(KernelCall call, object x, bint is_tanh):
    cdef float[::1] values = x
    cdef float[::1] expected = np.empty_like(x)
    cdef Py_ssize_t i
    y = np.empty_like(x)
    call([x], [y])
    with nogil:
        for i in range(values.shape[0]):
            expected[i] = tanhf(values[i]) if is_tanh else expf(values[i])
    return np.array_equal(y.view(np.uint32), np.asarray(expected).view(np.uint32))
