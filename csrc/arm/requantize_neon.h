/* The requantization rules of requantize.h on 4 accumulators at a time.
 *
 * SQRDMULH is qc_srdhm: half up, and it saturates for -2^31 * -2^31 alone. SRSHL by a negative shift is
 * qc_rounding_right_shift: its sum has no width. */
#ifndef QUANTCORE_ARM_REQUANTIZE_NEON_H
#define QUANTCORE_ARM_REQUANTIZE_NEON_H

#include <arm_neon.h>

#include "quantcore/requantize.h"

/* qc_rounding_divide_by_pot by 2^-shift, for shift in [-31, 0]: half up rounds ties away from zero if negative
 * values are made smaller by 1 first. x > -2^31, as what SQRDMULH makes by a multiplier below 2^31 is. */
static inline int32x4_t qc_rounding_divide_by_pot_neon(int32x4_t x, int32x4_t shift) {
    const int32x4_t less = vsraq_n_s32(x, vandq_s32(x, shift), 31); /* by 1 where x and shift are negative */
    return vrshlq_s32(less, shift);
}

/* qc_multiply_double_rounding, or with `ruy` qc_multiply_ruy. */
static inline int32x4_t qc_multiply_fixed_neon(int ruy, int32x4_t x, int32x4_t multiplier, int32x4_t shift) {
    const int32x4_t zero = vdupq_n_s32(0);
    const int32x4_t right = vminq_s32(shift, zero);
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(x, vmaxq_s32(shift, zero)), multiplier);
    return ruy ? vrshlq_s32(high, right) : qc_rounding_divide_by_pot_neon(high, right);
}

/* x * multiplier * 2^(shift - point), rounded half up, as two halves of int64. */
static inline int64x2x2_t qc_multiply_wide_neon(int32x4_t x, int32x4_t multiplier, int32x4_t shift, int point) {
    const int32x4_t by = vsubq_s32(shift, vdupq_n_s32(point));
    const int64x2x2_t y = {{
        vrshlq_s64(vmull_s32(vget_low_s32(x), vget_low_s32(multiplier)), vmovl_s32(vget_low_s32(by))),
        vrshlq_s64(vmull_high_s32(x, multiplier), vmovl_high_s32(by)),
    }};
    return y;
}

/* qc_multiply_single_rounding */
static inline int32x4_t qc_multiply_single_rounding_neon(int32x4_t x, int32x4_t multiplier, int32x4_t shift) {
    const int64x2x2_t y = qc_multiply_wide_neon(x, multiplier, shift, 31);
    return vqmovn_high_s64(vqmovn_s64(y.val[0]), y.val[1]);
}

/* qc_multiply_int16_multiplier */
static inline int32x4_t qc_multiply_int16_multiplier_neon(int32x4_t x, int32x4_t multiplier, int32x4_t shift) {
    const int32x4_t reduced = vminq_s32(vrshrq_n_s32(multiplier, 16), vdupq_n_s32(0x7FFF));
    const int64x2x2_t y = qc_multiply_wide_neon(x, reduced, shift, 15);
    return vmovn_high_s64(vmovn_s64(y.val[0]), y.val[1]);
}

/* qc_round_to_int32: the conversion rounds half away from zero, saturates to int64, and makes 0 of a NaN. */
static inline int32x2_t qc_round_to_int32_neon(float64x2_t x) {
    const int64x2_t whole = vcvtaq_s64_f64(x);
    const int32x2_t low = vmovn_s64(whole);
    const uint64x2_t fits = vandq_u64(vceqq_s64(vmovl_s32(low), whole), vceqq_f64(x, x));
    return vbsl_s32(vmovn_u64(fits), low, vdup_n_s32(INT32_MIN));
}

/* The accumulators of channels [channel, channel + 4) by a float rule. */
static inline int32x4_t qc_requantize_real_neon(const qc_requant *r, qc_rounding rule, int32x4_t acc,
                                                int32_t channel) {
    const double *real = r->real_multiplier;
    const float64x2_t low = r->per_channel ? vld1q_f64(real + channel) : vdupq_n_f64(real[0]);
    const float64x2_t high = r->per_channel ? vld1q_f64(real + channel + 2) : low;
    if (rule == QC_FLOAT32) {
        const float32x4_t limit = vdupq_n_f32((float)QC_FLOAT32_LIMIT);
        const float32x4_t multiplier = vcvt_high_f32_f64(vcvt_f32_f64(low), high);
        const float32x4_t product = vmulq_f32(vcvtq_f32_s32(acc), multiplier);
        return vcvtnq_s32_f32(vminq_f32(vmaxnmq_f32(product, vnegq_f32(limit)), limit)); /* NaN is lowest */
    }
    const float64x2_t x0 = vcvtq_f64_s64(vmovl_s32(vget_low_s32(acc)));
    const float64x2_t x1 = vcvtq_f64_s64(vmovl_high_s32(acc));
    return vcombine_s32(qc_round_to_int32_neon(vmulq_f64(x0, low)), qc_round_to_int32_neon(vmulq_f64(x1, high)));
}

