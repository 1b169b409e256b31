/* RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR of [batch, height, width, channel].
 *
 * Output row i lies at a real row of the input; with in and out rows
 *
 *   scale = in / out,  or (in - 1) / (out - 1) where align_corners is set and out > 1
 *   position = i * scale,  or (i + 0.5) * scale - 0.5 where half_pixel_centers is set
 *
 * and so for columns. The forms differ in the arithmetic of the position and of the interpolation. */
#ifndef QUANTCORE_RESIZE_H
#define QUANTCORE_RESIZE_H

#include <stdint.h>

#include "quantcore/status.h"

/* Sizes are at least 1 (batches and channels at least 0). */
typedef struct {
    int32_t batches, channels;
    int32_t input_height, input_width;
    int32_t output_height, output_width;
    int32_t align_corners, half_pixel_centers;
} qc_resize_shape;

/* Nearest: index = floor((i + 0.5 half_pixel) * scale) in float32, rounded half away from zero instead of
 * down with align_corners, clamped to the input. Elements are copied: element_bytes each.
 * Source: TFLite kernels/internal/reference/resize_nearest_neighbor.h. */
typedef struct {
    qc_resize_shape shape;
    int32_t element_bytes;
} qc_resize_nearest_params;

/* tensors: input, size (not read), output. scratch: none. */
qc_status qc_resize_nearest_ref(const qc_resize_nearest_params *, void *const *tensors, void *scratch);

/* QC_BILINEAR_FIXED10: positions and weights are integers with 10 fraction bits; the sum is rounded half away
 *   from zero. Source: TFLite kernels/internal/reference/resize_bilinear.h, ResizeBilinearInteger.
 * QC_BILINEAR_TERMS: float32; every term is ((value * row weight) * column weight), added in the order top left,
 *   bottom left, top right, bottom right. Integers add 0.5 and truncate. Source: there, ResizeBilinear.
 * QC_BILINEAR_WEIGHTS: float32; the two weights are multiplied first; order top left, top right, bottom left,
 *   bottom right. Source: TFLite kernels/internal/optimized/resize_bilinear.h.
 * QC_BILINEAR_FIXED11: positions in float32, weights rounded half to even to 11 fraction bits, rows after columns.
 *   Source: XNNPACK src/s8-ibilinear, src/indirection.c.
 * QC_BILINEAR_LERP: float32; a + (b - a) * weight along rows, then between them. Source: XNNPACK f32-ibilinear.
 * QC_BILINEAR_MEAN: float32, output twice as high and as wide as the input, neither option set: neighbours are
 *   averaged, columns before rows. Source: TFLite kernels/internal/optimized/resize_bilinear.h.
 * s8 and u8 have the first four forms, s16 has FIXED10, f32 has TERMS, WEIGHTS, LERP and MEAN. */
typedef enum {
    QC_BILINEAR_FIXED10 = 0,
    QC_BILINEAR_TERMS = 1,
    QC_BILINEAR_WEIGHTS = 2,
    QC_BILINEAR_FIXED11 = 3,
    QC_BILINEAR_LERP = 4,
    QC_BILINEAR_MEAN = 5,
} qc_bilinear_form;

typedef struct {
    qc_resize_shape shape;
    qc_bilinear_form form;
} qc_resize_bilinear_params;

/* Where an output column lies, in elements of an input row, for the vector versions. */
typedef struct {
    int32_t low, high;
    float weight, rest; /* rest: 1 - weight */
    int32_t fixed;
} qc_resize_column;

/* Vectors may reach so many elements past a row of scratch memory. */
enum { QC_RESIZE_BEYOND = 16 };

/* Bytes of scratch memory for 8 bits: the columns, and two rows of the input. */
static inline int64_t qc_resize_bilinear_scratch(const qc_resize_shape *s) {
    const int64_t row = (int64_t)s->input_width * s->channels + QC_RESIZE_BEYOND;
    return s->output_width * (int64_t)sizeof(qc_resize_column) + 2 * row * (int64_t)sizeof(float);
}

/* tensors: input, size (not read), output. scratch: qc_resize_bilinear_scratch for s8 and u8, else none. */
qc_status qc_resize_bilinear_s8_ref(const qc_resize_bilinear_params *, void *const *tensors, void *scratch);
qc_status qc_resize_bilinear_u8_ref(const qc_resize_bilinear_params *, void *const *tensors, void *scratch);
qc_status qc_resize_bilinear_s16_ref(const qc_resize_bilinear_params *, void *const *tensors, void *scratch);
qc_status qc_resize_bilinear_f32_ref(const qc_resize_bilinear_params *, void *const *tensors, void *scratch);

#endif
