/* Transcendental functions in fixed point, 16 bits: what fixed_point_functions.h has for 32.
 *
 * Qm.n below is a raw int16 that stands for raw / 2^n with n = 15 - m; a Q0.15 value of 1 is 2^15 - 1.
 * Sums wrap to 16 bits unless said. Source of the formulas: gemmlowp fixedpoint/fixedpoint.h, whose 16-bit
 * constants are the 32-bit ones divided by 2^16 and rounded. */
#ifndef QUANTCORE_FIXED_POINT_FUNCTIONS16_H
#define QUANTCORE_FIXED_POINT_FUNCTIONS16_H

#include "quantcore/fixed_point.h"

/* Two's-complement wrap to 16 bits. */
static inline int16_t qc_wrap16(int32_t x) {
    return (int16_t)(uint16_t)(uint32_t)x;
}

static inline int16_t qc_saturate16(int32_t x) {
    return (int16_t)qc_clamp(x, INT16_MIN, INT16_MAX);
}

/* Saturating rounding doubling high multiply: floor((a * b + 2^14) / 2^15), half up; the one product that does
 * not fit saturates. */
static inline int16_t qc_srdhm16(int16_t a, int16_t b) {
    return qc_saturate16(((int32_t)a * b + (1 << 14)) >> 15);
}

/* x * 2^exponent, saturated; exponent in [0, 15]. */
static inline int16_t qc_saturating_shift_left16(int16_t x, int exponent) {
    return qc_saturate16((int32_t)((uint32_t)(int32_t)x << exponent));
}

/* exp(a) as Q0.15 for a <= 0 with `integer_bits` integer bits, in [1, 7]. See qc_exp_on_negative_values. */
static inline int16_t qc_exp_on_negative_values16(int16_t a, int integer_bits) {
    static const int16_t factors[] = {
        25520, /* exp(-1/4) in Q0.15 */
        19875, /* exp(-1/2) */
        12055, /* exp(-1) */
        4435,  /* exp(-2) */
        600,   /* exp(-4) */
        11,    /* exp(-8) */
        0,     /* exp(-16) */
    };
    const int16_t exp_minus_one_eighth = 28918;
    const int16_t one_third = 10923;
    const int fraction_bits = 15 - integer_bits;
    if (a == 0) return INT16_MAX;
    if (integer_bits > 5 && a < -(1 << (fraction_bits + 5))) return 0; /* below -32 */

    const int32_t quarter = 1 << (fraction_bits - 2);
    const int32_t r = (a & (quarter - 1)) - quarter;
    const int16_t x = qc_wrap16(r * (1 << integer_bits) + (1 << 12)); /* r + 1/8 as Q0.15 */
    const int16_t x2 = qc_srdhm16(x, x);
    const int16_t x3 = qc_srdhm16(x2, x);
    const int16_t x4 = qc_srdhm16(x2, x2);
    /* x^2 / 2 + x^3 / 6 + x^4 / 24 */
    const int16_t third = qc_srdhm16(qc_wrap16(qc_rounding_divide_by_pot(x4, 2) + x3), one_third);
    const int32_t tail = qc_rounding_divide_by_pot(qc_wrap16(third + x2), 1);
    int16_t y = qc_saturate16(exp_minus_one_eighth + qc_srdhm16(exp_minus_one_eighth, qc_wrap16(x + tail)));

    const int32_t rest = r - a;
    for (int k = 0; k < integer_bits + 2 && k < 7; ++k)
        if (rest >> (fraction_bits - 2 + k) & 1) y = qc_srdhm16(y, factors[k]);
    return y;
}

/* 2 / (1 + a) / 2 as Q2.13 for a in [0, 1], Q0.15: 1 / half with half = (1 + a) / 2, by three Newton steps. */
static inline int16_t qc_one_over_half_of_one_plus_x16(int16_t a) {
    const int16_t forty_eight_17ths = 23130; /* Q2.13 */
    const int16_t minus_thirty_two_17ths = -15420;
    const int16_t half = (int16_t)((a + INT16_MAX + 1) / 2);
    int16_t x = qc_wrap16(forty_eight_17ths + qc_srdhm16(half, minus_thirty_two_17ths));
    for (int step = 0; step < 3; ++step) {
        const int16_t error = qc_wrap16((1 << 13) - qc_srdhm16(half, x));
        x = qc_wrap16(x + qc_saturating_shift_left16(qc_srdhm16(x, error), 2));
    }
    return x;
}

/* 1 / (1 + exp(-a)) as Q0.15 for a with `integer_bits` integer bits, in [1, 6]. */
static inline int16_t qc_logistic16(int16_t a, int integer_bits) {
    const int16_t negative = a > 0 ? (int16_t)-a : a;
    const int16_t inverse = qc_one_over_half_of_one_plus_x16(qc_exp_on_negative_values16(negative, integer_bits));
    const int16_t positive = qc_saturating_shift_left16(inverse, 1);
    return a > 0 ? positive : a < 0 ? (int16_t)(INT16_MAX - positive) : 1 << 14;
}

/* tanh(a) as Q0.15 for a with `integer_bits` integer bits, in [0, 6]: (1 - e) / (1 + e) with e = exp(-2 |a|),
 * which is the raw value of |a| read with one integer bit more. */
static inline int16_t qc_tanh16(int16_t a, int integer_bits) {
    if (a == 0) return 0;
    const int16_t negative = a > 0 ? (int16_t)-a : a;
    const int16_t inverse = qc_one_over_half_of_one_plus_x16(qc_exp_on_negative_values16(negative, integer_bits + 1));
    const int16_t magnitude = qc_saturating_shift_left16(qc_wrap16(inverse - (1 << 13)), 2);
    return a > 0 ? magnitude : qc_wrap16(-magnitude);
}

#endif
