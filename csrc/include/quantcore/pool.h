/* MAX_POOL_2D and AVERAGE_POOL_2D. Layout: input [batches, input_height, input_width, channels], output
 * [batches, output_height, output_width, channels].
 *
 * The window of output (y, x) starts at input (y * stride_height - pad_top, x * stride_width - pad_left);
 * what lies outside the image takes no part, so that an average divides by the elements inside. */
#ifndef QUANTCORE_POOL_H
#define QUANTCORE_POOL_H

#include <stdint.h>

#include "quantcore/status.h"

/* All sizes and strides at least 1, except batches and channels, which may be 0. Every window has an element inside
 * the image; pad_top may be negative. */
typedef struct {
    int32_t batches;
    int32_t input_height;
    int32_t input_width;
    int32_t channels;
    int32_t output_height;
    int32_t output_width;
    int32_t filter_height;
    int32_t filter_width;
    int32_t stride_height;
    int32_t stride_width;
    int32_t pad_top;
    int32_t pad_left;
} qc_window;

/* The part of a window that lies inside the image: rows [top, bottom), columns [left, right). */
typedef struct {
    int32_t top, bottom, left, right;
} qc_window_part;

static inline qc_window_part qc_window_inside(const qc_window *w, int32_t y, int32_t x) {
    const int64_t top = (int64_t)y * w->stride_height - w->pad_top;
    const int64_t left = (int64_t)x * w->stride_width - w->pad_left;
    const int64_t bottom = top + w->filter_height, right = left + w->filter_width;
    const qc_window_part part = {
        (int32_t)(top < 0 ? 0 : top),
        (int32_t)(bottom > w->input_height ? w->input_height : bottom),
        (int32_t)(left < 0 ? 0 : left),
        (int32_t)(right > w->input_width ? w->input_width : right),
    };
    return part;
}

/* Integers are pooled as stored: input and output share scale and zero point. activation_min/max: bounds
 * in the type's range. At most 2^23 elements to a window of 8 bits, 2^15 to one of 16.
 * average: the sum divided by the count, to nearest, ties away from zero. Source: TFLite
 * kernels/internal/reference/integer_ops/pooling.h (signed), reference/pooling.h (uint8). */
typedef struct {
    qc_window window;
    int32_t activation_min;
    int32_t activation_max;
} qc_pool_params;

/* float32: sums run over rows, then columns of the window, in order. A maximum starts at the lowest finite
 * number and passes over NaN. */
typedef struct {
    qc_window window;
    float activation_min;
    float activation_max;
} qc_pool_f32_params;

/* Bytes of scratch that an average takes; a maximum takes none. */
static inline int64_t qc_average_pool_scratch_size(const qc_window *w) {
    return (int64_t)w->channels * 4;
}

#define QC_DECLARE_POOL(name, P, T) qc_status qc_##name(const P *params, const T *input, T *output, void *scratch);
QC_DECLARE_POOL(max_pool_s8_ref, qc_pool_params, int8_t)
QC_DECLARE_POOL(max_pool_u8_ref, qc_pool_params, uint8_t)
QC_DECLARE_POOL(max_pool_s16_ref, qc_pool_params, int16_t)
QC_DECLARE_POOL(max_pool_f32_ref, qc_pool_f32_params, float)
QC_DECLARE_POOL(average_pool_s8_ref, qc_pool_params, int8_t)
QC_DECLARE_POOL(average_pool_u8_ref, qc_pool_params, uint8_t)
QC_DECLARE_POOL(average_pool_s16_ref, qc_pool_params, int16_t)
QC_DECLARE_POOL(average_pool_f32_ref, qc_pool_f32_params, float)

#endif
