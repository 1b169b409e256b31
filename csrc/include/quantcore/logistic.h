/* LOGISTIC and TANH. Flat arrays of `count` elements. scratch: none. */
#ifndef QUANTCORE_LOGISTIC_H
#define QUANTCORE_LOGISTIC_H

#include <math.h>
#include <stdint.h>

#include "quantcore/fixed_point_functions.h"
#include "quantcore/status.h"

/* A float as int32 by truncation, saturated; NaN as `nan`. */
static inline int32_t qc_saturate_float(float v, int32_t lowest, int32_t highest, int32_t nan) {
    if (v != v) return nan;
    return v <= (float)lowest ? lowest : v >= (float)highest ? highest : (int32_t)v;
}

/* 1 / (1 + exp(-x)) as XNNPACK's 8-bit tables have it: in double, from exp(x), 0 and 1 beyond 100. */
static inline float qc_logistic_from_exp(float x) {
    if (x > 100.0f) return 1.0f;
    if (x < -100.0f) return 0.0f;
    const double e = exp((double)x);
    return (float)(e / (1.0 + e));
}

/* 1 / (1 + exp(-x)) as the 8-bit tables compute it. expf and tanhf are those of the C library. */
static inline float qc_logistic(float x) {
    return 1.0f / (1.0f + expf(-x));
}

/* Fills the table of an 8-bit function of a real number, for qc_lookup_params: every stored value is
 * dequantized, mapped, divided by the output's scale (a product with its float32 inverse), rounded half
 * away from zero, and clamped. lowest: of the type, -128 or 0. function: with values in [-1, 1];
 * output_scale: at least 2^-30, so that the quotient fits int32. Source: TFLite
 * kernels/internal/common.h, LUTPopulate. */
static inline void qc_function_table(float (*function)(float), float input_scale, int32_t input_zero_point,
                                     float output_scale, int32_t output_zero_point, int32_t lowest,
                                     uint8_t *table) {
    const float inverse_scale = 1.0f / output_scale;
    for (int32_t q = lowest; q < lowest + 256; ++q) {
        const float x = input_scale * (float)(q - input_zero_point);
        const float rescaled = roundf(function(x) * inverse_scale);
        const int32_t y = (int32_t)(rescaled + (float)output_zero_point);
        table[(uint8_t)q] = (uint8_t)(y < lowest ? lowest : y > lowest + 255 ? lowest + 255 : y);
    }
}

/* As qc_function_table, but rounded half away from zero after the zero point is added, and clamped as a float.
 * Source: XNNPACK src/xnnpack/reference-utils.h, src/reference/unary-elementwise.cc. */
static inline void qc_function_table_xnnpack(float (*function)(float), float input_scale, int32_t input_zero_point,
                                             float output_scale, int32_t output_zero_point, int32_t lowest,
                                             uint8_t *table) {
    const float inverse_scale = 1.0f / output_scale;
    for (int32_t q = lowest; q < lowest + 256; ++q) {
        const float x = (float)(q - input_zero_point) * input_scale;
        const float y = roundf(function(x) * inverse_scale + (float)output_zero_point);
        table[(uint8_t)q] = (uint8_t)qc_saturate_float(y, lowest, lowest + 255, lowest);
    }
}

/* TFLite Micro's int8 tables, in fixed point: x = (q - input_zero_point) * multiplier * 2^(left_shift - 31) as Q4.27;
 * -128 and 127 from `radius` on. Outputs have scale 1/256 and zero point -128 (LOGISTIC), 1/128 and 0 (TANH).
 * left_shift: in [0, 31] where radius > 0. Source: TFLite kernels/internal/reference/integer_ops/logistic.h, tanh.h. */
static inline void qc_function_table_fixed(int is_tanh, int32_t input_zero_point, int32_t multiplier, int32_t left_shift,
                                           int32_t radius, uint8_t *table) {
    for (int32_t q = INT8_MIN; q <= INT8_MAX; ++q) {
        const int32_t d = q - input_zero_point;
        int32_t y = INT8_MIN;
        if (d > -radius && d < radius) {
            const int32_t x = qc_multiply_double_rounding(d, multiplier, left_shift);
            y = is_tanh ? qc_rounding_divide_by_pot(qc_tanh31(x, 4), 24)
                        : qc_rounding_divide_by_pot(qc_logistic31(x, 4), 23) - 128;
        } else if (d > -radius) {
            y = INT8_MAX;
        }
        table[(uint8_t)q] = (uint8_t)(int8_t)(y > INT8_MAX ? INT8_MAX : y);
    }
}

/* known_libm: see libm.h. */
typedef struct {
    int64_t count;
    int32_t known_libm;
} qc_function_f32_params;

/* int16 LOGISTIC and TANH: Q0.15 of the input, which is q * multiplier / 2^right_shift steps in qc_sigmoid_table
 * (see qc_sigmoid_position for the ranges). Source: TFLite kernels/internal/reference/integer_ops/logistic.h,
 * tanh.h. */
typedef struct {
    int64_t count;
    int32_t multiplier;
    int32_t right_shift;
} qc_sigmoid_s16_params;

qc_status qc_logistic_s16_ref(const qc_sigmoid_s16_params *, const int16_t *input, int16_t *output, void *scratch);
qc_status qc_tanh_s16_ref(const qc_sigmoid_s16_params *, const int16_t *input, int16_t *output, void *scratch);

/* The same in fixed point, for inputs in Q3.12 once shifted left (saturating) by left_shift, 0 or 1: TFLite's
 * optimized kernels. Source: TFLite kernels/internal/optimized/optimized_ops.h. */
typedef struct {
    int64_t count;
    int32_t left_shift;
} qc_sigmoid_fixed_params;

qc_status qc_logistic_fixed_s16_ref(const qc_sigmoid_fixed_params *, const int16_t *input, int16_t *output,
                                    void *scratch);
qc_status qc_tanh_fixed_s16_ref(const qc_sigmoid_fixed_params *, const int16_t *input, int16_t *output, void *scratch);

/* float32 LOGISTIC: 1 above 16.619047, exp(x) below -9, qc_logistic(x) between.
 * Source: TFLite kernels/internal/reference/logistic.h. */
qc_status qc_logistic_f32_ref(const qc_function_f32_params *params, const float *input, float *output, void *scratch);

/* float32 TANH: tanhf. */
qc_status qc_tanh_f32_ref(const qc_function_f32_params *params, const float *input, float *output, void *scratch);

/* float32 LOGISTIC and TANH as Eigen has them, see eigen_functions.h. */
qc_status qc_logistic_eigen_f32_ref(const qc_function_f32_params *, const float *input, float *output, void *scratch);
qc_status qc_tanh_eigen_f32_ref(const qc_function_f32_params *, const float *input, float *output, void *scratch);

#endif
