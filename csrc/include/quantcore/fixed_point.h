/* Fixed-point primitives of quantized inference, one function per formula.
 *
 * Notation: floor() is the mathematical floor; every >> below is on a signed value and rounds
 * toward minus infinity (arithmetic shift; checked at compile time).
 * Source of the rules: Jacob et al. 2017, "Quantization and Training of Neural Networks for
 * Efficient Integer-Arithmetic-Only Inference", section 2.2; gemmlowp fixedpoint/fixedpoint.h;
 * TFLite kernels/internal/common.cc; ruy/apply_multiplier.cc. */
#ifndef QUANTCORE_FIXED_POINT_H
#define QUANTCORE_FIXED_POINT_H

#include <math.h>
#include <stdint.h>

/* A negative size is an error: right shifts of signed values must be arithmetic. */
typedef char qc_arithmetic_shift[(-3 >> 1) == -2 ? 1 : -1];

/* Two's-complement wrap of a 64-bit value to 32 bits. */
static inline int32_t qc_wrap32(int64_t x) {
    return (int32_t)(uint32_t)(uint64_t)x;
}

/* x clamped to [lo, hi]. */
static inline int32_t qc_clamp(int32_t x, int32_t lo, int32_t hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

/* x clamped to [lo, hi]; a NaN passes through. */
static inline float qc_clamp_f32(float x, float lo, float hi) {
    const float bounded = x < lo ? lo : x;
    return bounded > hi ? hi : bounded;
}

/* The float as a processor sees it that takes subnormal inputs for zeros (DAZ). */
static inline float qc_flush_input(float x) {
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

/* The result of an operation as a processor stores it that flushes subnormals to zero (FTZ). rounded: the
 * float32 result. exact: a float64 that is on the same side of the limit as the result before any rounding. x86
 * decides after rounding to 24 bits of any exponent, so that the limit lies half such a step below 2^-126. */
static inline float qc_flush_result(float rounded, double exact) {
    return fabs(exact) < 0x1.ffffffp-127 ? copysignf(0.0f, rounded) : rounded;
}

static inline int32_t qc_saturate32(int64_t x) {
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* Saturating rounding doubling high multiply: floor((a * b + 2^30) / 2^31), half up.
 * The one product that does not fit, a = b = -2^31, saturates to 2^31 - 1.
 * Range: any int32. gemmlowp: SaturatingRoundingDoublingHighMul. */
static inline int32_t qc_srdhm(int32_t a, int32_t b) {
    /* Bits 31..62 of the sum are the floor, whatever the sign: the shift may be logical, which vectors have. */
    const uint64_t sum = (uint64_t)((int64_t)a * b) + ((uint64_t)1 << 30);
    return a == INT32_MIN && b == INT32_MIN ? INT32_MAX : (int32_t)(uint32_t)(sum >> 31);
}

/* x / 2^exponent, to nearest, ties away from zero. exponent in [0, 31].
 * gemmlowp: RoundingDivideByPOT. */
static inline int32_t qc_rounding_divide_by_pot(int32_t x, int exponent) {
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + (remainder > threshold);
}

/* x / 2^exponent, to nearest, ties toward plus infinity: floor((x + 2^(exponent-1)) / 2^exponent).
 * exponent in [0, 31]. NEON: vrshl. */
static inline int32_t qc_rounding_right_shift(int32_t x, int exponent) {
    if (exponent == 0) return x;
    return (int32_t)(((int64_t)x + ((int64_t)1 << (exponent - 1))) >> exponent);
}

/* x * 2^shift wrapped to 32 bits; shift in [0, 31]. */
static inline int32_t qc_shift_left_wrap(int32_t x, int shift) {
    return (int32_t)((uint32_t)x << shift);
}

/* x * multiplier * 2^(shift - 31) with two roundings: the high multiply, then the shift (ties away
 * from zero). TFLite's default MultiplyByQuantizedMultiplier. shift in [-31, 31]. */
static inline int32_t qc_multiply_double_rounding(int32_t x, int32_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    return qc_rounding_divide_by_pot(qc_srdhm(qc_shift_left_wrap(x, left), multiplier), right);
}

/* As double rounding, but ties of the shift go toward plus infinity: ruy on x86, NEON code. */
static inline int32_t qc_multiply_ruy(int32_t x, int32_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    return qc_rounding_right_shift(qc_srdhm(qc_shift_left_wrap(x, left), multiplier), right);
}

/* x * multiplier * 2^(shift - 31) with one rounding, half up; saturated to int32.
 * TFLite built with TFLITE_SINGLE_ROUNDING. shift in [-31, 30]. */
static inline int32_t qc_multiply_single_rounding(int32_t x, int32_t multiplier, int shift) {
    const int total = 31 - shift;
    return qc_saturate32(((int64_t)x * multiplier + ((int64_t)1 << (total - 1))) >> total);
}

/* x * reduced * 2^(shift - 15) with one rounding, half up, where reduced is the multiplier rounded to
 * 16 bits. TFLite's path for int16 activations with int64 accumulators.
 * Range: |x| < 2^47; shift in [-31, 7]. */
static inline int32_t qc_multiply_int16_multiplier(int64_t x, int32_t multiplier, int shift) {
    const int64_t reduced = multiplier < 0x7FFF0000 ? ((int64_t)multiplier + (1 << 15)) >> 16 : 0x7FFF;
    const int total = 15 - shift;
    return (int32_t)((x * reduced + ((int64_t)1 << (total - 1))) >> total);
}

/* Round half away from zero, as C round(), to int32. NaN and values outside int32 give INT32_MIN, whatever
 * their sign: the result of x86's conversion instruction, which TFLite's kernels are compiled to. */
static inline int32_t qc_round_to_int32(double x) {
    if (!(x > -2147483649.0 && x < 2147483648.0)) return INT32_MIN;
    /* Without the call to round(): the fraction is exact, and converting truncates. */
    const int64_t truncated = (int64_t)x;
    const double fraction = x - (double)truncated;
    const int64_t r = truncated + (fraction >= 0.5) - (fraction <= -0.5);
    return r >= INT32_MIN && r <= INT32_MAX ? (int32_t)r : INT32_MIN;
}

/* float64 product rounded half away from zero: TFLite's reference FULLY_CONNECTED. */
static inline int32_t qc_multiply_float64(int32_t x, double real_multiplier) {
    return qc_round_to_int32((double)x * real_multiplier);
}

/* float32 product rounded half to even: XNNPACK on x86. real_multiplier is a float32 value. */
static inline int32_t qc_multiply_float32(int32_t x, float real_multiplier) {
    const float product = nearbyintf((float)x * real_multiplier);
    if (!(product >= -2147483648.0f)) return INT32_MIN;
    return product >= 2147483648.0f ? INT32_MAX : (int32_t)product;
}

#endif
