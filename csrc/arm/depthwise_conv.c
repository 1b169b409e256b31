/* DEPTHWISE_CONV_2D on 8-bit elements: the bits of csrc/reference/depthwise_conv.c.
 *
 * With their offsets, elements have 9 bits: they are widened to int16, and SMLAL adds their products to int32.
 * A block is 16 channels of 4 neighbouring output pixels, for which each weight is widened once, or of one pixel. The
 * last block of a pixel overlaps the one before; fewer than 16 channels, and those of a channel multiplier, are
 * copied to where 16 may be read. The filter is used as it lies in the model; scratch is not. */
#include <stddef.h>
#include <string.h>

#include "../kernels.h"
#include "requantize_neon.h"

enum { PIXELS = 4, CHANNELS = 16 };

typedef struct {
    const qc_conv_shape *shape;
    const qc_requant *requant;
    const uint8_t *filter;
    const int32_t *bias; /* or NULL */
    int16_t input_offset, filter_offset;
    int32_t multiplier; /* output channels of an input channel */
} depthwise;

/* A block: `count` channels from `channel` on, of pixels (oy, ox), (oy, ox + 1), ... */
typedef struct {
    const uint8_t *image;
    int32_t oy, ox, channel, count;
} block;

static inline __attribute__((always_inline)) int16x8x2_t widen(int is_signed, uint8x16_t bytes, int16_t offset) {
    int16x8x2_t wide;
    if (is_signed) {
        const int8x16_t x = vreinterpretq_s8_u8(bytes);
        wide.val[0] = vaddw_s8(vdupq_n_s16(offset), vget_low_s8(x));
        wide.val[1] = vaddw_high_s8(vdupq_n_s16(offset), x);
    } else {
        const uint16x8_t by = vdupq_n_u16((uint16_t)offset);
        wide.val[0] = vreinterpretq_s16_u16(vaddw_u8(by, vget_low_u8(bytes)));
        wide.val[1] = vreinterpretq_s16_u16(vaddw_high_u8(by, bytes));
    }
    return wide;
}

/* The weights of a block at one place of the window. */
static uint8x16_t copy_weights(const block *b, const uint8_t *weights) {
    uint8_t copy[CHANNELS] = {0};
    memcpy(copy, weights, (size_t)b->count);
    return vld1q_u8(copy);
}

/* The inputs of the channels of a block at one pixel of the image. */
static uint8x16_t copy_pixel(const depthwise *d, const block *b, const uint8_t *pixel) {
    uint8_t copy[CHANNELS] = {0};
    for (int32_t i = 0; i < b->count; ++i) copy[i] = pixel[(b->channel + i) / d->multiplier];
    return vld1q_u8(copy);
}

static int32x4_t load_bias(const depthwise *d, const block *b, int32_t quarter) {
    int32_t four[4] = {0};
    for (int32_t i = 0; d->bias != NULL && i < 4 && 4 * quarter + i < b->count; ++i)
        four[i] = d->bias[b->channel + 4 * quarter + i];
    return vld1q_s32(four);
}

static inline __attribute__((always_inline)) void add_products(int32x4_t acc[4], int16x8x2_t x, int16x8x2_t w) {
    for (int half = 0; half < 2; ++half) {
        const int16x8_t a = x.val[half], b = w.val[half];
        acc[2 * half] = vmlal_s16(acc[2 * half], vget_low_s16(a), vget_low_s16(b));
        acc[2 * half + 1] = vmlal_high_s16(acc[2 * half + 1], a, b);
    }
}

/* Outputs of `count` pixels. */
static void store_block(const depthwise *d, const block *b, int count, int32x4_t acc[][4], uint8_t *output) {
    for (int n = 0; n < count; ++n) {
        int32_t sums[CHANNELS];
        for (int k = 0; k < 4; ++k) vst1q_s32(sums + 4 * k, acc[n][k]);
        qc_requantize_some_neon(d->requant, sums, b->channel, b->count,
                                output + (int64_t)n * d->shape->output_channels + b->channel);
    }
}

/* COUNT pixels, a constant so that the sums stay in registers; if more than one, all columns of their windows are
 * inside the image. is_whole: a constant too, whether 16 channels can be read as they lie. */
