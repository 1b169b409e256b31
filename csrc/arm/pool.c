/* MAX_POOL_2D and AVERAGE_POOL_2D on 8-bit elements: the bits of csrc/reference/pool.c, 16 channels at a time. The
 * last block of a pixel overlaps the one before; fewer than 16 channels are left to the definition.
 *
 * Averages divide in float64: the quotient of integers below 2^31 by n is at least 1 / n away from the next integer
 * or is one, and its error is below 2^31 / n * 2^-53. */
#include <arm_neon.h>
#include <stddef.h>

#include "../kernels.h"

enum { CHANNELS = 16 };

/* The part of a window inside of the image: its first pixel, and how many rows and columns it has. */
typedef struct {
    const uint8_t *first;
    int32_t rows, columns;
    int64_t line; /* bytes of a row of the image */
    int64_t pixel;
} inside;

static inside window_inside(const qc_window *w, const uint8_t *image, int32_t y, int32_t x) {
    const int64_t top = (int64_t)y * w->stride_height - w->pad_top;
    const int64_t left = (int64_t)x * w->stride_width - w->pad_left;
    const int64_t bottom = top + w->filter_height, right = left + w->filter_width;
    const int64_t first_row = top < 0 ? 0 : top, first_column = left < 0 ? 0 : left;
    const int64_t line = (int64_t)w->input_width * w->channels;
    const inside part = {
        image + first_row * line + first_column * w->channels,
        (int32_t)((bottom > w->input_height ? w->input_height : bottom) - first_row),
        (int32_t)((right > w->input_width ? w->input_width : right) - first_column),
        line,
        w->channels,
    };
    return part;
}

/* One output of 16 channels from `channel` on. */
typedef void pool_block(const qc_pool_params *p, const inside *part, int32_t channel, uint8_t *output);

static void pool(const qc_pool_params *p, pool_block *block, const uint8_t *input, uint8_t *output) {
    const qc_window *w = &p->window;
    for (int32_t b = 0; b < w->batches; ++b) {
        const uint8_t *image = input + (int64_t)b * w->input_height * w->input_width * w->channels;
        for (int32_t y = 0; y < w->output_height; ++y) {
            for (int32_t x = 0; x < w->output_width; ++x, output += w->channels) {
                const inside part = window_inside(w, image, y, x);
                for (int32_t c = 0; c < w->channels; c += CHANNELS) {
                    const int32_t channel = c + CHANNELS > w->channels ? w->channels - CHANNELS : c;
                    block(p, &part, channel, output + channel);
                }
            }
        }
    }
}

/* Maxima of int8 are found among their bits flipped to uint8: `flip` is 0x80 for int8. */
static inline __attribute__((always_inline)) void max_block(const uint8_t flip, const qc_pool_params *p,
                                                            const inside *part, int32_t channel, uint8_t *output) {
    const uint8x16_t flips = vdupq_n_u8(flip);
    uint8x16_t most = vdupq_n_u8(0);
    for (int32_t row = 0; row < part->rows; ++row) {
        const uint8_t *x = part->first + row * part->line + channel;
        for (int32_t column = 0; column < part->columns; ++column, x += part->pixel)
            most = vmaxq_u8(most, veorq_u8(vld1q_u8(x), flips));
    }
    most = vmaxq_u8(most, vdupq_n_u8((uint8_t)p->activation_min ^ flip));
    most = vminq_u8(most, vdupq_n_u8((uint8_t)p->activation_max ^ flip));
    vst1q_u8(output, veorq_u8(most, flips));
}

static void max_block_s8(const qc_pool_params *p, const inside *part, int32_t channel, uint8_t *output) {
    max_block(0x80, p, part, channel, output);
}
static void max_block_u8(const qc_pool_params *p, const inside *part, int32_t channel, uint8_t *output) {
    max_block(0, p, part, channel, output);
}

/* sum / n to nearest, ties away from zero, clamped. */
static inline int32x4_t average_lanes(const qc_pool_params *p, int32x4_t sum, int32_t n) {
    const int32x4_t half = vdupq_n_s32(n / 2);
    const uint32x4_t positive = vcgtzq_s32(sum);
    const int32x4_t above = vbslq_s32(positive, vaddq_s32(sum, half), vsubq_s32(sum, half));
    const float64x2_t by = vdupq_n_f64(n);
    const float64x2_t low = vdivq_f64(vcvtq_f64_s64(vmovl_s32(vget_low_s32(above))), by);
    const float64x2_t high = vdivq_f64(vcvtq_f64_s64(vmovl_high_s32(above)), by);
    const int32x4_t q = vmovn_high_s64(vmovn_s64(vcvtq_s64_f64(low)), vcvtq_s64_f64(high)); /* toward zero */
    return vminq_s32(vmaxq_s32(q, vdupq_n_s32(p->activation_min)), vdupq_n_s32(p->activation_max));
}

/* 16 bytes as int16. */
static inline int16x8x2_t widen(int is_signed, uint8x16_t bytes) {
    const int8x16_t s = vreinterpretq_s8_u8(bytes);
    const int16x8x2_t as_signed = {{vmovl_s8(vget_low_s8(s)), vmovl_high_s8(s)}};
    const int16x8x2_t as_unsigned = {{vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))),
                                      vreinterpretq_s16_u16(vmovl_high_u8(bytes))}};
    return is_signed ? as_signed : as_unsigned;
}

static inline __attribute__((always_inline)) void average_block(const int is_signed, const qc_pool_params *p,
                                                                const inside *part, int32_t channel,
                                                                uint8_t *output) {
    int32x4_t sums[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int32_t row = 0; row < part->rows; ++row) {
        const uint8_t *bytes = part->first + row * part->line + channel;
        for (int32_t column = 0; column < part->columns; ++column, bytes += part->pixel) {
            const int16x8x2_t x = widen(is_signed, vld1q_u8(bytes));
            for (int k = 0; k < 2; ++k) {
                sums[2 * k] = vaddw_s16(sums[2 * k], vget_low_s16(x.val[k]));
                sums[2 * k + 1] = vaddw_high_s16(sums[2 * k + 1], x.val[k]);
            }
        }
    }
    int16x8_t half[2];
    for (int k = 0; k < 2; ++k) {
        const int32x4_t low = average_lanes(p, sums[2 * k], part->rows * part->columns);
        half[k] = vmovn_high_s32(vmovn_s32(low), average_lanes(p, sums[2 * k + 1], part->rows * part->columns));
    }
    vst1q_u8(output, vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(half[0]), half[1])));
}

static void average_block_s8(const qc_pool_params *p, const inside *part, int32_t channel, uint8_t *output) {
    average_block(1, p, part, channel, output);
}
static void average_block_u8(const qc_pool_params *p, const inside *part, int32_t channel, uint8_t *output) {
    average_block(0, p, part, channel, output);
}

#define POOL_VERSION(name, T, block)                                                                         \
    qc_status qc_##name##_neon(const qc_pool_params *p, const T *input, T *output, void *scratch) {          \
        if (p->window.channels < CHANNELS) return qc_##name##_ref(p, input, output, scratch);                \
        pool(p, block, (const uint8_t *)input, (uint8_t *)output);                                           \
        return QC_OK;                                                                                        \
    }
POOL_VERSION(max_pool_s8, int8_t, max_block_s8)
POOL_VERSION(max_pool_u8, uint8_t, max_block_u8)
POOL_VERSION(average_pool_s8, int8_t, average_block_s8)
POOL_VERSION(average_pool_u8, uint8_t, average_block_u8)
