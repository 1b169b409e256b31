"""RFFT2D and the parts of complex numbers over csrc/reference/fft.c."""

import math

import numpy as np

from quantcore.errors import KernelError

from libc.stdint cimport int64_t

from quantcore.kernels._core cimport KernelCall, address, make_call

cdef extern from "quantcore/fft.h" nogil:
    ctypedef struct qc_complex:
        double re
        double im
    ctypedef struct qc_rfft2d_params:
        int64_t slices
        int64_t rows
        int64_t columns
        int64_t height
        int64_t width
        double eighth
        const qc_complex *row_twiddles
        const qc_complex *column_twiddles
        const qc_complex *half_twiddles
    ctypedef struct qc_complex_params:
        int64_t count
    int64_t qc_rfft2d_scratch_size(const qc_rfft2d_params *)


def rfft2d_call(*, int64_t slices, int64_t rows, int64_t columns, int64_t height, int64_t width, row_twiddles,
                column_twiddles, half_twiddles) -> KernelCall:
    """Transforms of real images; see ``qc_rfft2d_params``. Twiddles are complex128."""
    cdef qc_rfft2d_params p
    tables = tuple(np.ascontiguousarray(t, np.complex128) for t in (row_twiddles, column_twiddles, half_twiddles))
    p.slices = slices
    p.rows = rows
    p.columns = columns
    p.height = height
    p.width = width
    p.eighth = math.cos(math.atan(1.0))
    p.row_twiddles = <const qc_complex *>address(tables[0])
    p.column_twiddles = <const qc_complex *>address(tables[1])
    p.half_twiddles = <const qc_complex *>address(tables[2])
    return make_call("rfft2d", &p, sizeof(p), qc_rfft2d_scratch_size(&p), tables)


def complex_call(part, *, int64_t count) -> KernelCall:
    """``abs``, ``real`` or ``imag`` of `count` complex64 elements."""
    cdef qc_complex_params p
    if part not in ("abs", "real", "imag"):
        raise KernelError(f"part is {part!r}; expected abs, real or imag")
    p.count = count
    return make_call(f"complex_{part}", &p, sizeof(p))
