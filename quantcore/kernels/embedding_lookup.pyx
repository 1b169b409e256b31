"""EMBEDDING_LOOKUP over csrc/reference/embedding_lookup.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, address, make_call

cdef extern from "quantcore/embedding_lookup.h" nogil:
    ctypedef struct qc_embedding_lookup_params:
        int64_t count
        int64_t rows
        int64_t columns
        int32_t element_bytes
        int32_t four_bits
        int32_t per_row
        const float *scale


def embedding_lookup_call(*, int64_t count, int64_t rows, int64_t columns, int32_t element_bytes=1,
                          bint four_bits=False, scale=None) -> KernelCall:
    """Rows copied, or with `scale` (one, or one per row) made float32; see ``qc_embedding_lookup_params``."""
    cdef qc_embedding_lookup_params p
    scales = None if scale is None else np.array(scale, dtype=np.float32)
    p.count = count
    p.rows = rows
    p.columns = columns
    p.element_bytes = element_bytes
    p.four_bits = four_bits
    p.per_row = scales is not None and scales.size > 1
    p.scale = <const float *>address(scales)
    return make_call("embedding_lookup_copy" if scales is None else "embedding_lookup_hybrid", &p, sizeof(p), 0, scales)
