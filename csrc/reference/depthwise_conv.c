/* DEPTHWISE_CONV_2D: the definitions. */
#include "quantcore/depthwise_conv.h"

#include <math.h>
#include <stddef.h>

#include "quantcore/hybrid.h"
#include "quantcore/unpack.h"

#define QC_DEFINITION "depthwise_conv_quantized.inc"
#include "quantized_forms.inc"

qc_status qc_prepare_depthwise_s8_ref(const qc_depthwise_params *p, const int8_t *filter, const int32_t *bias,
                                      uint8_t *prepared, void *scratch) {
    (void)p, (void)filter, (void)bias, (void)prepared, (void)scratch;
    return QC_OK;
}

qc_status qc_prepare_depthwise_u8_ref(const qc_depthwise_params *p, const uint8_t *filter, const int32_t *bias,
                                      uint8_t *prepared, void *scratch) {
    (void)p, (void)filter, (void)bias, (void)prepared, (void)scratch;
    return QC_OK;
}

qc_status qc_depthwise_conv_s8_s4_ref(const qc_depthwise_params *p, const int8_t *input, const uint8_t *filter,
                                      const int32_t *bias, int8_t *output, void *scratch) {
    int8_t *unpacked = scratch;
    qc_unpack_s4(filter, qc_depthwise_s4_scratch_size(&p->shape), unpacked);
    return qc_depthwise_conv_s8_ref(p, input, unpacked, bias, output, NULL);
}

/* The float sum of output channel `channel` at (oy, ox) of one image; fused: of products that are not rounded. */
static float depthwise_sum_f32(const qc_conv_shape *s, int fused, const float *image, const float *filter,
                               int32_t oy, int32_t ox, int32_t channel) {
    const int32_t input_channel = channel / (s->output_channels / s->input_channels);
    float sum = 0.0f;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        if (iy < 0 || iy >= s->input_height) continue;
        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
            const int64_t ix = qc_input_column(s, ox, fx);
            if (ix < 0 || ix >= s->input_width) continue;
            const float x = image[(iy * s->input_width + ix) * s->input_channels + input_channel];
            const float w = filter[((int64_t)fy * s->filter_width + fx) * s->output_channels + channel];
            sum = fused ? fmaf(x, w, sum) : sum + x * w;
        }
    }
    return sum;
}

static qc_status depthwise_conv_f32(const qc_depthwise_f32_params *p, int fused, const float *input,
                                    const float *filter, const float *bias, float *output) {
    const qc_conv_shape *s = &p->shape;
    const int64_t image_size = qc_conv_image_size(s);
    for (int32_t b = 0; b < s->batches; ++b) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t channel = 0; channel < s->output_channels; ++channel) {
                    const float sum =
                        depthwise_sum_f32(s, fused, input + b * image_size, filter, oy, ox, channel);
                    const float biased = sum + (bias != NULL ? bias[channel] : 0.0f);
                    *output++ = qc_clamp_f32(biased, p->activation_min, p->activation_max);
                }
            }
        }
    }
    return QC_OK;
}

qc_status qc_depthwise_conv_f32_ref(const qc_depthwise_f32_params *p, const float *input,
                                    const float *filter, const float *bias, float *output, void *scratch) {
    (void)scratch;
    return depthwise_conv_f32(p, 0, input, filter, bias, output);
}

qc_status qc_depthwise_conv_f32_fused_ref(const qc_depthwise_f32_params *p, const float *input,
                                          const float *filter, const float *bias, float *output,
                                          void *scratch) {
    (void)scratch;
    return depthwise_conv_f32(p, 1, input, filter, bias, output);
}

/* A sum times the scales of image and channel. */
static float hybrid_product(const qc_depthwise_hybrid_params *p, float acc, float scale, int32_t channel) {
    const float filter_scale = p->filter_scale[channel];
    if (p->form == QC_HYBRID_REFERENCE) return acc * (filter_scale * scale);
    const int in_block = channel < p->shape.output_channels / 4 * 4;
    return in_block ? acc * filter_scale * scale : acc * scale * filter_scale;
}

qc_status qc_depthwise_conv_hybrid_ref(const qc_depthwise_hybrid_params *p, const float *input,
                                       const int8_t *filter, const float *bias, float *output,
                                       void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int64_t image_size = qc_conv_image_size(s);
    int8_t *image = scratch;
    for (int32_t b = 0; b < s->batches; ++b) {
        const qc_hybrid_scale q =
            qc_hybrid_quantize_asymmetric(&qc_hybrid_ref, input + b * image_size, image_size, image);
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t channel = 0; channel < s->output_channels; ++channel) {
                    const uint32_t sum =
                        depthwise_sum_s8(s, image, filter, -q.zero_point, 0, oy, ox, channel);
                    float real = hybrid_product(p, (float)(int32_t)sum, q.scale, channel);
                    if (bias != NULL) real += bias[channel];
                    *output++ = qc_clamp_f32(real, p->activation_min, p->activation_max);
                }
            }
        }
    }
    return QC_OK;
}
