/* L2_NORMALIZATION: every row divided by the root of the sum of its squares. Rows run along the last dimension.
 * scratch: none. */
#ifndef QUANTCORE_L2_NORMALIZATION_H
#define QUANTCORE_L2_NORMALIZATION_H

#include <stdint.h>

#include "quantcore/status.h"

/* 8 bits: outputs have scale 1/128 and the zero point 0 (int8) or 128 (uint8). depth: at most 33025, so that the
 * sum of squares fits int32. Source: TFLite kernels/internal/reference/integer_ops/l2normalization.h,
 * kernels/internal/reference/l2normalization.h. */
typedef struct {
    int64_t rows;
    int64_t depth;
    int32_t input_zero_point;
} qc_l2_normalization_params;

qc_status qc_l2_normalization_s8_ref(const qc_l2_normalization_params *, const int8_t *input, int8_t *output,
                                     void *scratch);
qc_status qc_l2_normalization_u8_ref(const qc_l2_normalization_params *, const uint8_t *input, uint8_t *output,
                                     void *scratch);

/* float32: the sum is in order; a root below 1e-6 is taken for 1e-6. */
qc_status qc_l2_normalization_f32_ref(const qc_l2_normalization_params *, const float *input, float *output,
                                      void *scratch);

#endif
