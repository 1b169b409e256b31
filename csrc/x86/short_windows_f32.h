/* Float convolutions whose windows have few elements, as the first of a network on grey images: what a window costs
 * besides its products is most of it. All elements are one list of offsets, and several windows of a row share what is
 * read of the filter. */
#ifndef QUANTCORE_X86_SHORT_WINDOWS_F32_H
#define QUANTCORE_X86_SHORT_WINDOWS_F32_H

#include <stdint.h>

#include "gemm_f32.h"

enum { QC_SHORT_WINDOW = 64 }; /* most elements of a window */

/* A row of outputs of `columns` windows, the first of which begins at x. Sums begin at 0 and add a rounded product at a
 * time, in order. */
typedef struct qc_short_windows qc_short_windows;
typedef void qc_short_windows_row(const qc_short_windows *w, const float *x, const qc_float_output *out);

/* filter: as in pack_filter.h. offsets: from the first element of a window to each, [count]. step: from a window to the
 * next. The rest is filled in by qc_prepare_short_windows_avx512. */
struct qc_short_windows {
    const float *filter;
    const int64_t *offsets;
    int32_t count;
    int32_t units;
    int32_t columns;
    int64_t step;
    qc_short_windows_row *row;
    _Alignas(64) float pairs[QC_SHORT_WINDOW * QC_LANES]; /* the filter where two windows share a vector */
};

void qc_prepare_short_windows_avx512(qc_short_windows *w);

/* Copy `rows` rows of `count` elements, from_step apart: to[row][before + i] = from[row][i]; the other elements of to,
 * [rows][size], are 0. */
void qc_copy_rows_avx512(float *to, const float *from, int64_t from_step, int64_t rows, int64_t before, int64_t count,
                         int64_t size);

#endif
