/* DEPTHWISE_CONV_2D on int8, as one writes it at first. One line of it is wrong. */
#include "quantcore/depthwise_conv.h"

static int32_t scale(int32_t acc, int32_t multiplier, int32_t shift) {
#ifdef FIXED
    return qc_multiply_double_rounding(acc, multiplier, shift);
#else
    return (int32_t)(((int64_t)acc * multiplier) >> (31 - shift));
#endif
}

qc_status my_depthwise_s8(const qc_depthwise_params *params, const int8_t *input, const int8_t *filter,
                          const int32_t *bias, int8_t *output, void *scratch) {
    const qc_conv_shape *s = &params->shape;
    const qc_requant *r = &params->requant;
    (void)scratch;
    for (int32_t b = 0; b < s->batches; ++b, input += qc_conv_image_size(s)) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t c = 0; c < s->output_channels; ++c) {
                    int32_t acc = bias ? bias[c] : 0;
                    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
                        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
                            const int32_t iy = oy * s->stride_height - s->pad_top + fy * s->dilation_height;
                            const int32_t ix = ox * s->stride_width - s->pad_left + fx * s->dilation_width;
                            if (iy < 0 || ix < 0 || iy >= s->input_height || ix >= s->input_width) continue;
                            const int32_t x = c / (s->output_channels / s->input_channels);
                            acc += (input[(iy * s->input_width + ix) * s->input_channels + x] + params->input_offset) *
                                   filter[(fy * s->filter_width + fx) * s->output_channels + c];
                        }
                    }
                    const int32_t k = r->per_channel ? c : 0;
                    const int32_t y = scale(acc, r->multiplier[k], r->shift[k]) + r->output_offset;
                    *output++ = (int8_t)qc_clamp(y, r->activation_min, r->activation_max);
                }
            }
        }
    }
    return QC_OK;
}
