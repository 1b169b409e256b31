"""TRANSPOSE_CONV over csrc/reference/transpose_conv.c."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core import DTYPE_SUFFIX

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_requant
from quantcore.kernels.conv cimport c_shape, qc_conv_shape

cdef extern from "quantcore/transpose_conv.h" nogil:
    int64_t qc_conv_image_size(const qc_conv_shape *)
    ctypedef struct qc_transpose_conv_layout:
        qc_conv_shape shape
        int32_t bias
        int32_t output
    ctypedef struct qc_transpose_conv_params:
        qc_transpose_conv_layout layout
        int32_t input_offset
        int32_t filter_offset
        int32_t flat
        qc_requant requant
    ctypedef struct qc_transpose_conv_f32_params:
        qc_transpose_conv_layout layout
        float activation_min
        float activation_max
        const float *filter_scale


cdef qc_transpose_conv_layout make_layout(shape, inputs, has_bias):
    cdef qc_transpose_conv_layout layout
    layout.shape = c_shape(shape)
    layout.bias = 3 if has_bias else -1
    layout.output = inputs
    return layout


def transpose_conv_call(str dtype, shape, *, inputs, has_bias, int32_t input_offset, int32_t filter_offset, bint flat,
                        Requant requant) -> KernelCall:
    """Quantized TRANSPOSE_CONV; `dtype` is int8, uint8, int16 or int16_wide (int64 accumulators and bias).

    `shape` is a `ConvShape`, `inputs` the number of the operator's inputs. See ``qc_transpose_conv_params``.
    """
    cdef qc_transpose_conv_params p
    p.layout = make_layout(shape, inputs, has_bias)
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.flat = flat
    p.requant = requant.c
    return make_call(f"transpose_conv_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), 0, requant)


def transpose_conv_f32_call(shape, *, inputs, has_bias, float activation_min, float activation_max,
                            filter_scale=None, bint fma=False) -> KernelCall:
    """TRANSPOSE_CONV on float32; with `filter_scale` (one per channel) the hybrid form, whose filter is int8, with
    `fma` as XNNPACK does it."""
    cdef qc_transpose_conv_f32_params p
    p.layout = make_layout(shape, inputs, has_bias)
    p.activation_min = activation_min
    p.activation_max = activation_max
    p.filter_scale = NULL
    if filter_scale is None:
        return make_call("transpose_conv_f32", &p, sizeof(p))
    scales = np.ascontiguousarray(filter_scale, dtype=np.float32)
    p.filter_scale = <const float *>address(scales)
    name = "transpose_conv_hybrid_fma" if fma else "transpose_conv_hybrid"
    return make_call(name, &p, sizeof(p), qc_conv_image_size(&p.layout.shape), scales)
