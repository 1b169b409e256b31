/* CONV_2D of int8 with the DSP instructions of a Cortex-M4: two products with each __SMLAD.
 *
 * The window of an output pixel is one run of elements, as its filter is: either it lies so in the input (a filter of
 * one pixel), or it is copied to scratch memory, with the zero point in the places that are padding. Two output
 * channels are computed at a time, so that each input element is loaded and widened once for both. */
#include "quantcore/conv.h"

#include <stddef.h>
#include <string.h>

#include "quantcore/dsp.h"

/* What is added to an element, in both lanes, as __SXTAB16 takes it. */
typedef struct {
    uint32_t x, w;
} offsets;

/* Elements of the window, of one group. */
static int32_t window_size(const qc_conv_params *p) {
    return p->shape.filter_height * p->shape.filter_width * (p->shape.input_channels / p->groups);
}

/* Bytes of scratch memory. */
int64_t conv_dsp_scratch(const qc_conv_params *p) { return window_size(p); }

/* The sums of (x + x offset) * (w[i] + w offset) over n elements, for i = 0 and 1. */
static void products_of_two(const int8_t *x, const int8_t *w0, const int8_t *w1, int32_t n, offsets o, uint32_t *sums) {
    uint32_t sum0 = 0, sum1 = 0;
    for (; n >= 4; n -= 4, x += 4, w0 += 4, w1 += 4) {
        const uint32_t bytes = qc_dsp_read_s8x4(x), a = qc_dsp_read_s8x4(w0), b = qc_dsp_read_s8x4(w1);
        const uint32_t even = __SXTAB16(o.x, bytes), odd = __SXTAB16_RORn(o.x, bytes, 8);
        sum0 = __SMLAD(even, __SXTAB16(o.w, a), sum0);
        sum0 = __SMLAD(odd, __SXTAB16_RORn(o.w, a, 8), sum0);
        sum1 = __SMLAD(even, __SXTAB16(o.w, b), sum1);
        sum1 = __SMLAD(odd, __SXTAB16_RORn(o.w, b, 8), sum1);
    }
    for (; n > 0; --n) {
        const int32_t element = qc_dsp_lane16(o.x, 0) + *x++;
        sum0 += (uint32_t)(element * (qc_dsp_lane16(o.w, 0) + *w0++));
        sum1 += (uint32_t)(element * (qc_dsp_lane16(o.w, 0) + *w1++));
    }
    sums[0] = sum0;
    sums[1] = sum1;
}

/* Copy the window at (oy, ox) of the input channels from `first` on. */
static void copy_window(const qc_conv_params *p, const int8_t *image, int32_t oy, int32_t ox, int32_t first,
                        int8_t *window) {
    const qc_conv_shape *s = &p->shape;
    const size_t depth = (size_t)(s->input_channels / p->groups);
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        for (int32_t fx = 0; fx < s->filter_width; ++fx, window += depth) {
            const int64_t ix = qc_input_column(s, ox, fx);
            if (iy < 0 || iy >= s->input_height || ix < 0 || ix >= s->input_width)
                memset(window, -p->input_offset, depth); /* the zero point, which counts nothing */
            else
                memcpy(window, image + (iy * s->input_width + ix) * s->input_channels + first, depth);
        }
    }
}

/* Compute the output channels of a group from `channel` to `end`. */
static void compute_channels(const qc_conv_params *p, const int8_t *window, const int8_t *filter, const int32_t *bias,
                             int32_t channel, int32_t end, int8_t *output) {
    const offsets o = {qc_dsp_pack16(p->input_offset, p->input_offset),
                       qc_dsp_pack16(p->filter_offset, p->filter_offset)};
    const int32_t size = window_size(p);
    while (channel < end) {
        const int32_t count = channel + 1 < end ? 2 : 1; /* the last of an odd number is computed twice */
        const int8_t *w = filter + (ptrdiff_t)channel * size;
        uint32_t sums[2];
        products_of_two(window, w, w + (count - 1) * (ptrdiff_t)size, size, o, sums);
        for (int32_t i = 0; i < count; ++i, ++channel) {
            const uint32_t acc = sums[i] + (bias != NULL ? (uint32_t)bias[channel] : 0);
            output[channel] = (int8_t)qc_requantize(&p->requant, (int32_t)acc, channel);
        }
    }
}

qc_status conv_dsp_s8(const qc_conv_params *p, const int8_t *input, const int8_t *filter, const int32_t *bias,
                      int8_t *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int32_t depth = s->input_channels / p->groups, units = s->output_channels / p->groups;
    const int pixels = s->filter_height == 1 && s->filter_width == 1 && s->pad_top == 0 && s->pad_left == 0;
    for (int32_t b = 0; b < s->batches; ++b, input += qc_conv_image_size(s)) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox, output += s->output_channels) {
                const int64_t at = qc_input_row(s, oy, 0) * s->input_width + qc_input_column(s, ox, 0);
                for (int32_t g = 0; g < p->groups; ++g) {
                    const int8_t *window = scratch;
                    if (pixels)
                        window = input + at * s->input_channels + g * depth;
                    else
                        copy_window(p, input, oy, ox, g * depth, scratch);
                    compute_channels(p, window, filter, bias, g * units, (g + 1) * units, output);
                }
            }
        }
    }
    return QC_OK;
}
