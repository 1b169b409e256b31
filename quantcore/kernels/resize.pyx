"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR over csrc/reference/resize.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

from quantcore.kernels._core import DTYPE_SUFFIX

cdef extern from "quantcore/resize.h" nogil:
    ctypedef struct qc_resize_shape:
        int32_t batches
        int32_t channels
        int32_t input_height
        int32_t input_width
        int32_t output_height
        int32_t output_width
        int32_t align_corners
        int32_t half_pixel_centers
    ctypedef enum qc_bilinear_form:
        QC_BILINEAR_FIXED10
        QC_BILINEAR_TERMS
        QC_BILINEAR_WEIGHTS
        QC_BILINEAR_FIXED11
        QC_BILINEAR_LERP
        QC_BILINEAR_MEAN
    ctypedef struct qc_resize_nearest_params:
        qc_resize_shape shape
        int32_t element_bytes
    ctypedef struct qc_resize_bilinear_params:
        qc_resize_shape shape
        qc_bilinear_form form
    int64_t qc_resize_bilinear_scratch(const qc_resize_shape *s)

FORMS = {
    "fixed10": QC_BILINEAR_FIXED10, "terms": QC_BILINEAR_TERMS, "weights": QC_BILINEAR_WEIGHTS,
    "fixed11": QC_BILINEAR_FIXED11, "lerp": QC_BILINEAR_LERP, "mean": QC_BILINEAR_MEAN,
}


cdef qc_resize_shape make_shape(input_shape, output_size, bint align_corners, bint half_pixel_centers):
    """`input_shape` is NHWC, `output_size` is (height, width)."""
    cdef qc_resize_shape s
    s.batches, s.input_height, s.input_width, s.channels = input_shape
    s.output_height, s.output_width = output_size
    s.align_corners = align_corners
    s.half_pixel_centers = half_pixel_centers
    return s


def resize_nearest_call(*, input_shape, output_size, align_corners, half_pixel_centers,
                        int32_t element_bytes) -> KernelCall:
    """Copies of the nearest element; see ``qc_resize_nearest_params``."""
    cdef qc_resize_nearest_params p
    p.shape = make_shape(input_shape, output_size, align_corners, half_pixel_centers)
    p.element_bytes = element_bytes
    return make_call("resize_nearest", &p, sizeof(p))


def resize_bilinear_call(dtype, form, *, input_shape, output_size, align_corners, half_pixel_centers) -> KernelCall:
    """Bilinear interpolation by one of ``FORMS``; see ``qc_bilinear_form``."""
    cdef qc_resize_bilinear_params p
    p.shape = make_shape(input_shape, output_size, align_corners, half_pixel_centers)
    p.form = <qc_bilinear_form><int>FORMS[form]
    scratch = qc_resize_bilinear_scratch(&p.shape) if dtype in ("int8", "uint8") else 0
    return make_call(f"resize_bilinear_{DTYPE_SUFFIX[dtype]}", &p, sizeof(p), scratch)
