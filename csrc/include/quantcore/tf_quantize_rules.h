/* The constants of TensorFlow's quantization ops, which are computed once per range. See tf_quantize.h. */
#ifndef QUANTCORE_TF_QUANTIZE_RULES_H
#define QUANTCORE_TF_QUANTIZE_RULES_H

#include <float.h>
#include <math.h>

#include "quantcore/fixed_point.h"
#include "quantcore/tf_quantize.h"

/* One operation of a processor that flushes subnormals, on operands that are flushed; float64 is exact enough
 * to tell on which side of the limit a result lies. */
static inline float qc_tf_add(float a, float b) {
    return qc_flush_result(a + b, (double)a + (double)b);
}

static inline float qc_tf_multiply(float a, float b) {
    return qc_flush_result(a * b, (double)a * (double)b);
}

static inline float qc_tf_divide(float a, float b) {
    return qc_flush_result(a / b, (double)a / (double)b);
}

/* As std::min and std::max: the first of equals, and what is not less or more than a NaN. */
static inline float qc_tf_lesser(float a, float b) {
    return b < a ? b : a;
}

static inline float qc_tf_greater(float a, float b) {
    return a < b ? b : a;
}

/* The range made to enclose zero, and as wide as ensure_minimum_range asks, in units of its larger end (1 at
 * least). */
static inline void qc_tf_widen(float min_range, float max_range, float ensure_minimum_range,
                               qc_tf_quantize_range *chosen) {
    const float largest = qc_tf_greater(1.0f, qc_tf_greater(fabsf(min_range), fabsf(max_range)));
    const float epsilon = qc_tf_multiply(largest, ensure_minimum_range);
    chosen->min_range = qc_tf_lesser(0.0f, min_range);
    chosen->max_range = qc_tf_greater(0.0f, qc_tf_greater(max_range, qc_tf_add(chosen->min_range, epsilon)));
}

static inline void qc_tf_choose_min_combined(const qc_tf_type *type, qc_tf_quantize_range *chosen) {
    const double steps = (double)(type->highest - type->lowest);
    chosen->scale = (float)(steps / (double)qc_tf_add(chosen->max_range, -chosen->min_range));
    chosen->offset = type->lowest < 0 ? (float)-type->lowest : -0.5f; /* unsigned: truncated after that */
}

static inline void qc_tf_choose_min_first(const qc_tf_type *type, qc_tf_quantize_range *chosen) {
    const double steps = (double)(type->highest - type->lowest);
    const float width = qc_tf_add(chosen->max_range, -chosen->min_range);
    chosen->scale = width == 0.0f ? 0.0f : (float)(steps / (double)width);
    chosen->offset = roundf(qc_tf_multiply(chosen->min_range, chosen->scale)) - (float)type->lowest;
}

/* Steps per unit on one side of zero: quantized / real; the largest float where they have not the same sign. */
static inline float qc_tf_side(float quantized, float real) {
    return qc_tf_multiply(quantized, real) > 0.0f ? qc_tf_divide(quantized, real) : FLT_MAX;
}

static inline void qc_tf_choose_scaled(const qc_tf_type *type, qc_tf_quantize_range *chosen) {
    const float lowest = (float)(type->lowest + type->narrow_range), highest = (float)type->highest;
    chosen->scale = qc_tf_lesser(qc_tf_side(lowest, chosen->min_range), qc_tf_side(highest, chosen->max_range));
    chosen->min_range = qc_tf_divide(lowest, chosen->scale);
    chosen->max_range = qc_tf_divide(highest, chosen->scale);
}

static inline void qc_tf_choose_onednn_scaled(const qc_tf_type *type, qc_tf_quantize_range *chosen) {
    const float steps = (float)(type->highest - type->lowest);
    chosen->max_range = qc_tf_greater(fabsf(chosen->min_range), chosen->max_range);
    chosen->min_range = type->lowest < 0 ? -chosen->max_range : 0.0f;
    chosen->scale = qc_tf_divide(type->lowest < 0 ? steps / 2.0f : steps, chosen->max_range);
}

static inline void qc_tf_choose_onednn_min_first(const qc_tf_type *type, qc_tf_quantize_range *chosen) {
    const float width = qc_tf_add(chosen->max_range, -chosen->min_range);
    chosen->scale = qc_tf_divide((float)(type->highest - type->lowest), width);
    chosen->offset = qc_tf_multiply(-chosen->min_range, chosen->scale);
}

