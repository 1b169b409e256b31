/* Quantization of activations on the fly: the definitions. */
#include "quantcore/hybrid.h"

#include <math.h>
#include <string.h>

#include "quantcore/fixed_point.h"

/* TFLite quantizes elements in blocks of 8, and what is left one by one; the two round differently. */
enum { BLOCK = 8 };

/* v rounded toward zero to int32, saturating; NaN gives INT32_MIN. */
static int32_t truncate_saturating(float v) {
    if (v >= 2147483648.0f) return INT32_MAX;
    return v >= -2147483648.0f ? (int32_t)v : INT32_MIN;
}

/* In a block: v +- 0.5, in float32, toward zero; 0.49999997 becomes 1, unlike in the rest. The sum wraps. */
static int32_t round_in_block(float v, int32_t zero_point) {
    return qc_wrap32((int64_t)truncate_saturating(v + (v < 0.0f ? -0.5f : 0.5f)) + zero_point);
}

static void quantize_blocks(const float *input, int64_t count, float inverse_scale, int32_t zero_point,
                            int32_t qmin, int8_t *output) {
    for (int64_t i = 0; i < count / BLOCK * BLOCK; ++i)
        output[i] = (int8_t)qc_clamp(round_in_block(input[i] * inverse_scale, zero_point), qmin, 127);
}

static void find_range(const float *input, int64_t count, float *low, float *high) {
    *low = 0.0f;
    *high = 0.0f;
    for (int64_t i = 0; i < count; ++i) {
        if (input[i] < *low) *low = input[i];
        if (input[i] > *high) *high = input[i];
    }
}

const qc_hybrid_loops qc_hybrid_ref = {.range = find_range, .blocks = quantize_blocks};

qc_hybrid_scale qc_hybrid_quantize_symmetric(const qc_hybrid_loops *loops, const float *input,
                                             int64_t count, int8_t *output) {
    float low, high;
    loops->range(input, count, &low, &high);
    const float range = -low > high ? -low : high;
    if (range == 0.0f) {
        memset(output, 0, (size_t)count);
        return (qc_hybrid_scale){1.0f, 0};
    }
    const float inverse_scale = 127.0f / range;
    loops->blocks(input, count, inverse_scale, 0, -127, output);
    for (int64_t i = count / BLOCK * BLOCK; i < count; ++i)
        output[i] = (int8_t)qc_clamp(qc_round_to_int32((double)(input[i] * inverse_scale)), -127, 127);
    return (qc_hybrid_scale){range / 127.0f, 0};
}

/* The zero point that makes 0 exact: from that end of the range at which the rounding error is smaller. */
static int32_t nudged_zero_point(double low, double high, double scale) {
    const double from_low = -128.0 - low / scale;
    const double from_high = 127.0 - high / scale;
    const int low_is_nearer = 128.0 + fabs(low / scale) < 127.0 + fabs(high / scale);
    const double zero_point = low_is_nearer ? from_low : from_high;
    if (zero_point <= -128.0) return -128;
    if (zero_point >= 127.0) return 127;
    return (int8_t)qc_round_to_int32(zero_point);
}

qc_hybrid_scale qc_hybrid_quantize_asymmetric(const qc_hybrid_loops *loops, const float *input,
                                              int64_t count, int8_t *output) {
    float low, high;
    loops->range(input, count, &low, &high);
    if (low == high) {
        memset(output, 0, (size_t)count);
        return (qc_hybrid_scale){1.0f, 0};
    }
    const double scale = (double)(high - low) / 255.0;
    const qc_hybrid_scale result = {(float)scale, nudged_zero_point(low, high, scale)};
    const float inverse_scale = result.scale == 0.0f ? 0.0f : (float)(1.0 / (double)result.scale);
    loops->blocks(input, count, inverse_scale, result.zero_point, -128, output);
    for (int64_t i = count / BLOCK * BLOCK; i < count; ++i) {
        /* Unlike above, infinities saturate here, and NaN becomes 0: the scale of a tiny range has them. */
        const float q = (float)result.zero_point + roundf(input[i] * inverse_scale);
        output[i] = q != q ? 0 : (int8_t)qc_clamp_f32(q, -128.0f, 127.0f);
    }
    return result;
}
