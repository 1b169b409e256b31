from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, qc_requant

cdef extern from "quantcore/hybrid.h" nogil:
    ctypedef enum qc_hybrid_form:
        QC_HYBRID_REFERENCE
        QC_HYBRID_OPTIMIZED

cdef extern from "quantcore/conv.h" nogil:
    ctypedef struct qc_conv_shape:
        int32_t batches
        int32_t input_height
        int32_t input_width
        int32_t input_channels
        int32_t filter_height
        int32_t filter_width
        int32_t output_height
        int32_t output_width
        int32_t output_channels
        int32_t stride_height
        int32_t stride_width
        int32_t dilation_height
        int32_t dilation_width
        int32_t pad_top
        int32_t pad_left
    ctypedef struct qc_conv_params:
        qc_conv_shape shape
        int32_t groups
        int32_t input_offset
        int32_t filter_offset
        qc_requant requant
        const void *packed
        int32_t by_runs
    ctypedef struct qc_conv_bands:
        int64_t runs
        int64_t run
        int64_t size
    qc_conv_bands qc_make_conv_bands(const qc_conv_shape *s, int32_t groups)
    int64_t qc_conv_runs_scratch_size(const qc_conv_shape *s, int32_t groups)
    ctypedef struct qc_conv_f32_params:
        qc_conv_shape shape
        int32_t groups
        float activation_min
        float activation_max
        const void *packed
        int32_t finite
    ctypedef struct qc_conv_hybrid_params:
        qc_conv_shape shape
        int32_t groups
        int32_t per_channel
        int32_t sign_overflow
        qc_hybrid_form form
        const float *filter_scale
        float activation_min
        float activation_max
        const void *packed
    int64_t qc_conv_scratch_size(const qc_conv_shape *s, int32_t groups, int is_packed)
    int64_t qc_conv_s4_scratch_size(const qc_conv_shape *s, int32_t groups)
    int64_t qc_conv_f32_scratch_size(const qc_conv_shape *s, int32_t groups, int is_packed)
    int64_t qc_conv_hybrid_scratch_size(const qc_conv_shape *s, int32_t groups, int is_packed)


cdef qc_conv_shape c_shape(object shape)

# Divides a call whose params begin with the shape, by pixels, rows or images. The items are the bytes of an element of
# input and output, `depth` the products in one output, `rate` how many a core forms in a nanosecond. A `hybrid` call
# quantizes each image whole: its parts read all of it.
cdef KernelCall divide_conv(KernelCall call, const qc_conv_shape *s, int64_t input_item, int64_t output_item,
                            double depth, double rate, bint hybrid=*)
