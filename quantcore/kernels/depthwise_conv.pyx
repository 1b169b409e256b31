"""DEPTHWISE_CONV_2D over csrc/reference/depthwise_conv.c and its vector versions."""

import numpy as np

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels import _core
from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES, aligned_bytes
from quantcore.kernels.conv import HYBRID_FORMS, conv_call
from quantcore.kernels.four_bits import unpacked_call

from quantcore.kernels._core cimport KernelCall, Requant, address, make_call, qc_requant
from quantcore.kernels.conv cimport c_shape, divide_conv, qc_conv_shape, qc_hybrid_form

cdef extern from "quantcore/depthwise_conv.h" nogil:
    ctypedef struct qc_depthwise_params:
        qc_conv_shape shape
        int32_t input_offset
        int32_t filter_offset
        qc_requant requant
        const void *prepared
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
        const void *prepared
    int64_t qc_depthwise_s4_scratch_size(const qc_conv_shape *s)
    int64_t qc_prepared_depthwise_size(const qc_conv_shape *s, int is_signed, int32_t filter_offset)
    int64_t qc_depthwise_scratch_size(const qc_conv_shape *s, int is_signed, int32_t filter_offset, int is_prepared)
    int64_t qc_depthwise_f32_scratch_size(const qc_conv_shape *s)
    int64_t qc_depthwise_hybrid_scratch_size(const qc_conv_shape *s, int is_prepared)


X86_ISAS = ("avx2", "avx512", "vnni", "amx")


cdef object prepare(str dtype, const qc_depthwise_params *p, constants):
    """Lay out filter and bias for the version in use; None where they are not known or not laid out."""
    call = make_call(f"prepare_depthwise_{DTYPE_SUFFIX[dtype]}", p, sizeof(p[0]))
    if constants is None or call.isa == "scalar":
        return None
    filter, bias = constants
    prepared = aligned_bytes(qc_prepared_depthwise_size(&p.shape, dtype == "int8", p.filter_offset))
    call([np.ascontiguousarray(filter), None if bias is None else np.ascontiguousarray(bias)], [prepared])
    return prepared


cdef object taps(shape):
    """Return how many products make an output."""
    return shape.filter_height * shape.filter_width


def depthwise_conv_call(str dtype, shape, *, constants=None, int32_t input_offset, int32_t filter_offset,
                        Requant requant, sum_bound=None, bint four_bits=False) -> KernelCall:
    """Quantized DEPTHWISE_CONV_2D. See ``qc_depthwise_params``.

    `dtype` is int8, uint8, int16 (int32 accumulators) or int16_wide (int64); `constants` is (filter, bias), or
    None if one of them is computed at run time; the bias may be None, where there is none. `four_bits`: the kernel's
    filter is packed, two elements in a byte, that of `constants` has one in an int8; `dtype` is int8. `sum_bound`: what
    the accumulators do not exceed, or None.

    With one input channel it is a CONV_2D, whose vector versions need no copy of the input for each output channel.
    """
    cdef qc_depthwise_params p
    one_channel = shape.input_channels == 1 and shape.output_channels > 1
    if one_channel and constants is not None and dtype in ("int8", "uint8") and _core.isa in X86_ISAS:
        filter = np.ascontiguousarray(np.moveaxis(constants[0], 3, 0))
        return conv_call(
            dtype, shape, filter=filter, groups=1, input_offset=input_offset, filter_offset=filter_offset,
            requant=requant, sum_bound=sum_bound,
        )
    p.shape = c_shape(shape)
    p.input_offset = input_offset
    p.filter_offset = filter_offset
    p.requant = requant.prepared(shape.output_channels, 1, sum_bound)
    p.prepared = NULL
    if four_bits:
        scratch = qc_depthwise_s4_scratch_size(&p.shape)
        unpacked = kept = None
        if constants is not None and _core.isa != "scalar":
            on_bytes = depthwise_conv_call(
                dtype, shape, constants=constants, input_offset=input_offset, filter_offset=filter_offset,
                requant=requant, sum_bound=sum_bound,
            )
            p.requant = requant.c  # prepared anew
            unpacked, kept = unpacked_call(on_bytes, constants[0])
            p.prepared = address(unpacked)
            scratch = max(scratch, on_bytes.scratch_bytes)
        call = make_call("depthwise_conv_s8_s4", &p, sizeof(p), scratch, (requant, unpacked, kept))
    else:
        prepared = None
        scratch = 0
        if dtype in ("int8", "uint8"):
            prepared = prepare(dtype, &p, constants)
            scratch = qc_depthwise_scratch_size(&p.shape, dtype == "int8", filter_offset, prepared is not None)
        p.prepared = address(prepared)
        call = make_call(f"depthwise_conv_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch, (requant, prepared))
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
    cdef qc_depthwise_params integers
    scales = np.array(filter_scale, dtype=np.float32)
    p.shape = c_shape(shape)
    p.form = <qc_hybrid_form><int>HYBRID_FORMS[form]
    p.filter_scale = <const float *>address(scales)
    p.activation_min = activation_min
    p.activation_max = activation_max
    integers.shape = p.shape
    integers.input_offset = integers.filter_offset = 0
    integers.requant = Requant("int16_multiplier", activation_min=0, activation_max=0).c
    prepared = prepare("int8", &integers, None if filter is None else (filter, None))
    p.prepared = address(prepared)
    scratch = qc_depthwise_hybrid_scratch_size(&p.shape, prepared is not None)
    call = make_call("depthwise_conv_hybrid", &p, sizeof(p), scratch, (scales, prepared))
    return divide_conv(call, &p.shape, 4, 4, taps(shape), 12, hybrid=True)
