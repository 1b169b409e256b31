"""Element-wise activations over csrc/reference/activation.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, Requant, make_call, qc_requant, qc_rounding

from quantcore.kernels._core import DTYPE_SUFFIX, ITEM_BYTES, ROUNDINGS

cdef extern from "quantcore/activation.h" nogil:
    ctypedef struct qc_relu_params:
        int64_t count
        int32_t input_offset
        qc_requant requant
    ctypedef struct qc_relu_f32_params:
        int64_t count
        float activation_min
        float activation_max
    ctypedef struct qc_leaky_relu_params:
        int64_t count
        int32_t input_offset
        int32_t output_offset
        int32_t identity_multiplier
        int32_t identity_shift
        int32_t alpha_multiplier
        int32_t alpha_shift
        qc_rounding rounding
        int32_t negates_alpha
    ctypedef struct qc_leaky_relu_f32_params:
        int64_t count
        float alpha
        int32_t keeps_zeros
    ctypedef struct qc_hard_swish_params:
        int64_t count
        int32_t input_offset
        int32_t output_offset
        int32_t output_multiplier
        int32_t output_shift
        int32_t reluish_multiplier
        int32_t reluish_shift
    ctypedef enum qc_hard_swish_form:
        QC_HARD_SWISH_QUOTIENT
        QC_HARD_SWISH_PRODUCT
        QC_HARD_SWISH_FUSED
    ctypedef struct qc_hard_swish_f32_params:
        int64_t count
        qc_hard_swish_form form


def relu_call(dtype, *, int64_t count, int32_t input_offset, Requant requant) -> KernelCall:
    """RELU family on int8, uint8 or int16; see ``qc_relu_params``."""
    cdef qc_relu_params p
    p.count = count
    p.input_offset = input_offset
    p.requant = requant.c
    call = make_call(f"relu_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), 0, requant)
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype], requant)


def relu_f32_call(*, int64_t count, float activation_min, float activation_max) -> KernelCall:
    """RELU family on float32."""
    cdef qc_relu_f32_params p
    p.count = count
    p.activation_min = activation_min
    p.activation_max = activation_max
    call = make_call("relu_f32", &p, sizeof(p))
    return call.divide_elements(count, 4, 4)


def leaky_relu_call(dtype, *, int64_t count, int32_t input_offset, int32_t output_offset, int32_t identity_multiplier,
                    int32_t identity_shift, int32_t alpha_multiplier, int32_t alpha_shift,
                    rounding="double_rounding", bint negates_alpha=False) -> KernelCall:
    """LEAKY_RELU on int8, uint8 or int16; `rounding` is double or single. See ``qc_leaky_relu_params``."""
    cdef qc_leaky_relu_params p = qc_leaky_relu_params(
        count, input_offset, output_offset, identity_multiplier, identity_shift, alpha_multiplier, alpha_shift,
        <qc_rounding><int>ROUNDINGS[rounding], negates_alpha,
    )
    call = make_call(f"leaky_relu_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype])


def leaky_relu_f32_call(*, int64_t count, float alpha, bint keeps_zeros=False) -> KernelCall:
    """LEAKY_RELU on float32; see ``qc_leaky_relu_f32_params``."""
    cdef qc_leaky_relu_f32_params p = qc_leaky_relu_f32_params(count, alpha, keeps_zeros)
    call = make_call("leaky_relu_f32", &p, sizeof(p))
    return call.divide_elements(count, 4, 4)


def hard_swish_call(dtype, *, int64_t count, int32_t input_offset, int32_t output_offset, int32_t output_multiplier,
                    int32_t output_shift, int32_t reluish_multiplier, int32_t reluish_shift) -> KernelCall:
    """HARD_SWISH on int8 or uint8; see ``qc_hard_swish_params``."""
    cdef qc_hard_swish_params p = qc_hard_swish_params(
        count, input_offset, output_offset, output_multiplier, output_shift, reluish_multiplier, reluish_shift,
    )
    call = make_call(f"hard_swish_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p))
    return call.divide_elements(count, ITEM_BYTES[dtype], ITEM_BYTES[dtype])


HARD_SWISH_FORMS = {
    "": QC_HARD_SWISH_QUOTIENT, "product": QC_HARD_SWISH_PRODUCT, "fused": QC_HARD_SWISH_FUSED,
}


def hard_swish_f32_call(*, int64_t count, form="") -> KernelCall:
    """HARD_SWISH on float32, by one of ``HARD_SWISH_FORMS``; see ``qc_hard_swish_form``."""
    cdef qc_hard_swish_f32_params p
    p.count = count
    p.form = <qc_hard_swish_form><int>HARD_SWISH_FORMS[form]
    call = make_call("hard_swish_f32", &p, sizeof(p))
    return call.divide_elements(count, 4, 4)