/* qc_requantize_one by a given rule. */
static inline int32x4_t qc_requantize_by_neon(const qc_requant *r, qc_rounding rule, int32x4_t acc,
                                              int32_t channel) {
    if (rule == QC_FLOAT32 || rule == QC_FLOAT64) return qc_requantize_real_neon(r, rule, acc, channel);
    const int32x4_t multiplier = r->per_channel ? vld1q_s32(r->multiplier + channel) : vdupq_n_s32(r->multiplier[0]);
    const int32x4_t shift = r->per_channel ? vld1q_s32(r->shift + channel) : vdupq_n_s32(r->shift[0]);
    switch (rule) {
        case QC_RUY: return qc_multiply_fixed_neon(1, acc, multiplier, shift);
        case QC_SINGLE_ROUNDING: return qc_multiply_single_rounding_neon(acc, multiplier, shift);
        case QC_INT16_MULTIPLIER: return qc_multiply_int16_multiplier_neon(acc, multiplier, shift);
        default: return qc_multiply_fixed_neon(0, acc, multiplier, shift);
    }
}

/* qc_offset_and_clamp */
static inline int32x4_t qc_offset_and_clamp_neon(const qc_requant *r, int32x4_t y) {
    const int32x4_t low = vdupq_n_s32(r->activation_min), high = vdupq_n_s32(r->activation_max);
    const int32x4_t offset = vdupq_n_s32(r->output_offset);
    if (r->rounding == QC_FLOAT32) {
        y = vmaxq_s32(y, vsubq_s32(low, offset));
        y = vminq_s32(y, vsubq_s32(high, offset));
        return vaddq_s32(y, offset);
    }
    return vminq_s32(vmaxq_s32(vaddq_s32(y, offset), low), high);
}

/* qc_requantize on the accumulators of channels [channel, channel + 4), all of which exist. */
static inline int32x4_t qc_requantize_neon(const qc_requant *r, int32x4_t acc, int32_t channel) {
    const int64_t body = (int64_t)r->body - channel; /* channels of this vector before the tail */
    if (body >= 4) return qc_offset_and_clamp_neon(r, qc_requantize_by_neon(r, r->rounding, acc, channel));
    int32x4_t y = qc_requantize_by_neon(r, r->tail, acc, channel);
    if (body > 0) {
        const int32x4_t places = {0, 1, 2, 3};
        const uint32x4_t in_body = vcgtq_s32(vdupq_n_s32((int32_t)body), places);
        y = vbslq_s32(in_body, qc_requantize_by_neon(r, r->rounding, acc, channel), y);
    }
    return qc_offset_and_clamp_neon(r, y);
}

/* qc_requantize on 16 accumulators, as bytes. */
static inline uint8x16_t qc_requantize_16_neon(const qc_requant *r, const int32x4_t acc[4], int32_t channel) {
    int16x8_t half[2];
    for (int k = 0; k < 2; ++k) {
        const int32x4_t low = qc_requantize_neon(r, acc[2 * k], channel + 8 * k);
        half[k] = vmovn_high_s32(vmovn_s32(low), qc_requantize_neon(r, acc[2 * k + 1], channel + 8 * k + 4));
    }
    return vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(half[0]), half[1]));
}

/* Requantize `count` accumulators of channels from `channel` on; at most 16. The rule of what is not a multiple of 4
 * is looked up one by one, since no channel may be read that does not exist. */
static inline void qc_requantize_some_neon(const qc_requant *r, const int32_t *acc, int32_t channel, int32_t count,
                                           uint8_t *output) {
    if (count == 16) {
        const int32x4_t all[4] = {vld1q_s32(acc), vld1q_s32(acc + 4), vld1q_s32(acc + 8), vld1q_s32(acc + 12)};
        vst1q_u8(output, qc_requantize_16_neon(r, all, channel));
        return;
    }
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        int32_t y[4];
        vst1q_s32(y, qc_requantize_neon(r, vld1q_s32(acc + i), channel + i));
        for (int k = 0; k < 4; ++k) output[i + k] = (uint8_t)y[k];
    }
    for (; i < count; ++i) output[i] = (uint8_t)qc_requantize(r, acc[i], channel + i);
}

#endif
