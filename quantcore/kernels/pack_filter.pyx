"""Filters laid out for the vector versions of kernels: csrc/include/quantcore/pack_filter.h."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels import _core
from quantcore.kernels._core import DTYPE_SUFFIX, aligned_bytes

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/pack_filter.h" nogil:
    ctypedef struct qc_pack_filter_params:
        int32_t groups
        int32_t units
        int64_t depth
    int64_t qc_packed_group_size(int64_t units, int64_t depth)
    int64_t qc_packed_group_size_f32(int64_t units, int64_t depth)


def pack_filter(str dtype, filter, int32_t groups, int32_t units, int64_t depth):
    """Return the filter laid out for products, or None where the version in use takes it as it is.

    Parameters
    ----------
    dtype : str
        ``int8``, ``uint8`` or ``float32``.
    filter : ndarray or None
        Of ``groups * units * depth`` elements; None where it is not known before running.
    groups, units, depth : int
        Groups, output channels of a group, length of one dot product.
    """
    if filter is None or _core.isa == "scalar":
        return None
    cdef qc_pack_filter_params p
    p.groups, p.units, p.depth = groups, units, depth
    size = qc_packed_group_size(units, depth)
    if dtype == "float32":
        size = qc_packed_group_size_f32(units, depth)
    return _pack(make_call(f"pack_filter_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p)), filter, groups * size)


def _pack(KernelCall call, filter, size):
    packed = aligned_bytes(size)
    call([np.require(filter, requirements=["C", "A"])], [packed])
    return packed
