"""CONV_2D over csrc/reference/conv.c and its vector versions."""

import numpy as np

from libc.stdint cimport int32_t

from quantcore.kernels._core import DTYPE_SUFFIX
from quantcore.kernels.pack_filter import pack_filter

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call

HYBRID_FORMS = {"reference": QC_HYBRID_REFERENCE, "optimized": QC_HYBRID_OPTIMIZED}


cdef qc_conv_shape c_shape(object shape):
    """Convert a `ConvShape`; a value outside int32 raises OverflowError."""
    cdef qc_conv_shape s
    (s.batches, s.input_height, s.input_width, s.input_channels, s.filter_height, s.filter_width,
     s.output_height, s.output_width, s.output_channels, s.stride_height, s.stride_width,
     s.dilation_height, s.dilation_width, s.pad_top, s.pad_left) = shape
    return s


cdef object pack(str dtype, filter, shape, int32_t groups):
    """Lay out the filter; None where it is not known or not needed."""
    depth = shape.filter_height * shape.filter_width * (shape.input_channels // groups)
    return pack_filter(dtype, filter, groups, shape.output_channels // groups, depth)


def conv_call(str dtype, shape, *, filter=None, int32_t groups, int32_t input_offset, int32_t filter_offset,
              Requant requant, bint four_bits=False) -> KernelCall:
    """Quantized CONV_2D. See ``qc_conv_params``.

    `dtype` is int8, uint8, int16 (int32 accumulators) or int16_wide (int64); `filter` a constant one. `four_bits`:
    it is packed, two elements in a byte; `dtype` is int8.
    """
    cdef qc_conv_params p
    packed = pack(dtype, filter, shape, groups) if dtype in ("int8", "uint8") and not four_bits else None
    p.shape = c_shape(shape)
    p.groups = groups
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.requant = requant.c
    p.packed = address(packed)
    if four_bits:
        return make_call("conv_s8_s4", &p, sizeof(p), qc_conv_s4_scratch_size(&p.shape, groups), requant)
    scratch = qc_conv_scratch_size(&p.shape, groups, packed is not None)
    return make_call(f"conv_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, (requant, packed))


def conv_f32_call(shape, *, filter=None, int32_t groups, float activation_min,
                  float activation_max, bint fused=False) -> KernelCall:
    """CONV_2D on float32, `fused`: of products that are not rounded; see ``qc_conv_f32_params``."""
    cdef qc_conv_f32_params p
    packed = pack("float32", filter, shape, groups)
    p.shape = c_shape(shape)
    p.groups = groups
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    scratch = qc_conv_f32_scratch_size(&p.shape, groups, packed is not None)
    return make_call("conv_f32_fused" if fused else "conv_f32", &p, sizeof(p), scratch, packed)


def conv_hybrid_call(shape, *, filter=None, int32_t groups, bint sign_overflow, filter_scale,
                     float activation_min, float activation_max, str form="reference") -> KernelCall:
    """CONV_2D on float32 with an int8 filter, of one scale or many; see ``qc_conv_hybrid_params``.

    `form` is one of ``HYBRID_FORMS``, or ``fma`` for XNNPACK's.
    """
    cdef qc_conv_hybrid_params p
    fma = form == "fma"
    packed = None if fma else pack("int8", filter, shape, groups)
    scales = np.array(filter_scale, dtype=np.float32)
    p.shape = c_shape(shape)
    p.groups = groups
    p.per_channel = scales.size > 1
    p.sign_overflow = sign_overflow
    p.form = QC_HYBRID_REFERENCE if fma else <qc_hybrid_form><int>HYBRID_FORMS[form]
    p.filter_scale = <const float *>address(scales)
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.packed = address(packed)
    scratch = qc_conv_hybrid_scratch_size(&p.shape, groups, packed is not None)
    return make_call("conv_hybrid_fma" if fma else "conv_hybrid", &p, sizeof(p), scratch, (scales, packed))
