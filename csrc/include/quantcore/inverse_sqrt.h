/* 1 / sqrt(x) of an integer as multiplier and shift: L2_NORMALIZATION, layer normalization.
 * Source: TFLite kernels/internal/common.h (GetInvSqrtQuantizedMultiplierExp). */
#ifndef QUANTCORE_INVERSE_SQRT_H
#define QUANTCORE_INVERSE_SQRT_H

#include "quantcore/fixed_point_functions.h"

/* 1 / sqrt(x) = multiplier * 2^(-right_shift - 31), for x >= 0 (0 is taken for 1). x is scaled by a power of 4 to
 * [2^27, 2^29), half of it read as Q3.28, and five Newton steps start from 1. */
static inline int32_t qc_inverse_sqrt(int32_t x, int *right_shift) {
    const int32_t three_halves = (1 << 28) + (1 << 27);
    const int32_t half_sqrt_2 = 1518500250; /* Q0.31 */
    *right_shift = 0;
    if (x <= 1) return INT32_MAX;

    int shift = 11;
    for (; x >= 1 << 29; x /= 4) ++shift;
    for (; x < 1 << 27; x *= 4) --shift;
    const int32_t half = qc_rounding_divide_by_pot(x >> 1, 1);
    int32_t y = 1 << 28;
    for (int step = 0; step < 5; ++step) {
        const int32_t cube = qc_saturating_shift_left(qc_srdhm(qc_srdhm(y, y), y), 6);
        const int32_t next = qc_wrap32((int64_t)qc_srdhm(three_halves, y) - qc_srdhm(half, cube));
        y = qc_saturating_shift_left(next, 3);
    }
    y = qc_srdhm(y, half_sqrt_2);
    if (shift < 0) return qc_shift_left_wrap(y, -shift);
    *right_shift = shift;
    return y;
}

#endif
