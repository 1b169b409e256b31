/* DEPTHWISE_CONV_2D. Input and output are [batch, height, width, channel], the filter is [1, height, width,
 * output channel], the bias is [output channel]. Output channel c reads input channel c / depth_multiplier,
 * where depth_multiplier = output_channels / input_channels, a whole number.
 *
 * Source of the rules: TFLite kernels/depthwise_conv.cc, kernels/internal/reference/depthwiseconv_float.h,
 * depthwiseconv_uint8.h, integer_ops/depthwise_conv.h. Derivation: docs/numerics/depthwise_conv_2d.md. */
#ifndef QUANTCORE_DEPTHWISE_CONV_H
#define QUANTCORE_DEPTHWISE_CONV_H

#include "quantcore/depthwise_layout.h"

/* Quantized: as qc_conv_params, but each sum is over one input channel. pad_top may be negative. prepared: what
 * qc_prepare_depthwise_s8 or _u8 makes of filter and bias, or NULL. scratch: qc_depthwise_scratch_size bytes. */
typedef struct {
    qc_conv_shape shape;
    int32_t input_offset;
    int32_t filter_offset;
    qc_requant requant;
    const void *prepared;
} qc_depthwise_params;

/* Bytes of scratch that the kernels on 8-bit elements need: what the vector versions work on, and the filter if it is
 * not prepared. */
static inline int64_t qc_depthwise_scratch_size(const qc_conv_shape *s, int is_signed, int32_t filter_offset,
                                                int is_prepared) {
    if (!qc_depthwise_fits(s)) return 0;
    const int64_t filter = is_prepared ? 0 : qc_prepared_depthwise_size(s, is_signed, filter_offset);
    const int64_t a = qc_depthwise_work_size(s, 4, 64), b = qc_depthwise_work_size(s, 2, 32);
    return filter + 64 + (a > b ? a : b);
}

/* What depends on constants alone, for the vector versions: filter, bias and requantization laid out in
 * qc_prepared_depthwise_size bytes, which only the version that made them can read. It does not depend on batches,
 * height, width and padding. The definitions take the filter as it is, and this writes nothing. bias may be NULL. */
qc_status qc_prepare_depthwise_s8_ref(const qc_depthwise_params *params, const int8_t *filter, const int32_t *bias,
                                      uint8_t *prepared, void *scratch);
qc_status qc_prepare_depthwise_u8_ref(const qc_depthwise_params *params, const uint8_t *filter, const int32_t *bias,
                                      uint8_t *prepared, void *scratch);

QC_FILTER_KERNEL(qc_depthwise_conv_s8_ref, qc_depthwise_params, int8_t, int8_t, int32_t, int8_t)
QC_FILTER_KERNEL(qc_depthwise_conv_u8_ref, qc_depthwise_params, uint8_t, uint8_t, int32_t, uint8_t)

/* As s8, with a filter of 4 bits (see unpack.h). packed is not used. scratch: qc_depthwise_s4_scratch_size bytes. */
static inline int64_t qc_depthwise_s4_scratch_size(const qc_conv_shape *s) {
    return (int64_t)s->filter_height * s->filter_width * s->output_channels;
}

QC_FILTER_KERNEL(qc_depthwise_conv_s8_s4_ref, qc_depthwise_params, int8_t, uint8_t, int32_t, int8_t)

/* 16x8, as qc_conv_s16_ref and qc_conv_s16_wide_ref. */
QC_FILTER_KERNEL(qc_depthwise_conv_s16_ref, qc_depthwise_params, int16_t, int8_t, int32_t, int16_t)
QC_FILTER_KERNEL(qc_depthwise_conv_s16_wide_ref, qc_depthwise_params, int16_t, int8_t, int64_t, int16_t)

/* float32, also fused (in one part): as qc_conv_f32_params. scratch: qc_depthwise_f32_scratch_size bytes. */
typedef struct {
    qc_conv_shape shape;
    float activation_min;
    float activation_max;
} qc_depthwise_f32_params;

/* Bytes of scratch that the vector versions need: where the channels are multiplied, one image with the channels of the
 * output. */
static inline int64_t qc_depthwise_f32_scratch_size(const qc_conv_shape *s) {
    const int64_t pixels = (int64_t)s->input_height * s->input_width;
    return s->output_channels == s->input_channels ? 0 : pixels * s->output_channels * (int64_t)sizeof(float);
}

QC_FILTER_KERNEL(qc_depthwise_conv_f32_ref, qc_depthwise_f32_params, float, float, float, float)
QC_FILTER_KERNEL(qc_depthwise_conv_f32_fused_ref, qc_depthwise_f32_params, float, float, float, float)

/* Hybrid: float32 activations, int8 filter with a scale per channel. Each image is quantized on the fly,
 * asymmetrically, then output = clamp(f32(sum * f32(filter_scale[channel] * scale)) + bias) with
 * sum = sum (q - zero_point) * filter in int32, converted to float32. bias may be NULL. form: that product
 * may be formed otherwise.
 * prepared: as qc_prepare_depthwise_s8 makes it of the filter without bias, with offset 0 and the rule
 * QC_INT16_MULTIPLIER, or NULL. scratch: qc_depthwise_hybrid_scratch_size bytes. */
typedef struct {
    qc_conv_shape shape;
    qc_hybrid_form form;
    const float *filter_scale;
    float activation_min;
    float activation_max;
    const void *prepared;
} qc_depthwise_hybrid_params;

/* As qc_depthwise_scratch_size, one byte per element of an image, and a correction per channel. */
static inline int64_t qc_depthwise_hybrid_scratch_size(const qc_conv_shape *s, int is_prepared) {
    const int64_t corrections = qc_round_up(s->output_channels * (int64_t)sizeof(int32_t), 64);
    return qc_depthwise_scratch_size(s, 1, 0, is_prepared) + qc_round_up(qc_conv_image_size(s), 64) + corrections;
}

QC_FILTER_KERNEL(qc_depthwise_conv_hybrid_ref, qc_depthwise_hybrid_params, float, int8_t, float, float)

#endif
