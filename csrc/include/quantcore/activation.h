/* Element-wise activations. Inputs and outputs are flat arrays of `count` elements. scratch: none. */
#ifndef QUANTCORE_ACTIVATION_H
#define QUANTCORE_ACTIVATION_H

#include "quantcore/requantize.h"
#include "quantcore/status.h"

/* RELU family on integers with scales: y = clamp(rule(q + input_offset) + output_offset, min, max).
 * input_offset: minus the zero point of the input, within the range of a zero point. The bounds of the
 * activation are requant.activation_min/max. Source: TFLite kernels/internal/reference/reference_ops.h,
 * ReluX. */
typedef struct {
    int64_t count;
    int32_t input_offset;
    qc_requant requant;
} qc_relu_params;

qc_status qc_relu_s8_ref(const qc_relu_params *params, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_relu_u8_ref(const qc_relu_params *params, const uint8_t *input, uint8_t *output, void *scratch);
qc_status qc_relu_s16_ref(const qc_relu_params *params, const int16_t *input, int16_t *output, void *scratch);

/* RELU family on float32: y = min(max(x, activation_min), activation_max); a NaN stays. */
typedef struct {
    int64_t count;
    float activation_min;
    float activation_max;
} qc_relu_f32_params;

qc_status qc_relu_f32_ref(const qc_relu_f32_params *params, const float *input, float *output, void *scratch);

/* LEAKY_RELU on integers with scales: d = q + input_offset is requantized by one multiplier where it is not
 * negative and by that of alpha * s_in / s_out where it is. multipliers: 0, or of a size in [2^30, 2^31);
 * that of alpha may be negative. shifts: in [-31, 31]. rounding: double, or single (XNNPACK's 8 fractional bits).
 * negates_alpha: 1 to turn the sign of that half's result, for a negative slope whose multiplier is given by size.
 * Saturates to the type. Source: TFLite kernels/internal/reference/leaky_relu.h; XNNPACK src/qs8-vlrelu. */
typedef struct {
    int64_t count;
    int32_t input_offset;
    int32_t output_offset;
    int32_t identity_multiplier;
    int32_t identity_shift;
    int32_t alpha_multiplier;
    int32_t alpha_shift;
    qc_rounding rounding;
    int32_t negates_alpha;
} qc_leaky_relu_params;

qc_status qc_leaky_relu_s8_ref(const qc_leaky_relu_params *, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_leaky_relu_u8_ref(const qc_leaky_relu_params *, const uint8_t *input, uint8_t *output, void *scratch);
qc_status qc_leaky_relu_s16_ref(const qc_leaky_relu_params *, const int16_t *input, int16_t *output, void *scratch);

/* float32: x where it is positive, else x * alpha. keeps_zeros: x * alpha only where x is below 0 (XNNPACK). */
typedef struct {
    int64_t count;
    float alpha;
    int32_t keeps_zeros;
} qc_leaky_relu_f32_params;

qc_status qc_leaky_relu_f32_ref(const qc_leaky_relu_f32_params *, const float *input, float *output, void *scratch);

/* HARD_SWISH on 8 bits, in 16-bit fixed point; docs/numerics/hard_swish.md derives it.
 * output_multiplier, output_shift: s_in / 128 / s_out as Q0.15 times a power of two, shift in [-31, 0].
 * reluish_multiplier, reluish_shift: s_in / 128 * 32768 / 3, shift in [-31, 31].
 * Source: TFLite kernels/internal/reference/hard_swish.h. */
typedef struct {
    int64_t count;
    int32_t input_offset;
    int32_t output_offset;
    int32_t output_multiplier;
    int32_t output_shift;
    int32_t reluish_multiplier;
    int32_t reluish_shift;
} qc_hard_swish_params;

qc_status qc_hard_swish_s8_ref(const qc_hard_swish_params *, const int8_t *input, int8_t *output, void *scratch);
qc_status qc_hard_swish_u8_ref(const qc_hard_swish_params *, const uint8_t *input, uint8_t *output, void *scratch);

typedef enum {
    QC_HARD_SWISH_QUOTIENT = 0, /* x * min(6, max(0, x + 3)) / 6 */
    QC_HARD_SWISH_PRODUCT = 1,  /* x * float32(1/6) * min(6, max(0, x + 3)): TFLite's optimized kernel; after the
                                   last four, x * min(6, max(0, x + 3)) * float32(1/6) */
    QC_HARD_SWISH_FUSED = 2,    /* x * min(1, max(0, fma(x, float32(1/6), 1/2))): XNNPACK */
} qc_hard_swish_form;

/* float32, multiplied from left to right. */
typedef struct {
    int64_t count;
    qc_hard_swish_form form;
} qc_hard_swish_f32_params;

qc_status qc_hard_swish_f32_ref(const qc_hard_swish_f32_params *, const float *input, float *output, void *scratch);

#endif
