/* TRANSPOSE_CONV as convolutions of stride 1, for the vector versions: with strides (sy, sx), the outputs (row + i * sy,
 * column + j * sx) see the same elements of the filter, so they are a convolution with these. A step makes some of their
 * rows in one image. */
#ifndef QUANTCORE_TRANSPOSED_STEPS_H
#define QUANTCORE_TRANSPOSED_STEPS_H

#include "quantcore/plan.h"

/* invoke, params, filter: a CONV_2D kernel on one image, with outputs [rows][columns][channels]. Its padding is negative
 * where the first window begins inside the input.
 * row, column: of the first output. */
typedef struct {
    qc_invoke invoke;
    const void *params;
    const void *filter;
    int32_t row, column;
    int32_t rows, columns;
} qc_transposed_step;

/* output_size: bytes for the outputs of a step, which come first in scratch memory, a multiple of 64. */
typedef struct {
    const qc_transposed_step *steps;
    int32_t count;
    int64_t output_size;
} qc_transposed_steps;

#endif
