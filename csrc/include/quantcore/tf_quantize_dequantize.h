/* TensorFlow's QuantizeAndDequantizeV2, V3 and V4 on the CPU: numbers rounded to those that a quantized type holds.
 *
 * Arrays are seen as [outer][slices][inner], row-major, with one range per slice; a range for the whole array is
 * the case slices = 1. Subnormal numbers are zeros, as operands and as results. Derivation:
 * docs/numerics/tf_quantize_and_dequantize.md. Source of the rule: TensorFlow
 * core/kernels/quantize_and_dequantize_op.h. */
#ifndef QUANTCORE_TF_QUANTIZE_DEQUANTIZE_H
#define QUANTCORE_TF_QUANTIZE_DEQUANTIZE_H

#include <stdint.h>

#include "quantcore/status.h"

/* lowest, highest: the bounds of the quantized type, lowest <= 0 <= highest. half_up: 1 to round halves up, 0 to
 * even. range_given: 1 to take the ranges from min and max, each [slices], min <= max, and to clamp to what they
 * become; 0 for those of the input, then both are NULL. */
#define QC_DECLARE_TF_QUANTIZE_DEQUANTIZE(suffix, T)                                               \
    typedef struct {                                                                               \
        int64_t outer;                                                                             \
        int64_t slices;                                                                            \
        int64_t inner;                                                                             \
        int64_t lowest;                                                                            \
        int64_t highest;                                                                           \
        int32_t half_up;                                                                           \
        int32_t range_given;                                                                       \
        const T *min;                                                                              \
        const T *max;                                                                              \
    } qc_tf_quantize_dequantize_##suffix##_params;                                                 \
    qc_status qc_tf_quantize_dequantize_##suffix##_ref(                                            \
        const qc_tf_quantize_dequantize_##suffix##_params *params, const T *input, T *output, void *scratch);
QC_DECLARE_TF_QUANTIZE_DEQUANTIZE(f32, float)
QC_DECLARE_TF_QUANTIZE_DEQUANTIZE(f64, double)

#endif
