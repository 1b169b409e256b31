"""Filters of 4 bits on vectors: csrc/include/quantcore/unpacked_call.h."""

import numpy as np

from libc.stdint cimport int8_t
from libc.string cimport memcpy

from quantcore.kernels._core import aligned_bytes

from quantcore.kernels._core cimport KernelCall, address, qc_invoke

cdef extern from "quantcore/unpacked_call.h" nogil:
    ctypedef struct qc_unpacked_call:
        qc_invoke invoke
        const void *params
        const int8_t *filter


def unpacked_call(KernelCall call, filter):
    """Return the ``qc_unpacked_call`` of a call on bytes, as bytes, and what it points to.

    `filter` holds the elements, one in an int8.
    """
    elements = np.require(filter, np.int8, ["C", "A"])
    params = aligned_bytes(call.params_bytes)
    memcpy(address(params), call.params, call.params_bytes)
    made = aligned_bytes(sizeof(qc_unpacked_call))
    found = <qc_unpacked_call *>address(made)
    found.invoke = call.invoke
    found.params = address(params)
    found.filter = <const int8_t *>address(elements)
    return made, (call, params, elements)
