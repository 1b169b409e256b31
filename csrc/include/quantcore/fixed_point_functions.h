/* Transcendental functions in fixed point, 32 bits.
 *
 * Qm.n below is a raw int32 that stands for raw / 2^n with n = 31 - m; a Q0.31 value of 1 is 2^31 - 1.
 * Source of the formulas: gemmlowp fixedpoint/fixedpoint.h. */
#ifndef QUANTCORE_FIXED_POINT_FUNCTIONS_H
#define QUANTCORE_FIXED_POINT_FUNCTIONS_H

#include "quantcore/fixed_point.h"

/* x * 2^exponent, saturated; exponent in [0, 31]. */
static inline int32_t qc_saturating_shift_left(int32_t x, int exponent) {
    return qc_saturate32((int64_t)((uint64_t)(int64_t)x << exponent));
}

/* exp(a) as Q0.31 for a <= 0 with `integer_bits` integer bits, in [0, 5].
 *
 * a is split into r in [-1/4, 0) and a sum of powers of two. exp(r) is a polynomial around -1/8; every power
 * of two contributes its own factor. */
static inline int32_t qc_exp_on_negative_values(int32_t a, int integer_bits) {
    static const int32_t factors[] = {
        1672461947, /* exp(-1/4) in Q0.31 */
        1302514674, /* exp(-1/2) */
        790015084,  /* exp(-1) */
        290630308,  /* exp(-2) */
        39332535,   /* exp(-4) */
        720401,     /* exp(-8) */
        242,        /* exp(-16) */
    };
    const int32_t exp_minus_one_eighth = 1895147668;
    const int32_t one_third = 715827883;
    if (a == 0) return INT32_MAX;

    const int fraction_bits = 31 - integer_bits;
    const int32_t quarter = (int32_t)1 << (fraction_bits - 2);
    const int32_t r = (a & (quarter - 1)) - quarter;
    const int32_t x = (int32_t)((uint32_t)r << integer_bits) + (1 << 28); /* r + 1/8 as Q0.31 */
    const int32_t x2 = qc_srdhm(x, x);
    const int32_t x3 = qc_srdhm(x2, x);
    const int32_t x4 = qc_srdhm(x2, x2);
    /* x^2 / 2 + x^3 / 6 + x^4 / 24 */
    const int32_t third = qc_srdhm(qc_rounding_divide_by_pot(x4, 2) + x3, one_third);
    const int32_t tail = qc_rounding_divide_by_pot(third + x2, 1);
    int32_t y = exp_minus_one_eighth + qc_srdhm(exp_minus_one_eighth, x + tail);

    const int32_t rest = r - a;
    for (int k = 0; k < integer_bits + 2; ++k)
        if (rest >> (fraction_bits - 2 + k) & 1) y = qc_srdhm(y, factors[k]);
    return y;
}

/* 1 / half as Q2.29 with half = (1 + a) / 2, for a in [0, 1], Q0.31: three Newton steps. */
static inline int32_t qc_one_over_half_of_one_plus_x(int32_t a) {
    const int32_t forty_eight_17ths = 1515870810;    /* Q2.29 */
    const int32_t minus_thirty_two_17ths = -1010580540;
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = forty_eight_17ths + qc_srdhm(half, minus_thirty_two_17ths);
    for (int step = 0; step < 3; ++step) {
        const int32_t error = (1 << 29) - qc_srdhm(half, x);
        x += qc_saturating_shift_left(qc_srdhm(x, error), 2);
    }
    return x;
}

/* 1 / (1 + a) as Q0.31 for a in [0, 1], Q0.31. */
static inline int32_t qc_one_over_one_plus_x(int32_t a) {
    return qc_saturating_shift_left(qc_one_over_half_of_one_plus_x(a), 1);
}

/* 1 / (1 + exp(-a)) as Q0.31 for a with `integer_bits` integer bits, in [0, 5]. */
static inline int32_t qc_logistic31(int32_t a, int integer_bits) {
    if (a == 0) return 1 << 30;
    const int32_t positive = qc_one_over_one_plus_x(qc_exp_on_negative_values(a > 0 ? -a : a, integer_bits));
    return a > 0 ? positive : INT32_MAX - positive;
}

/* tanh(a) as Q0.31 for a with `integer_bits` integer bits, in [0, 4]: (1 - e) / (1 + e) with e = exp(-2 |a|),
 * which is the raw value of |a| read with one integer bit more. */
static inline int32_t qc_tanh31(int32_t a, int integer_bits) {
    if (a == 0) return 0;
    const int32_t e = qc_exp_on_negative_values(a > 0 ? -a : a, integer_bits + 1);
    const int32_t magnitude = qc_saturating_shift_left(qc_one_over_half_of_one_plus_x(e) - (1 << 29), 2);
    return a > 0 ? magnitude : -magnitude;
}

#endif
