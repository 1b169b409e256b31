"""Slices by index over csrc/reference/indexing.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/indexing.h" nogil:
    ctypedef struct qc_gather_nd_params:
        int64_t count
        int32_t depth
        int32_t index_bytes
        int64_t slice_bytes
        int64_t[8] size


def gather_nd_call(*, int64_t count, sizes, int32_t index_bytes, int64_t slice_bytes) -> KernelCall:
    """Slices addressed by tuples of ``len(sizes)`` indices; see ``qc_gather_nd_params``."""
    cdef qc_gather_nd_params p
    p.count = count
    p.depth = len(sizes)
    p.index_bytes = index_bytes
    p.slice_bytes = slice_bytes
    for d, size in enumerate(sizes):
        p.size[d] = size
    return make_call("gather_nd", &p, sizeof(p))
