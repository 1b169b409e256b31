"""FULLY_CONNECTED over csrc/reference/fully_connected.c and its vector versions."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core import DTYPE_SUFFIX
from quantcore.kernels.pack_filter import pack_filter

from quantcore.kernels._core cimport KernelCall, Requant, make_call, qc_requant
from quantcore.kernels.conv cimport address

cdef extern from "quantcore/fully_connected.h" nogil:
    ctypedef struct qc_fully_connected_params:
        int32_t batches
        int32_t depth
        int32_t units
        int32_t input_offset
        int32_t filter_offset
        qc_requant requant
        const void *packed
    ctypedef struct qc_fully_connected_f32_params:
        int32_t batches
        int32_t depth
        int32_t units
        float activation_min
        float activation_max
        const void *packed
    ctypedef struct qc_fully_connected_hybrid_params:
        int32_t batches
        int32_t depth
        int32_t units
        int32_t asymmetric
        int32_t per_channel
        int32_t sign_overflow
        const float *filter_scale
        float activation_min
        float activation_max
        const void *packed
    int64_t qc_fully_connected_scratch_size(int64_t units, int64_t depth, int is_packed)
    int64_t qc_fully_connected_f32_scratch_size(int64_t units, int64_t depth, int is_packed)
    int64_t qc_fully_connected_hybrid_scratch_size(int64_t units, int64_t depth, int is_packed)


def fully_connected_call(str dtype, *, filter=None, int32_t batches, int32_t depth, int32_t units,
                         int32_t input_offset, int32_t filter_offset, Requant requant) -> KernelCall:
    """Quantized FULLY_CONNECTED; `dtype` is int8 or uint8, `filter` a constant one. See
    ``qc_fully_connected_params``."""
    cdef qc_fully_connected_params p
    packed = pack_filter(dtype, filter, 1, units, depth)
    p.batches = batches
    p.depth = depth
    p.units = units
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.requant = requant.c
    p.packed = address(packed)
    scratch = qc_fully_connected_scratch_size(units, depth, packed is not None)
    return make_call(f"fully_connected_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, (requant, packed))


def fully_connected_f32_call(*, filter=None, int32_t batches, int32_t depth, int32_t units,
                             float activation_min, float activation_max) -> KernelCall:
    """FULLY_CONNECTED on float32; see ``qc_fully_connected_f32_params``."""
    cdef qc_fully_connected_f32_params p
    packed = pack_filter("float32", filter, 1, units, depth)
    p.batches = batches
    p.depth = depth
    p.units = units
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    scratch = qc_fully_connected_f32_scratch_size(units, depth, packed is not None)
    return make_call("fully_connected_f32", &p, sizeof(p), scratch, packed)


def fully_connected_hybrid_call(*, filter=None, int32_t batches, int32_t depth, int32_t units,
                                bint asymmetric, bint sign_overflow, filter_scale,
                                float activation_min, float activation_max) -> KernelCall:
    """FULLY_CONNECTED on float32 with an int8 filter; see ``qc_fully_connected_hybrid_params``."""
    cdef qc_fully_connected_hybrid_params p
    packed = pack_filter("int8", filter, 1, units, depth)
    scales = np.array(filter_scale, dtype=np.float32)
    p.batches = batches
    p.depth = depth
    p.units = units
    p.asymmetric = asymmetric
    p.per_channel = scales.size > 1
    p.sign_overflow = sign_overflow
    p.filter_scale = <const float *>address(scales)
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    scratch = qc_fully_connected_hybrid_scratch_size(units, depth, packed is not None)
    return make_call("fully_connected_hybrid", &p, sizeof(p), scratch, (scales, packed))
