/* TensorFlow's quantization ops: QuantizeV2 and Dequantize on the CPU.
 *
 * Arrays are seen as [outer][slices][inner], row-major, with one range per slice; a range for the whole array is
 * the case slices = 1. TensorFlow's threads treat subnormal numbers as zeros, as operands and as results, and so
 * does each operation here. Derivations: docs/numerics/tf_quantize.md. Sources of the rules: TensorFlow
 * core/kernels/{quantize_op.cc, dequantize_op.cc, quantization_utils.h},
 * core/kernels/mkl/{mkl_quantize_op.cc, mkl_dequantize_op.cc}. */
#ifndef QUANTCORE_TF_QUANTIZE_H
#define QUANTCORE_TF_QUANTIZE_H

#include <stdint.h>

#include "quantcore/status.h"

/* The formulas. Those of oneDNN are what TensorFlow runs in place of its own kernels where it is told to. */
typedef enum {
    QC_TF_MIN_COMBINED,
    QC_TF_MIN_FIRST,
    QC_TF_SCALED_HALF_AWAY_FROM_ZERO,
    QC_TF_SCALED_HALF_TO_EVEN,
    QC_TF_ONEDNN_SCALED,
    QC_TF_ONEDNN_MIN_FIRST,
    QC_TF_ONEDNN_MIN_FIRST_SCALAR, /* an array without dimensions */
} qc_tf_mode;

/* The quantized type: its bounds; narrow_range leaves out the lowest value in the modes SCALED. */
typedef struct {
    int64_t lowest;
    int64_t highest;
    int32_t narrow_range; /* 0 or 1 */
} qc_tf_type;

/* What is computed once per slice, by tf_quantize_rules.h. min_range, max_range: the range that values are clamped
 * to, and that the caller is given. scale: steps per unit. offset: what is subtracted from the scaled value, and by
 * oneDNN's MIN_FIRST added to it. */
typedef struct {
    float min_range;
    float max_range;
    float scale;
    float offset;
} qc_tf_quantize_range;

/* range: [slices]. */
typedef struct {
    int64_t outer;
    int64_t slices;
    int64_t inner;
    qc_tf_mode mode;
    const qc_tf_quantize_range *range;
} qc_tf_quantize_params;

#define QC_DECLARE_TF_QUANTIZE(suffix, T)                                                          \
    qc_status qc_tf_quantize_f32_##suffix##_ref(const qc_tf_quantize_params *params, const float *input, \
                                                T *output, void *scratch);
/* QuantizeV2. input: no NaN. What does not fit wraps: only qint32 in the modes MIN_COMBINED and SCALED. */
QC_DECLARE_TF_QUANTIZE(s8, int8_t)
QC_DECLARE_TF_QUANTIZE(u8, uint8_t)
QC_DECLARE_TF_QUANTIZE(s16, int16_t)
QC_DECLARE_TF_QUANTIZE(u16, uint16_t)
QC_DECLARE_TF_QUANTIZE(s32, int32_t)

/* real = (q + shift) * scale + offset, each operation rounded to float32; computed once per slice. */
typedef struct {
    float shift;
    float scale;
    float offset; /* -0.0 where nothing is added, which keeps the sign of a zero */
} qc_tf_dequantize_terms;

/* terms: [slices]. bfloat16: 1 to round the results to bfloat16, half to even; they stay float32. by_int32: 1 where
 * TensorFlow converts qint32 to float32, then to int32, then to float32 again, which makes 2^31 of the highest numbers
 * and then -2^31; of no effect on other types. */
typedef struct {
    int64_t outer;
    int64_t slices;
    int64_t inner;
    int32_t bfloat16;
    int32_t by_int32;
    const qc_tf_dequantize_terms *terms;
} qc_tf_dequantize_params;

#define QC_DECLARE_TF_DEQUANTIZE(suffix, T)                                                        \
    qc_status qc_tf_dequantize_##suffix##_f32_ref(const qc_tf_dequantize_params *params, const T *input, \
                                                  float *output, void *scratch);
QC_DECLARE_TF_DEQUANTIZE(s8, int8_t)
QC_DECLARE_TF_DEQUANTIZE(u8, uint8_t)
QC_DECLARE_TF_DEQUANTIZE(s16, int16_t)
QC_DECLARE_TF_DEQUANTIZE(u16, uint16_t)
QC_DECLARE_TF_DEQUANTIZE(s32, int32_t)

#endif
