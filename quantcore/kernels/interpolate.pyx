"""Tables of unary operators on int16, over csrc/reference/interpolate.c."""

import numpy as np

from quantcore.errors import KernelError

from libc.stdint cimport int16_t, int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/interpolate.h" nogil:
    ctypedef struct qc_interpolate_params:
        int64_t count
        int32_t lowest
        int16_t[513] table


def interpolate_call(*, int64_t count, table, int32_t lowest=-(2**15)) -> KernelCall:
    """Lines between the 513 knots of `table` (int16), on int16; see ``qc_interpolate_params``."""
    cdef qc_interpolate_params p
    values = np.asarray(table)
    if values.shape != (513,) or values.dtype != np.int16:
        raise KernelError(f"the table is {values.dtype} of shape {values.shape}; expected 513 values of int16")
    p.count = count
    p.lowest = lowest
    for knot in range(513):
        p.table[knot] = values[knot]
    return make_call("interpolate_s16", &p, sizeof(p))
