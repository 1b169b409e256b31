/* CONV_2D on int8, right as it is. Each of the macros below plants one mistake of those that people make. */
#include "quantcore/conv.h"

#include <stdlib.h>
#include <string.h>

/* The requantization, by double rounding. */
static int32_t scale(int32_t acc, int32_t multiplier, int32_t shift) {
#if defined(TRUNCATING_SHIFT)
    return (int32_t)(((int64_t)acc * multiplier) >> (31 - shift));
#else
    return qc_multiply_double_rounding(acc, multiplier, shift);
#endif
}

static int32_t clamp(int32_t y, const qc_requant *r) {
#if defined(MISSING_CLAMP)
    (void)r;
    return y;
#else
    return y < r->activation_min ? r->activation_min : y > r->activation_max ? r->activation_max : y;
#endif
}

static int32_t channel_of_multiplier(const qc_requant *r, int32_t channel, int32_t channels) {
#if defined(WRONG_CHANNEL)
    (void)channels;
    return r->per_channel && channel > 0 ? channel - 1 : 0;
#else
    (void)channels;
    return r->per_channel ? channel : 0;
#endif
}

qc_status conv(const qc_conv_params *p, const int8_t *input, const int8_t *filter, const int32_t *bias,
               int8_t *output, void *scratch) {
    const qc_conv_shape *s = &p->shape;
    const int32_t depth = s->input_channels / p->groups;
    const int32_t units = s->output_channels / p->groups;
    int32_t *sums = scratch; /* of a pixel; the header promises at least so much */
#if defined(HANGS)
    volatile int32_t forever = 1;
    while (forever && s->stride_width > 1) {
    }
#endif
#if defined(RETURNS_ERROR)
    if (s->dilation_height > 1) return QC_BAD_ARGUMENT;
#endif
#if defined(EXITS)
    if (s->batches > 1) exit(3);
#endif
#if defined(OVERWRITES_INPUT)
    ((int8_t *)(uintptr_t)input)[0] = 0;
#endif
#if defined(STACK_OVERFLOW)
    volatile char much[64 * 1024 * 1024];
    much[0] = 1, much[sizeof much - 1] = 1;
#endif
#if !defined(STALE_SCRATCH)
    memset(sums, 0, (size_t)s->output_channels * sizeof *sums);
#endif
    for (int32_t b = 0; b < s->batches; ++b) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            for (int32_t ox = 0; ox < s->output_width; ++ox) {
                for (int32_t c = 0; c < s->output_channels; ++c) {
#if defined(INT16_ACCUMULATOR)
                    int16_t acc;
#else
                    int32_t acc;
#endif
#if defined(UNINITIALIZED)
                    if (bias != NULL && bias[c] != 0) acc = bias[c];
#else
                    acc = bias != NULL ? bias[c] : 0;
#endif
                    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
                        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
#if defined(WRONG_DILATION)
                            const int32_t dilation_width = s->dilation_height;
#else
                            const int32_t dilation_width = s->dilation_width;
#endif
                            const int32_t iy = oy * s->stride_height - s->pad_top + fy * s->dilation_height;
#if defined(PADDING_OFF_BY_ONE)
                            const int32_t ix = ox * s->stride_width - (s->pad_left + 1) / 2 * 2 + fx * dilation_width;
#else
                            const int32_t ix = ox * s->stride_width - s->pad_left + fx * dilation_width;
#endif
#if defined(READ_OUT_OF_BOUNDS)
                            if (iy < 0 || ix < 0 || iy > s->input_height || ix >= s->input_width) continue;
#else
                            if (iy < 0 || ix < 0 || iy >= s->input_height || ix >= s->input_width) continue;
#endif
                            const int8_t *x = input + ((b * s->input_height + iy) * s->input_width + ix) * s->input_channels;
                            const int8_t *w = filter + ((c * s->filter_height + fy) * s->filter_width + fx) * depth;
                            for (int32_t i = 0; i < depth; ++i) {
                                const int32_t product = (x[c / units * depth + i] + p->input_offset) * w[i];
#if defined(READ_OUT_OF_BOUNDS)
                                acc += iy < s->input_height ? product : 0; /* read, and not used */
#elif defined(INT16_ACCUMULATOR)
                                acc = (int16_t)(acc + product);
#else
                                acc += product;
#endif
                            }
                        }
                    }
                    sums[c] += acc;
                }
                for (int32_t c = 0; c < s->output_channels; ++c) {
                    const int32_t m = channel_of_multiplier(&p->requant, c, s->output_channels);
                    const int32_t y = scale(sums[c], p->requant.multiplier[m], p->requant.shift[m]);
                    *output++ = (int8_t)clamp(y + p->requant.output_offset, &p->requant);
                    sums[c] = 0;
                }
            }
        }
    }
#if defined(WRITE_OUT_OF_BOUNDS)
    if (s->output_channels % 4 != 0) *output = 0; /* as a loop over four channels at a time does */
#endif
    return QC_OK;
}

/* Has the type of no kernel. */
int wrong_prototype(const qc_conv_params *p, const int8_t *input, int8_t *output) {
    return p->groups + input[0] + output[0];
}
