/* Where rows and columns of a resized image lie in the input: shared by the definition and the vector versions. */
#ifndef QUANTCORE_RESIZE_RULES_H
#define QUANTCORE_RESIZE_RULES_H

#include <math.h>

#include "quantcore/resize.h"

static inline int32_t qc_at_most(int64_t x, int32_t high) {
    return x > high ? high : (int32_t)x;
}

/* Input rows per output row. */
static inline float qc_resize_scale(int32_t input, int32_t output, int32_t align_corners) {
    return align_corners && output > 1 ? (float)(input - 1) / (float)(output - 1) : (float)input / (float)output;
}

/* Between input rows (or columns) `low` and `high`, at `weight` from the first; `fixed` is the weight with 10
 * or 11 fraction bits. */
typedef struct {
    int32_t low, high;
    float weight;
    int64_t fixed;
} qc_resize_place;

static inline qc_resize_place qc_place_fixed10(int32_t i, int32_t input, int32_t output, const qc_resize_shape *s) {
    const int32_t corner = s->align_corners && output > 1;
    const int64_t steps = output - corner;
    const int64_t scale = (((int64_t)(input - corner) << 10) + steps / 2) / steps;
    const int64_t position = i * scale + (s->half_pixel_centers ? scale / 2 - 512 : 0);
    const int64_t low = position / 1024; /* toward zero: a position above -1 is at row 0 */
    qc_resize_place at;
    /* TFLite does not bound `low`, and reads past the image where the rounded scale adds up to a row */
    at.low = qc_at_most(low, input - 1);
    at.high = qc_at_most((position + 1023) / 1024, input - 1);
    at.weight = 0.0f;
    at.fixed = position - 1024 * (int64_t)at.low;
    return at;
}

/* As TFLite's float kernels. */
static inline qc_resize_place qc_place_float(int32_t i, int32_t input, int32_t output, const qc_resize_shape *s) {
    const float scale = qc_resize_scale(input, output, s->align_corners);
    const float position = s->half_pixel_centers ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
    const float low = floorf(position);
    qc_resize_place at;
    at.low = low < 0.0f ? 0 : qc_at_most((int64_t)low, input - 1);
    at.high = qc_at_most((int64_t)ceilf(position), input - 1);
    at.weight = position - (float)at.low;
    at.fixed = 0;
    return at;
}

/* As XNNPACK: the position is clamped to the input, and half_pixel_centers is one multiplication less. */
static inline qc_resize_place qc_place_clamped(int32_t i, int32_t input, int32_t output, const qc_resize_shape *s) {
    const float scale = qc_resize_scale(input, output, s->align_corners);
    float position = (float)i * scale;
    if (s->half_pixel_centers) position += 0.5f * scale - 0.5f;
    position = position < 0.0f ? 0.0f : position;
    position = position > (float)(input - 1) ? (float)(input - 1) : position;
    qc_resize_place at;
    at.low = (int32_t)position;
    at.high = qc_at_most((int64_t)at.low + 1, input - 1);
    at.weight = position - (float)at.low;
    at.fixed = (int64_t)nearbyintf(at.weight * 2048.0f);
    return at;
}

static inline qc_resize_place qc_resize_place_of(int32_t i, int32_t input, int32_t output,
                                                 const qc_resize_bilinear_params *p) {
    switch (p->form) {
        case QC_BILINEAR_FIXED10: return qc_place_fixed10(i, input, output, &p->shape);
        case QC_BILINEAR_TERMS:
        case QC_BILINEAR_WEIGHTS:
        case QC_BILINEAR_MEAN: return qc_place_float(i, input, output, &p->shape);
        default: return qc_place_clamped(i, input, output, &p->shape);
    }
}

#endif
