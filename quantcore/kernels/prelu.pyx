"""PRELU over csrc/reference/prelu.c."""

from libc.stdint cimport int32_t

from quantcore.kernels._core cimport KernelCall, make_call
from quantcore.kernels.elementwise cimport fill_broadcast, qc_broadcast

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/prelu.h" nogil:
    ctypedef struct qc_prelu_params:
        qc_broadcast broadcast
        int32_t input_offset
        int32_t alpha_offset
        int32_t output_offset
        int32_t identity_multiplier
        int32_t identity_shift
        int32_t alpha_multiplier
        int32_t alpha_shift
    ctypedef struct qc_prelu_f32_params:
        qc_broadcast broadcast


def prelu_call(dtype, *, shape, alpha_shape, int32_t input_offset, int32_t alpha_offset, int32_t output_offset,
               int32_t identity_multiplier, int32_t identity_shift, int32_t alpha_multiplier,
               int32_t alpha_shift) -> KernelCall:
    """PRELU on int8 or uint8; see ``qc_prelu_params``."""
    cdef qc_prelu_params p
    fill_broadcast(&p.broadcast, shape, alpha_shape)
    p.input_offset, p.alpha_offset, p.output_offset = input_offset, alpha_offset, output_offset
    p.identity_multiplier, p.identity_shift = identity_multiplier, identity_shift
    p.alpha_multiplier, p.alpha_shift = alpha_multiplier, alpha_shift
    return make_call(f"prelu_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))


def prelu_f32_call(*, shape, alpha_shape) -> KernelCall:
    """PRELU on float32; see ``qc_prelu_f32_params``."""
    cdef qc_prelu_f32_params p
    fill_broadcast(&p.broadcast, shape, alpha_shape)
    return make_call("prelu_f32", &p, sizeof(p))
