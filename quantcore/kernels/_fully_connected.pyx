"""FULLY_CONNECTED over csrc/reference/fully_connected.c and its vector versions."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels import _core
from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES
from quantcore.kernels.four_bits import unpacked_call
from quantcore.kernels.pack_filter import pack_filter

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_requant

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
        int32_t finite
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
    int64_t qc_panel_size_s16(int64_t depth)
    int64_t qc_fully_connected_s4_scratch_size(int64_t units, int64_t depth)
    int64_t qc_fully_connected_hybrid_scratch_size(int64_t units, int64_t depth, int is_packed)


cdef void part_of_rows(void *params, int64_t first, int64_t count, int64_t *position) noexcept:
    (<int32_t *>params)[0] = <int32_t>count


cdef KernelCall divide_rows(KernelCall call, int64_t batches, int64_t depth, int64_t units, int64_t item, double rate):
    """Divide a call whose params begin with the batches; `rate`: products that a core forms in a nanosecond."""
    cdef double nanoseconds = batches * units * (depth / rate)
    return call.divide(part_of_rows, batches, (depth * item, 0, 0, units * item), nanoseconds)


def fully_connected_call(str dtype, *, filter=None, int32_t batches, int32_t depth, int32_t units,
                         int32_t input_offset, int32_t filter_offset, Requant requant, sum_bound=None,
                         bint four_bits=False) -> KernelCall:
    """Quantized FULLY_CONNECTED; `dtype` is int8, uint8, int16 or int16_wide (int64 sums and bias), `filter` a
    constant one. `sum_bound`: what the accumulators do not exceed, or None. `four_bits`: the kernel's filter is
    packed, two elements in a byte, while `filter` has one in an int8. See ``qc_fully_connected_params``.
    """
    cdef qc_fully_connected_params p
    bytes_alike = dtype in ("int8", "uint8") and not four_bits
    packed = None if four_bits else pack_filter("uint8" if dtype == "uint8" else "int8", filter, 1, units, depth)
    p.batches = batches
    p.depth = depth
    p.units = units
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.requant = requant.prepared(units, 1, sum_bound)
    p.packed = address(packed)
    name = f"fully_connected_{DTYPE_SUFFIX[dtype]}"
    scratch = qc_panel_size_s16(depth)
    if bytes_alike:
        scratch = qc_fully_connected_scratch_size(units, depth, packed is not None)
    kept = None
    if four_bits:
        name, scratch = name + "_s4", qc_fully_connected_s4_scratch_size(units, depth)
        if filter is not None and _core.isa != "scalar":
            on_bytes = fully_connected_call(
                dtype, filter=filter, batches=batches, depth=depth, units=units, input_offset=input_offset,
                filter_offset=filter_offset, requant=requant, sum_bound=sum_bound,
            )
            p.requant = requant.c  # prepared anew
            packed, kept = unpacked_call(on_bytes, filter)
            p.packed = address(packed)
            scratch = max(scratch, on_bytes.scratch_bytes)
    call = make_call(name, &p, sizeof(p), scratch, (requant, packed, kept))
    return divide_rows(call, batches, depth, units, ITEM_BYTES[dtype], 60)


def fully_connected_f32_call(*, filter=None, int32_t batches, int32_t depth, int32_t units,
                             float activation_min, float activation_max, bint fused=False) -> KernelCall:
    """FULLY_CONNECTED on float32, `fused` as for CONV_2D; see ``qc_fully_connected_f32_params``."""
    cdef qc_fully_connected_f32_params p
    packed = pack_filter("float32", filter, 1, units, depth)
    p.batches = batches
    p.depth = depth
    p.units = units
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    p.finite = packed is not None and bool(np.isfinite(filter).all())
    scratch = qc_fully_connected_f32_scratch_size(units, depth, packed is not None)
    name = "fully_connected_f32_fused" if fused else "fully_connected_f32"
    return divide_rows(make_call(name, &p, sizeof(p), scratch, packed), batches, depth, units, 4, 20)


def fully_connected_hybrid_call(*, filter=None, int32_t batches, int32_t depth, int32_t units,
                                bint asymmetric, bint sign_overflow, filter_scale,
                                float activation_min, float activation_max, bint four_bits=False,
                                bint fma=False) -> KernelCall:
    """FULLY_CONNECTED on float32 with an int8 filter, or a packed one of `four_bits`; with `fma` as XNNPACK does
    it. See ``qc_fully_connected_hybrid_params``."""
    cdef qc_fully_connected_hybrid_params p
    packed = None if four_bits else pack_filter("int8", filter, 1, units, depth)
    name = "fully_connected_hybrid_fma" if fma else "fully_connected_hybrid"
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
    if four_bits:
        scratch, kept = qc_fully_connected_s4_scratch_size(units, depth), None
        if filter is not None and not fma and _core.isa != "scalar":
            on_bytes = fully_connected_hybrid_call(
                filter=filter, batches=batches, depth=depth, units=units, asymmetric=asymmetric,
                sign_overflow=sign_overflow, filter_scale=filter_scale, activation_min=activation_min,
                activation_max=activation_max,
            )
            packed, kept = unpacked_call(on_bytes, filter)
            p.packed = address(packed)
            scratch = max(scratch, on_bytes.scratch_bytes)
        return make_call(name + "_s4", &p, sizeof(p), scratch, (scales, packed, kept))
    scratch = qc_fully_connected_hybrid_scratch_size(units, depth, packed is not None)
    return make_call(name, &p, sizeof(p), scratch, (scales, packed))
