"""Tables of unary operators on 8-bit values, over csrc/reference/lookup.c."""

import numpy as np

from quantcore.errors import KernelError

from libc.stdint cimport int64_t, uint8_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/lookup.h" nogil:
    ctypedef struct qc_lookup_params:
        int64_t count
        uint8_t[256] table


def tabulate(KernelCall definition):
    """Return the 256 outputs of a unary 8-bit kernel, by input byte.

    `definition` is a call with a count of 256. Evaluating it once per value, when the operator is lowered,
    gives what evaluating it for every element would give.
    """
    every = np.arange(256, dtype=np.uint8)
    table = np.empty(256, dtype=np.uint8)
    definition([every], [table])
    return table


def lookup_call(*, int64_t count, table) -> KernelCall:
    """``output = table[input]`` on bytes; see ``qc_lookup_params``."""
    cdef qc_lookup_params p
    values = np.ascontiguousarray(table).view(np.uint8)
    if values.shape != (256,):
        raise KernelError(f"the table has shape {values.shape}; expected 256 values of 8 bits")
    p.count = count
    for byte in range(256):
        p.table[byte] = values[byte]
    return make_call("lookup_x8", &p, sizeof(p)).divide_elements(count, 1, 1)
