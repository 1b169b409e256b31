/* LOGISTIC and TANH on int16 by interpolation in a table of 256 points: TFLite's reference kernels of the two
 * operators, TFLite Micro's LSTM, and CMSIS-NN.
 *
 * The table holds 1 / (1 + exp(-i / 24)), so that an input in Q3.12 is first multiplied by 3/4 of 2^12 steps:
 * v = 3 * q. tanh(x) = 2 * logistic(2 x) - 1 uses the same table. Outputs are Q0.15.
 * Source: TFLite kernels/internal/reference/integer_ops/logistic.h, tanh.h. */
#ifndef QUANTCORE_SIGMOID_TABLE_H
#define QUANTCORE_SIGMOID_TABLE_H

#include <stdint.h>

extern const uint16_t qc_sigmoid_table[256];

/* An input q as position v in the table: (q * multiplier) / 2^right_shift, rounded half up. |q * multiplier|
 * below 2^30; right_shift in [0, 30]. Q3.12 inputs have multiplier 3 and right_shift 0; one with b more
 * integer bits has 3 * 2^b. */
static inline int32_t qc_sigmoid_position(int16_t q, int32_t multiplier, int right_shift) {
    const int32_t rounding = right_shift > 0 ? (int32_t)1 << (right_shift - 1) : 0;
    return (q * multiplier + rounding) >> right_shift;
}

/* table[v / 2^bits] * 2^bits, interpolated, for v >= 0; `end` beyond the table. */
static inline int32_t qc_sigmoid_interpolate(int32_t v, int bits, int32_t end) {
    const int32_t i = v >> bits;
    if (i >= 255) return end;
    const int32_t low = qc_sigmoid_table[i], high = qc_sigmoid_table[i + 1];
    return (int32_t)((uint32_t)low << bits) + (v & ((1 << bits) - 1)) * (high - low);
}

/* logistic as Q0.15 at position v. */
static inline int16_t qc_logistic_from_table(int32_t v) {
    const int32_t t = qc_sigmoid_interpolate(v < 0 ? -v : v, 9, 0x7FFF << 10);
    return (int16_t)((v >= 0 ? t + 512 : (1 << 25) - t + 511) >> 10);
}

/* tanh as Q0.15 at position v. */
static inline int16_t qc_tanh_from_table(int32_t v) {
    const int32_t t = qc_sigmoid_interpolate(v < 0 ? -v : v, 8, 0xFFFF << 8) - (1 << 23);
    return (int16_t)((v >= 0 ? t + 128 : -t + 127) >> 8);
}

#endif
