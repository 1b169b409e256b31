"""DEPTHWISE_CONV_2D over csrc/reference/depthwise_conv.c and its vector versions."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core import DTYPE_SUFFIX
from quantcore.kernels.conv import HYBRID_FORMS, ITEM_BYTES
from quantcore.kernels.pack_filter import pack_depthwise_filter

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_requant
from quantcore.kernels.conv cimport c_shape, divide_conv, qc_conv_shape, qc_hybrid_form

cdef extern from "quantcore/depthwise_conv.h" nogil:
    ctypedef struct qc_depthwise_params:
        qc_conv_shape shape
        int32_t input_offset
        int32_t filter_offset
        qc_requant requant
        const void *packed
    ctypedef struct qc_depthwise_f32_params:
        qc_conv_shape shape
        float activation_min
        float activation_max
    ctypedef struct qc_depthwise_hybrid_params:
        qc_conv_shape shape
        qc_hybrid_form form
        const float *filter_scale
        float activation_min
        float activation_max
        const void *packed
    int64_t qc_depthwise_s4_scratch_size(const qc_conv_shape *s)
    int64_t qc_depthwise_scratch_size(const qc_conv_shape *s, int is_packed)
    int64_t qc_depthwise_f32_scratch_size(const qc_conv_shape *s)
    int64_t qc_depthwise_hybrid_scratch_size(const qc_conv_shape *s, int is_packed)


cdef object pack(str dtype, filter, shape):
    """Lay out the filter; None where it is not known or not needed."""
    return pack_depthwise_filter(dtype, filter, shape.output_channels, taps(shape))


cdef object taps(shape):
    """Return how many products make an output."""
    return shape.filter_height * shape.filter_width


def depthwise_conv_call(str dtype, shape, *, filter=None, int32_t input_offset, int32_t filter_offset,
                        Requant requant, sum_bound=None, bint four_bits=False) -> KernelCall:
    """Quantized DEPTHWISE_CONV_2D. See ``qc_depthwise_params``.

    `sum_bound`: what the accumulators do not exceed, or None.

    `dtype` is int8, uint8, int16 (int32 accumulators) or int16_wide (int64); `filter` a constant one. `four_bits`:
    it is packed, two elements in a byte; `dtype` is int8.
    """
    cdef qc_depthwise_params p
    packed = pack(dtype, filter, shape) if dtype in ("int8", "uint8") and not four_bits else None
    p.shape = c_shape(shape)
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.requant = requant.prepared(shape.output_channels, 1, sum_bound)
    p.packed = address(packed)
    if four_bits:
        call = make_call("depthwise_conv_s8_s4", &p, sizeof(p), qc_depthwise_s4_scratch_size(&p.shape), requant)
    else:
        scratch = qc_depthwise_scratch_size(&p.shape, packed is not None)
        call = make_call(f"depthwise_conv_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, (requant, packed))
    item = ITEM_BYTES[dtype]
    return divide_conv(call, &p.shape, item, item, taps(shape), 12)


def depthwise_conv_f32_call(shape, *, float activation_min, float activation_max,
                            bint fused=False) -> KernelCall:
    """DEPTHWISE_CONV_2D on float32, `fused` as for CONV_2D; see ``qc_depthwise_f32_params``."""
    cdef qc_depthwise_f32_params p
    p.shape = c_shape(shape)
    p.activation_min = activation_min
    p.activation_max = activation_max
    name = "depthwise_conv_f32_fused" if fused else "depthwise_conv_f32"
    call = make_call(name, &p, sizeof(p), qc_depthwise_f32_scratch_size(&p.shape))
    return divide_conv(call, &p.shape, 4, 4, taps(shape), 6)


def depthwise_conv_hybrid_call(shape, *, filter=None, filter_scale, float activation_min,
                               float activation_max, str form="reference") -> KernelCall:
    """DEPTHWISE_CONV_2D on float32 with an int8 filter; see ``qc_depthwise_hybrid_params``.

    `form` is one of ``HYBRID_FORMS``.
    """
    cdef qc_depthwise_hybrid_params p
    packed = pack("int8", filter, shape)
    scales = np.array(filter_scale, dtype=np.float32)
    p.shape = c_shape(shape)
    p.form = <qc_hybrid_form><int>HYBRID_FORMS[form]
    p.filter_scale = <const float *>address(scales)
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    scratch = qc_depthwise_hybrid_scratch_size(&p.shape, packed is not None)
    call = make_call("depthwise_conv_hybrid", &p, sizeof(p), scratch, (scales, packed))
    return divide_conv(call, &p.shape, 4, 4, taps(shape), 12, images_alone=True)
