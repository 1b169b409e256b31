/* PRELU: x where it is not negative, else x * alpha, with a slope per element that broadcasts. */
#ifndef QUANTCORE_PRELU_H
#define QUANTCORE_PRELU_H

#include "quantcore/elementwise.h"

/* d = q + input_offset; where d is not negative it is requantized by one multiplier, elsewhere
 * d * (alpha + alpha_offset) by another. offsets: minus the zero points, the zero point of the output.
 * multipliers: 0, or in [2^30, 2^31). shifts: in [-31, 31]; double rounding. Saturates to the type.
 * broadcast: of input (1) and slopes (2). Source: TFLite kernels/internal/reference/prelu.h. */
typedef struct {
    qc_broadcast broadcast;
    int32_t input_offset;
    int32_t alpha_offset;
    int32_t output_offset;
    int32_t identity_multiplier;
    int32_t identity_shift;
    int32_t alpha_multiplier;
    int32_t alpha_shift;
} qc_prelu_params;

qc_status qc_prelu_s8_ref(const qc_prelu_params *, const int8_t *input, const int8_t *alpha, int8_t *output, void *scratch);
qc_status qc_prelu_u8_ref(const qc_prelu_params *, const uint8_t *input, const uint8_t *alpha, uint8_t *output,
                          void *scratch);

/* float32: x where x >= 0, else x * alpha. */
typedef struct {
    qc_broadcast broadcast;
} qc_prelu_f32_params;

qc_status qc_prelu_f32_ref(const qc_prelu_f32_params *, const float *input, const float *alpha, float *output,
                           void *scratch);

#endif