static inline __attribute__((always_inline)) void run_block(const int COUNT, const int is_signed, const int is_whole,
                                                            const depthwise *d, const block *b, uint8_t *output) {
    const qc_conv_shape *s = d->shape;
    int32x4_t acc[PIXELS][4];
    for (int k = 0; k < 4; ++k) {
        const int32x4_t bias = load_bias(d, b, k);
        for (int n = 0; n < COUNT; ++n) acc[n][k] = bias;
    }
    const int64_t step = (int64_t)s->stride_width * s->input_channels;
    for (int32_t fy = 0; fy < s->filter_height; ++fy) {
        const int64_t iy = qc_input_row(s, b->oy, fy);
        if (iy < 0 || iy >= s->input_height) continue;
        for (int32_t fx = 0; fx < s->filter_width; ++fx) {
            const int64_t ix = qc_input_column(s, b->ox, fx);
            if (ix < 0 || ix >= s->input_width) continue;
            const int64_t tap = (int64_t)fy * s->filter_width + fx;
            const uint8_t *weights = d->filter + tap * s->output_channels + b->channel;
            const uint8_t *pixel = b->image + (iy * s->input_width + ix) * s->input_channels;
            const uint8x16_t bytes = is_whole ? vld1q_u8(weights) : copy_weights(b, weights);
            const int16x8x2_t w = widen(is_signed, bytes, d->filter_offset);
#pragma GCC unroll 4
            for (int n = 0; n < COUNT; ++n) {
                const uint8x16_t x =
                    is_whole ? vld1q_u8(pixel + n * step + b->channel) : copy_pixel(d, b, pixel + n * step);
                add_products(acc[n], widen(is_signed, x, d->input_offset), w);
            }
        }
    }
    store_block(d, b, COUNT, acc, output);
}

static inline __attribute__((always_inline)) void run_row(const int is_signed, const depthwise *d,
                                                          const uint8_t *image, int32_t oy, uint8_t *output) {
    const qc_conv_shape *s = d->shape;
    const int32_t channels = s->output_channels;
    const int is_whole = channels >= CHANNELS && d->multiplier == 1;
    for (int32_t ox = 0; ox < s->output_width;) {
        const int32_t pixels = is_whole && qc_columns_inside(s, ox) >= PIXELS ? PIXELS : 1;
        for (int32_t c = 0; c < channels; c += CHANNELS) {
            const int32_t overlap = channels >= CHANNELS && c + CHANNELS > channels;
            const int32_t channel = overlap ? channels - CHANNELS : c;
            const block b = {image, oy, ox, channel, channels < CHANNELS ? channels : CHANNELS};
            uint8_t *first = output + (int64_t)ox * channels;
            if (pixels == PIXELS)
                run_block(PIXELS, is_signed, 1, d, &b, first);
            else if (is_whole)
                run_block(1, is_signed, 1, d, &b, first);
            else
                run_block(1, is_signed, 0, d, &b, first);
        }
        ox += pixels;
    }
}

static inline __attribute__((always_inline)) qc_status depthwise_bytes(const int is_signed,
                                                                       const qc_depthwise_params *p,
                                                                       const uint8_t *input, const uint8_t *filter,
                                                                       const int32_t *bias, uint8_t *output) {
    const qc_conv_shape *s = &p->shape;
    const depthwise d = {s, &p->requant, filter, bias, (int16_t)p->input_offset, (int16_t)p->filter_offset,
                         s->output_channels / s->input_channels};
    for (int32_t n = 0; n < s->batches; ++n) {
        for (int32_t oy = 0; oy < s->output_height; ++oy) {
            run_row(is_signed, &d, input + n * qc_conv_image_size(s), oy, output);
            output += (int64_t)s->output_width * s->output_channels;
        }
    }
    return QC_OK;
}

qc_status qc_depthwise_conv_s8_neon(const qc_depthwise_params *p, const int8_t *input, const int8_t *filter,
                                    const int32_t *bias, int8_t *output, void *scratch) {
    (void)scratch;
    return depthwise_bytes(1, p, (const uint8_t *)input, (const uint8_t *)filter, bias, (uint8_t *)output);
}

qc_status qc_depthwise_conv_u8_neon(const qc_depthwise_params *p, const uint8_t *input, const uint8_t *filter,
                                    const int32_t *bias, uint8_t *output, void *scratch) {
    (void)scratch;
    return depthwise_bytes(0, p, input, filter, bias, output);
}
