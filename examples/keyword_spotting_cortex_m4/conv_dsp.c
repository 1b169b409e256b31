/* CONV_2D of int8 with the DSP instructions of a Cortex-M4: two products with each __SMLAD.
 *
 * A row of a window is one run of elements, in the input as in the filter (unless columns are dilated, or channels
 * in groups: then each place of the window is a run). Two output channels are computed at a time, so that each input
 * element is loaded and widened once for both. */
#include "quantcore/conv.h"

#include <stddef.h>

#include "quantcore/dsp.h"

/* Zero points in both lanes, as __SXTAB16 adds them. */
typedef struct {
    uint32_t x, w;
} offsets;

static int32_t product(int8_t x, int8_t w, offsets o) {
    return (qc_dsp_lane16(o.x, 0) + x) * (qc_dsp_lane16(o.w, 0) + w);
}

/* sums[i] += sum of (x + x offset) * (w[i] + w offset) over n elements, for i = 0 and 1. */
static void add_products_of_two(const int8_t *x, const int8_t *w0, const int8_t *w1, int32_t n, offsets o, uint32_t *sums) {
    uint32_t sum0 = sums[0], sum1 = sums[1];
    for (; n >= 4; n -= 4, x += 4, w0 += 4, w1 += 4) {
        const uint32_t bytes = qc_dsp_read_s8x4(x), a = qc_dsp_read_s8x4(w0), b = qc_dsp_read_s8x4(w1);
        const uint32_t even = __SXTAB16(o.x, bytes), odd = __SXTAB16_RORn(o.x, bytes, 8);
        sum0 = __SMLAD(even, __SXTAB16(o.w, a), sum0);
        sum0 = __SMLAD(odd, __SXTAB16_RORn(o.w, a, 8), sum0);
        sum1 = __SMLAD(even, __SXTAB16(o.w, b), sum1);
        sum1 = __SMLAD(odd, __SXTAB16_RORn(o.w, b, 8), sum1);
    }
    for (; n > 0; --n, ++x) {
        sum0 += (uint32_t)product(*x, *w0++, o);
        sum1 += (uint32_t)product(*x, *w1++, o);
    }
    sums[0] = sum0;
    sums[1] = sum1;
}

/* The sums of output channels `channel` and `second`, of one group, at (oy, ox), without bias. */
static void window_sums(const qc_conv_params *p, const int8_t *image, const int8_t *filter, int32_t oy, int32_t ox,
                        int32_t channel, int32_t second, offsets o, uint32_t *sums) {
    const qc_conv_shape *s = &p->shape;
    const int32_t depth = s->input_channels / p->groups;
    const int32_t first_input = channel / (s->output_channels / p->groups) * depth;
    const int64_t window = (int64_t)s->filter_height * s->filter_width * depth;
    const int by_rows = s->dilation_width == 1 && p->groups == 1;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, oy, fy);
        if (iy < 0 || iy >= s->input_height) continue;
        for (int32_t fx = 0; fx < s->filter_width;) {
            const int64_t ix = qc_input_column(s, ox, fx);
            int32_t places = 1;
            if (by_rows && ix >= 0) {
                const int64_t inside = s->input_width - ix;
                places = s->filter_width - fx < inside ? s->filter_width - fx : (int32_t)(inside < 1 ? 1 : inside);
            }
            if (ix >= 0 && ix < s->input_width) {
                const int64_t at = ((int64_t)fy * s->filter_width + fx) * depth;
                const int8_t *x = image + (iy * s->input_width + ix) * s->input_channels + first_input;
                add_products_of_two(x, filter + channel * window + at, filter + second * window + at, places * depth, o,
                                    sums);
            }
            fx += places;
        }
    }
}

qc_status conv_dsp_s8(const qc_conv_params *p, const int8_t *input, const int8_t *filter, const int32_t *bias,
                      int8_t *output, void *scratch) {
    (void)scratch;
    const qc_conv_shape *s = &p->shape;
    const offsets o = {qc_dsp_pack16(p->input_offset, p->input_offset),
                       qc_dsp_pack16(p->filter_offset, p->filter_offset)};
    const int32_t units = s->output_channels / p->groups;
    for (int32_t b = 0; b < s->batches; ++b, input += qc_conv_image_size(s)) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox, output += s->output_channels) {
                for (int32_t channel = 0; channel < s->output_channels;) {
                    /* the last of a group, where its channels are odd in number, is computed twice */
                    const int32_t count = channel % units + 1 < units ? 2 : 1;
                    uint32_t sums[2] = {0, 0};
                    window_sums(p, input, filter, oy, ox, channel, channel + count - 1, o, sums);
                    for (int32_t i = 0; i < count; ++i, ++channel) {
                        const uint32_t acc = sums[i] + (bias != NULL ? (uint32_t)bias[channel] : 0);
                        output[channel] = (int8_t)qc_requantize(&p->requant, (int32_t)acc, channel);
                    }
                }
            }
        }
    }
    return QC_OK;
}