/* The constants of QuantizeV2. min_range <= max_range, finite. Status: QC_BAD_ARGUMENT where the scale or the
 * range that results is not finite, so that TensorFlow's results depend on the place of an element. */
static inline qc_status qc_tf_choose_quantize_range(qc_tf_mode mode, const qc_tf_type *type, float min_range,
                                                    float max_range, float ensure_minimum_range,
                                                    qc_tf_quantize_range *chosen) {
    chosen->offset = 0.0f;
    qc_tf_widen(qc_flush_input(min_range), qc_flush_input(max_range), qc_flush_input(ensure_minimum_range), chosen);
    switch (mode) {
    case QC_TF_MIN_COMBINED:
        qc_tf_choose_min_combined(type, chosen);
        break;
    case QC_TF_MIN_FIRST:
        qc_tf_choose_min_first(type, chosen);
        break;
    case QC_TF_SCALED_HALF_AWAY_FROM_ZERO:
    case QC_TF_SCALED_HALF_TO_EVEN:
        qc_tf_choose_scaled(type, chosen);
        break;
    case QC_TF_ONEDNN_SCALED:
        qc_tf_choose_onednn_scaled(type, chosen);
        break;
    case QC_TF_ONEDNN_MIN_FIRST:
    case QC_TF_ONEDNN_MIN_FIRST_SCALAR:
        qc_tf_choose_onednn_min_first(type, chosen);
        break;
    }
    const int scaled = mode == QC_TF_SCALED_HALF_AWAY_FROM_ZERO || mode == QC_TF_SCALED_HALF_TO_EVEN;
    const float width = scaled ? 0.0f : chosen->max_range - chosen->min_range;
    const int finite = isfinite(chosen->min_range) && isfinite(chosen->max_range) && isfinite(width) &&
                       isfinite(chosen->scale) && isfinite(chosen->offset);
    return finite ? QC_OK : QC_BAD_ARGUMENT;
}

static inline void qc_tf_terms_min_combined(const qc_tf_type *type, float low, float high,
                                            qc_tf_dequantize_terms *chosen) {
    const float steps = (float)type->highest - (float)type->lowest; /* qint32: 2^32 */
    chosen->shift = (float)-type->lowest;
    chosen->scale = qc_tf_divide(qc_tf_add(high, -low), steps);
    chosen->offset = low;
}

static inline void qc_tf_terms_min_first(const qc_tf_type *type, float low, float high,
                                         qc_tf_dequantize_terms *chosen) {
    const double scale = (double)qc_tf_add(high, -low) / (double)(type->highest - type->lowest);
    chosen->shift = 0.0f;
    chosen->scale = qc_flush_result((float)scale, scale);
    const float first = roundf(qc_tf_divide(low, chosen->scale));
    const float rounded = high == low ? low : qc_tf_multiply(first, chosen->scale);
    chosen->offset = qc_tf_add(rounded, -qc_tf_multiply((float)type->lowest, chosen->scale));
}

static inline void qc_tf_terms_scaled(const qc_tf_type *type, int onednn, float low, float high,
                                      qc_tf_dequantize_terms *chosen) {
    const float lowest = (float)(type->lowest + type->narrow_range);
    const float from_max = qc_tf_divide(high, (float)type->highest);
    const int unsigned_scale = onednn ? lowest == 0.0f : type->lowest == 0;
    chosen->shift = 0.0f;
    chosen->scale = unsigned_scale ? from_max : qc_tf_greater(qc_tf_divide(low, lowest), from_max);
    chosen->offset = -0.0f;
}

/* The constants of Dequantize. mode: one of MIN_COMBINED, MIN_FIRST, SCALED_HALF_TO_EVEN (for either way to
 * round) and ONEDNN_SCALED. Status: QC_BAD_ARGUMENT where a constant is not finite. */
static inline qc_status qc_tf_choose_dequantize_terms(qc_tf_mode mode, const qc_tf_type *type, float min_range,
                                                      float max_range, qc_tf_dequantize_terms *chosen) {
    const float low = qc_flush_input(min_range), high = qc_flush_input(max_range);
    if (mode == QC_TF_MIN_COMBINED)
        qc_tf_terms_min_combined(type, low, high, chosen);
    else if (mode == QC_TF_MIN_FIRST)
        qc_tf_terms_min_first(type, low, high, chosen);
    else
        qc_tf_terms_scaled(type, mode == QC_TF_ONEDNN_SCALED, low, high, chosen);
    return isfinite(chosen->scale) && isfinite(chosen->offset) ? QC_OK : QC_BAD_ARGUMENT;
}

#endif
