/* LOGISTIC and TANH. Flat arrays of `count` elements. scratch: none. */
#ifndef QUANTCORE_LOGISTIC_H
#define QUANTCORE_LOGISTIC_H

#include <math.h>
#include <stdint.h>

#include "quantcore/status.h"

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

typedef struct {
    int64_t count;
} qc_function_f32_params;

/* float32 LOGISTIC: 1 above 16.619047, exp(x) below -9, qc_logistic(x) between.
 * Source: TFLite kernels/internal/reference/logistic.h. */
qc_status qc_logistic_f32_ref(const qc_function_f32_params *params, const float *input, float *output, void *scratch);

/* float32 TANH: tanhf. */
qc_status qc_tanh_f32_ref(const qc_function_f32_params *params, const float *input, float *output, void *scratch);

#endif
