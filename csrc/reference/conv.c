/* CONV_2D: the definitions. */
#include "quantcore/conv.h"

#include <stddef.h>

#include "quantcore/float_sum.h"
#include "quantcore/hybrid.h"
#include "quantcore/hybrid_xnnpack.h"
#include "quantcore/unpack.h"

#define QC_DEFINITION "conv_quantized.inc"
#include "quantized_forms.inc"

qc_status qc_conv_s8_s4_ref(const qc_conv_params *p, const int8_t *input, const uint8_t *filter,
                            const int32_t *bias, int8_t *output, void *scratch) {
    int8_t *unpacked = scratch;
    qc_unpack_s4(filter, qc_conv_s4_scratch_size(&p->shape, p->groups), unpacked);
    return qc_conv_s8_ref(p, input, unpacked, bias, output, NULL);
}

/* The float sum of output channel `channel` at (oy, ox) of one image; fused: of products that are not rounded. */
static float conv_sum_f32(const qc_conv_shape *s, int32_t groups, int fused, const float *image,
                          const float *filter, int32_t oy, int32_t ox, int32_t channel) {
    const int32_t depth = s->input_channels / groups;
    const int32_t group = channel / (s->output_channels / groups);
    qc_float_sum sum = {0};
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        if (iy < 0 || iy >= s->input_height) continue;
        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
            const int64_t ix = qc_input_column(s, ox, fx);
            if (ix < 0 || ix >= s->input_width) continue;
            const float *x =
                image + (iy * s->input_width + ix) * s->input_channels + (int64_t)group * depth;
            const float *w =
                filter + (((int64_t)channel * s->filter_height + fy) * s->filter_width + fx) * depth;
            for (int32_t c = 0; c < depth; ++c) qc_add_product(&sum, fused, x[c], w[c]);
        }
    }
    return sum.total + sum.part;
}

static qc_status conv_f32(const qc_conv_f32_params *p, int fused, const float *input, const float *filter,
                          const float *bias, float *output) {
    const qc_conv_shape *s = &p->shape;
    const int64_t image_size = qc_conv_image_size(s);
    for (int32_t b = 0; b < s->batches; ++b) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t channel = 0; channel < s->output_channels; ++channel) {
                    const float sum =
                        conv_sum_f32(s, p->groups, fused, input + b * image_size, filter, oy, ox, channel);
                    const float biased = sum + (bias != NULL ? bias[channel] : 0.0f);
                    *output++ = qc_clamp_f32(biased, p->activation_min, p->activation_max);
                }
            }
        }
    }
    return QC_OK;
}

qc_status qc_conv_f32_ref(const qc_conv_f32_params *p, const float *input, const float *filter,
                          const float *bias, float *output, void *scratch) {
    (void)scratch;
    return conv_f32(p, 0, input, filter, bias, output);
}

qc_status qc_conv_f32_fused_ref(const qc_conv_f32_params *p, const float *input, const float *filter,
                                const float *bias, float *output, void *scratch) {
    (void)scratch;
    return conv_f32(p, 1, input, filter, bias, output);
}

/* What TFLite's x86 code for dot products adds to the accumulator where the filter contains -128. */
static uint32_t conv_sign_overflow(const qc_conv_shape *s, const int8_t *image, const int8_t *filter,
                                   int32_t oy, int32_t ox, int32_t channel) {
    const int64_t depth = s->input_channels;
    const int64_t row = (int64_t)s->filter_height * s->filter_width * depth;
    uint32_t sum = 0;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        if (iy < 0 || iy >= s->input_height) continue;
        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
            const int64_t ix = qc_input_column(s, ox, fx);
            if (ix < 0 || ix >= s->input_width) continue;
            const int64_t position = ((int64_t)fy * s->filter_width + fx) * depth;
            sum += qc_hybrid_sign_overflow(image + (iy * s->input_width + ix) * depth,
                                           filter + channel * row + position, depth, position, row);
        }
    }
    return sum;
}

/* The output for a sum, before the activation. */
static float hybrid_output(const qc_conv_hybrid_params *p, float acc, float scale, int32_t channel, float bias) {
    const float filter_scale = p->filter_scale[p->per_channel ? channel : 0];
    /* The single-scale form accumulates into an output of zeros, which turns -0 into 0. */
    if (!p->per_channel) return 0.0f + acc * (scale * filter_scale) + bias;
    return (p->form == QC_HYBRID_OPTIMIZED ? acc * (filter_scale * scale) : acc * filter_scale * scale) + bias;
}

qc_status qc_conv_hybrid_ref(const qc_conv_hybrid_params *p, const float *input, const int8_t *filter,
                             const float *bias, float *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int64_t image_size = qc_conv_image_size(s);
    const int sign_overflow = p->sign_overflow && !p->per_channel && s->output_channels % 4 != 0;
    int8_t *image = scratch;
    for (int32_t b = 0; b < s->batches; ++b) {
        const qc_hybrid_scale q =
            qc_hybrid_quantize(&qc_hybrid_ref, p->per_channel, input + b * image_size, image_size, image);
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t channel = 0; channel < s->output_channels; ++channel) {
                    uint32_t sum =
                        conv_sum_s8(s, p->groups, image, filter, -q.zero_point, 0, oy, ox, channel);
                    if (sign_overflow) sum += conv_sign_overflow(s, image, filter, oy, ox, channel);
                    const float acc = (float)(int32_t)sum;
                    const float real = hybrid_output(p, acc, q.scale, channel, bias != NULL ? bias[channel] : 0.0f);
                    *output++ = qc_clamp_f32(real, p->activation_min, p->activation_max);
                }
            }
        }
    }
    return QC_OK;
}

qc_status qc_conv_hybrid_fma_ref(const qc_conv_hybrid_params *p, const float *input, const int8_t *filter,
                                 const float *bias, float *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int64_t image_size = qc_conv_image_size(s);
    int8_t *image = scratch;
    for (int32_t b = 0; b < s->batches; ++b) {
        const qc_xnnpack_scale q = qc_xnnpack_quantize(input + b * image_size, image_size, image);
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t channel = 0; channel < s->output_channels; ++channel) {
                    const uint32_t sum =
                        conv_sum_s8(s, p->groups, image, filter, -q.zero_point, 0, oy, ox, channel);
                    const float real =
                        qc_xnnpack_output((int32_t)sum, q, p->filter_scale[p->per_channel ? channel : 0],
                                          bias != NULL ? bias[channel] : 0.0f);
                    *output++ = qc_xnnpack_clamp(real, p->activation_min, p->activation_max);
                }
            }
        }
    }
    return QC_OK;
}
