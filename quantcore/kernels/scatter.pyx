"""Elements written at places that indices name, over csrc/reference/scatter.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call
from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/scatter.h" nogil:
    ctypedef struct qc_scatter_nd_params:
        int64_t count
        int64_t slice
        int64_t total
        int32_t depth
        int32_t index_bytes
        int64_t[8] size
    ctypedef struct qc_update_slice_params:
        int32_t rank
        int32_t element_bytes
        int32_t index_bytes
        int64_t[8] shape
        int64_t[8] update


def scatter_nd_call(dtype, *, int64_t count, int64_t slice_elements, int64_t total, sizes,
                    int32_t index_bytes) -> KernelCall:
    """Slices added up by tuples of ``len(sizes)`` indices, at most 8; see ``qc_scatter_nd_params``."""
    cdef qc_scatter_nd_params p
    p.count = count
    p.slice = slice_elements
    p.total = total
    p.depth = len(sizes)
    p.index_bytes = index_bytes
    for d, size in enumerate(sizes):
        p.size[d] = size
    return make_call(f"scatter_nd_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def update_slice_call(*, shape, update, int32_t element_bytes, int32_t index_bytes) -> KernelCall:
    """A box of shape `update` replaced, of rank 1 to 8; see ``qc_update_slice_params``."""
    cdef qc_update_slice_params p
    p.rank = len(shape)
    p.element_bytes = element_bytes
    p.index_bytes = index_bytes
    for d in range(p.rank):
        p.shape[d] = shape[d]
        p.update[d] = update[d]
    return make_call("update_slice", &p, sizeof(p))
