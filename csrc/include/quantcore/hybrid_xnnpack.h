/* Quantization of activations on the fly as XNNPACK does it: always asymmetric, in float32 throughout. XNNPACK runs
 * with denormals disabled: they are 0 where they are read and where they would result.
 * Source of the rules: XNNPACK src/xnnpack/quantization.h, src/f32-rminmax, src/f32-qs8-vcvt. */
#ifndef QUANTCORE_HYBRID_XNNPACK_H
#define QUANTCORE_HYBRID_XNNPACK_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "quantcore/fixed_point.h"

/* real = inverse_scale * (q - zero_point) */
typedef struct {
    float inverse_scale;
    int32_t zero_point;
} qc_xnnpack_scale;

/* v, or a zero of its sign if v is denormal. */
static inline float qc_flush_denormal(float v) {
    return fabsf(v) < FLT_MIN ? copysignf(0.0f, v) : v;
}

/* The zero point within the bounds of int8, an element within those of int16. A NaN becomes the lower bound of the
 * first, the upper one of the second. */
static inline float qc_xnnpack_bound_zero_point(float v) {
    const float bounded = v > -128.0f ? v : -128.0f;
    return bounded > 127.0f ? 127.0f : bounded;
}
static inline float qc_xnnpack_bound_element(float v) {
    const float bounded = v < 32767.0f ? v : 32767.0f;
    return bounded < -32768.0f ? -32768.0f : bounded;
}

/* Parameters for a range that contains 0. *factor: of an element. A range below 255 / FLT_MAX makes it infinite. */
static inline qc_xnnpack_scale qc_xnnpack_choose(float low, float high, float *factor) {
    const float scale = low == high ? 1.0f : 255.0f / (high - low);
    const float scaled_low = low * scale, scaled_high = high * scale;
    const int low_is_nearer = (-128.0f + scaled_low) + (127.0f + scaled_high) > 0.0f;
    const float exact = low_is_nearer ? -128.0f - scaled_low : 127.0f - scaled_high;
    const int32_t zero_point = (int32_t)nearbyintf(qc_xnnpack_bound_zero_point(exact));
    *factor = scale;
    return (qc_xnnpack_scale){qc_flush_denormal(1.0f / scale), zero_point};
}

/* An infinite factor makes NaN of zeros. */
static inline int8_t qc_xnnpack_element(float x, float factor, int32_t zero_point) {
    const float q = nearbyintf(qc_xnnpack_bound_element(qc_flush_denormal(x) * factor));
    return (int8_t)qc_clamp((int32_t)q + zero_point, -128, 127);
}

/* Quantize `count` floats to [-128, 127] over the range of the data widened to contain 0. All zero: scale 1. */
static inline qc_xnnpack_scale qc_xnnpack_quantize(const float *input, int64_t count, int8_t *output) {
    float low = 0.0f, high = 0.0f, factor;
    for (int64_t i = 0; i < count; ++i) {
        const float v = qc_flush_denormal(input[i]);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    const qc_xnnpack_scale q = qc_xnnpack_choose(low, high, &factor);
    for (int64_t i = 0; i < count; ++i) output[i] = qc_xnnpack_element(input[i], factor, q.zero_point);
    return q;
}

/* v within [low, high]; NaN becomes `low`, and so does -0 where `low` is +0. Without an activation the bounds are
 * infinite, and NaN becomes -infinity. */
static inline float qc_xnnpack_clamp(float v, float low, float high) {
    const float bounded = v > low ? v : low;
    return bounded < high ? bounded : high;
}

/* From a sum of (q - zero_point) * filter to an output, before the activation. */
static inline float qc_xnnpack_output(int32_t sum, qc_xnnpack_scale q, float filter_scale, float bias) {
    const float product = qc_flush_denormal((float)sum * q.inverse_scale);
    return qc_flush_denormal(fmaf(product, qc_flush_denormal(filter_scale), qc_flush_denormal(bias)));
}

#endif
