/* DEPTHWISE_CONV_2D on int8: nine products at once where the window is 3x3 and lies inside the image, a loop elsewhere. */
#include "quantcore/depthwise_conv.h"

/* The sum of window (oy, ox) of one channel: input channel `x`, output channel `c`. */
static int32_t window_sum(const qc_depthwise_params *p, const int8_t *image, const int8_t *filter, int32_t oy,
                          int32_t ox, int32_t x, int32_t c) {
    const qc_conv_shape *s = &p->shape;
    int32_t sum = 0;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int32_t iy = oy * s->stride_height - s->pad_top + fy * s->dilation_height;
        if (iy < 0 || iy >= s->input_height) continue; /* padding adds nothing: it stands for the real number 0 */
        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
            const int32_t ix = ox * s->stride_width - s->pad_left + fx * s->dilation_width;
            if (ix < 0 || ix >= s->input_width) continue;
            sum += (image[(iy * s->input_width + ix) * s->input_channels + x] + p->input_offset) *
                   filter[(fy * s->filter_width + fx) * s->output_channels + c];
        }
    }
    return sum;
}

/* The same for a 3x3 window inside the image, without dilation. */
static int32_t inner_sum(const qc_depthwise_params *p, const int8_t *window, const int8_t *filter) {
    const int32_t pixel = p->shape.input_channels, row = p->shape.input_width * pixel;
    const int32_t tap = p->shape.output_channels, offset = p->input_offset;
    int32_t sum = 0;
    for (int32_t fy = 0; fy < 3; ++fy, window += row, filter += 3 * tap)
        sum += (window[0] + offset) * filter[0] + (window[pixel] + offset) * filter[tap] +
               (window[2 * pixel] + offset) * filter[2 * tap];
    return sum;
}

qc_status my_depthwise_s8(const qc_depthwise_params *params, const int8_t *input, const int8_t *filter,
                          const int32_t *bias, int8_t *output, void *scratch) {
    const qc_conv_shape *s = &params->shape;
    const int32_t multiplier = s->output_channels / s->input_channels;
    const int is_3x3 = s->filter_height == 3 && s->filter_width == 3 && s->dilation_height == 1 && s->dilation_width == 1;
    (void)scratch;
    for (int32_t b = 0; b < s->batches; ++b, input += qc_conv_image_size(s)) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                const int32_t iy = oy * s->stride_height - s->pad_top, ix = ox * s->stride_width - s->pad_left;
                const int inside = iy >= 0 && ix >= 0 && iy + 3 <= s->input_height && ix + 3 <= s->input_width;
                for (int32_t c = 0; c < s->output_channels; ++c) {
                    const int32_t x = c / multiplier;
                    int32_t acc = bias ? bias[c] : 0;
                    if (is_3x3 && inside)
                        acc += inner_sum(params, input + (iy * s->input_width + ix) * s->input_channels + x, filter + c);
                    else
                        acc += window_sum(params, input, filter, oy, ox, x, c);
                    *output++ = (int8_t)qc_requantize(&params->requant, acc, c);
                }
            }
        }
    }
    return QC_OK;
}
