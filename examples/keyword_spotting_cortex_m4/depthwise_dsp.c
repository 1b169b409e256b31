/* DEPTHWISE_CONV_2D of int8 with the DSP instructions of a Cortex-M4, four channels at a time.
 *
 * Two places of the window at a time: __SXTAB16 widens four channels of each and adds the zero points, __PKHBT and
 * __PKHTB put the two values of a channel side by side, and __SMLAD multiplies and adds both. The places of the window
 * that are inside the input are found once for all channels. */
#include "quantcore/depthwise_conv.h"

#include <stddef.h>

#include "quantcore/dsp.h"

enum { MOST_PLACES = 16 }; /* at a time; a larger window takes several rounds */

/* Bytes of scratch memory: it needs none. */
int64_t depthwise_dsp_scratch(const qc_depthwise_params *p) {
    (void)p;
    return 0;
}

/* Places of the window: where they are in the input, and in the filter. */
typedef struct {
    int32_t count;
    ptrdiff_t x[MOST_PLACES], w[MOST_PLACES];
} places;

/* Find places of the window at (oy, ox) that are inside the input, from place *next on, which moves on. */
static void find_places(const qc_conv_shape *s, int32_t oy, int32_t ox, int32_t *next, places *found) {
    const int32_t window = s->filter_height * s->filter_width;
    found->count = 0;
    for (; *next < window && found->count < MOST_PLACES; ++*next) {
        const int64_t iy = qc_input_row(s, oy, *next / s->filter_width);
        const int64_t ix = qc_input_column(s, ox, *next % s->filter_width);
        if (iy < 0 || iy >= s->input_height || ix < 0 || ix >= s->input_width) continue;
        found->x[found->count] = (ptrdiff_t)((iy * s->input_width + ix) * s->input_channels);
        found->w[found->count++] = (ptrdiff_t)*next * s->output_channels;
    }
}

/* sums[i] += the products of channel i, of four, over all places. */
static void add_four_channels(const places *at, const int8_t *x, const int8_t *w, uint32_t x_offset, uint32_t w_offset,
                              uint32_t *sums) {
    uint32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    int32_t i = 0;
    for (; i + 1 < at->count; i += 2) {
        const uint32_t xa = qc_dsp_read_s8x4(x + at->x[i]), xb = qc_dsp_read_s8x4(x + at->x[i + 1]);
        const uint32_t wa = qc_dsp_read_s8x4(w + at->w[i]), wb = qc_dsp_read_s8x4(w + at->w[i + 1]);
        const uint32_t xa02 = __SXTAB16(x_offset, xa), xa13 = __SXTAB16_RORn(x_offset, xa, 8);
        const uint32_t xb02 = __SXTAB16(x_offset, xb), xb13 = __SXTAB16_RORn(x_offset, xb, 8);
        const uint32_t wa02 = __SXTAB16(w_offset, wa), wa13 = __SXTAB16_RORn(w_offset, wa, 8);
        const uint32_t wb02 = __SXTAB16(w_offset, wb), wb13 = __SXTAB16_RORn(w_offset, wb, 8);
        sum0 = __SMLAD(__PKHBT(xa02, xb02, 16), __PKHBT(wa02, wb02, 16), sum0);
        sum1 = __SMLAD(__PKHBT(xa13, xb13, 16), __PKHBT(wa13, wb13, 16), sum1);
        sum2 = __SMLAD(__PKHTB(xb02, xa02, 16), __PKHTB(wb02, wa02, 16), sum2);
        sum3 = __SMLAD(__PKHTB(xb13, xa13, 16), __PKHTB(wb13, wa13, 16), sum3);
    }
    if (i < at->count) { /* an odd number of places: lane 0 of the last one by itself */
        const uint32_t xa = qc_dsp_read_s8x4(x + at->x[i]), wa = qc_dsp_read_s8x4(w + at->w[i]);
        const uint32_t x02 = __SXTAB16(x_offset, xa), x13 = __SXTAB16_RORn(x_offset, xa, 8);
        const uint32_t w02 = __SXTAB16(w_offset, wa), w13 = __SXTAB16_RORn(w_offset, wa, 8);
        sum0 = __SMLAD(x02, w02 & 0xFFFFu, sum0);
        sum1 = __SMLAD(x13, w13 & 0xFFFFu, sum1);
        sum2 = __SMLAD(x02, w02 & 0xFFFF0000u, sum2);
        sum3 = __SMLAD(x13, w13 & 0xFFFF0000u, sum3);
    }
    sums[0] = sum0, sums[1] = sum1, sums[2] = sum2, sums[3] = sum3;
}

/* The same for one channel. */
static uint32_t sum_of_channel(const places *at, const int8_t *x, const int8_t *w, int32_t x_offset, int32_t w_offset) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < at->count; ++i) sum += (uint32_t)((x[at->x[i]] + x_offset) * (w[at->w[i]] + w_offset));
    return sum;
}

/* Add the products of `count` channels from `channel` on, four of them or one. */
static void add_products(const qc_depthwise_params *p, const places *at, const int8_t *input, const int8_t *filter,
                         int32_t channel, int32_t count, uint32_t *sums) {
    const int8_t *x = input + channel / (p->shape.output_channels / p->shape.input_channels), *w = filter + channel;
    if (count == 4) {
        const uint32_t x_offset = qc_dsp_pack16(p->input_offset, p->input_offset);
        const uint32_t w_offset = qc_dsp_pack16(p->filter_offset, p->filter_offset);
        add_four_channels(at, x, w, x_offset, w_offset, sums);
    } else {
        sums[0] += sum_of_channel(at, x, w, p->input_offset, p->filter_offset);
    }
}

static void compute_pixel(const qc_depthwise_params *p, int32_t oy, int32_t ox, const int8_t *input,
                          const int8_t *filter, const int32_t *bias, int8_t *output) {
    const qc_conv_shape *s = &p->shape;
    const int32_t window = s->filter_height * s->filter_width;
    const int four = s->output_channels == s->input_channels;
    int32_t first_round = 0;
    places first;
    find_places(s, oy, ox, &first_round, &first);
    for (int32_t channel = 0; channel < s->output_channels;) {
        const int32_t count = four && s->output_channels - channel >= 4 ? 4 : 1;
        uint32_t sums[4] = {0, 0, 0, 0};
        add_products(p, &first, input, filter, channel, count, sums);
        for (int32_t next = first_round; next < window;) {
            places more;
            find_places(s, oy, ox, &next, &more);
            add_products(p, &more, input, filter, channel, count, sums);
        }
        for (int32_t i = 0; i < count; ++i, ++channel) {
            const uint32_t acc = sums[i] + (bias != NULL ? (uint32_t)bias[channel] : 0);
            output[channel] = (int8_t)qc_requantize(&p->requant, (int32_t)acc, channel);
        }
    }
}

qc_status depthwise_dsp_s8(const qc_depthwise_params *p, const int8_t *input, const int8_t *filter, const int32_t *bias,
                           int8_t *output, void *scratch) {
    (void)scratch;
    const qc_conv_shape *s = &p->shape;
    for (int32_t b = 0; b < s->batches; ++b, input += qc_conv_image_size(s))
        for (int32_t oy = 0; oy < s->output_height; ++oy)
            for (int32_t ox = 0; ox < s->output_width; ++ox, output += s->output_channels)
                compute_pixel(p, oy, ox, input, filter, bias, output);
    return QC_OK;
}
