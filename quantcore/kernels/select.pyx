"""SELECT over csrc/reference/select.c, with broadcasting."""

from quantcore.errors import KernelError

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call
from quantcore.kernels.elementwise cimport QC_BROADCAST_RANK

cdef extern from "quantcore/select.h" nogil:
    ctypedef struct qc_select_params:
        int32_t size
        int32_t rank
        int32_t[8] shape
        int64_t[8] condition_stride
        int64_t[8] stride1
        int64_t[8] stride2


def select_call(int32_t size, shape, condition_strides, strides1, strides2) -> KernelCall:
    """SELECT of elements of `size` bytes; see ``qc_select_params``."""
    cdef qc_select_params p
    if not 1 <= len(shape) <= QC_BROADCAST_RANK:
        raise KernelError(f"shape {tuple(shape)} has {len(shape)} dimensions; expected 1 to {QC_BROADCAST_RANK}")
    p.size = size
    p.rank = len(shape)
    for d in range(len(shape)):
        p.shape[d] = shape[d]
        p.condition_stride[d] = condition_strides[d]
        p.stride1[d] = strides1[d]
        p.stride2[d] = strides2[d]
    return make_call("select", &p, sizeof(p))
