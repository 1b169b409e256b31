/* Broadcast operands as few long rows, for operators of three inputs, or whose output has another type. */
#ifndef QUANTCORE_X86_COLLAPSED_ROWS_H
#define QUANTCORE_X86_COLLAPSED_ROWS_H

#include <stdint.h>

#include "quantcore/elementwise.h"

enum { QC_MOST_INPUTS = 3 };

/* strides: of up to three inputs, in elements; those that do not exist are 0. */
typedef struct {
    int32_t rank;
    int64_t shape[QC_BROADCAST_RANK];
    int64_t strides[QC_MOST_INPUTS][QC_BROADCAST_RANK];
} qc_rows;

/* One row: `count` outputs; element i of input k is inputs[k] + i * strides[k] elements. */
typedef void qc_row(const void *context, const uint8_t *const *inputs, const int64_t *strides, uint8_t *output,
                    int64_t count);

/* Append an inner dimension; one that follows the last as a longer one would becomes part of it. */
static inline void qc_append_dimension(qc_rows *r, int64_t count, const int64_t *strides) {
    int64_t *last = r->shape + (r->rank > 0 ? r->rank - 1 : 0);
    int joins = r->rank > 0;
    for (int k = 0; k < QC_MOST_INPUTS && joins; ++k) joins = r->strides[k][r->rank - 1] == strides[k] * count;
    if (joins)
        *last *= count;
    else
        r->shape[r->rank++] = count;
    for (int k = 0; k < QC_MOST_INPUTS; ++k) r->strides[k][r->rank - 1] = strides[k];
}

/* Dimensions of 1 are left out; there is at least one. */
static inline qc_rows qc_collapse_rows(int32_t rank, const int32_t *shape, const int64_t *stride1,
                                       const int64_t *stride2, const int64_t *stride3) {
    qc_rows r = {0};
    for (int32_t d = 0; d < rank; ++d) {
        const int64_t strides[] = {stride1[d], stride2[d], stride3 ? stride3[d] : 0};
        if (shape[d] != 1 || (d == rank - 1 && r.rank == 0)) qc_append_dimension(&r, shape[d], strides);
    }
    return r;
}

/* Call `row` for every row, in order. items: bytes of an element of each input. */
static inline void qc_walk_rows(const qc_rows *r, const void *context, const uint8_t *const *inputs,
                                const int64_t *items, uint8_t *output, int64_t output_item, qc_row *row) {
    const int32_t last = r->rank - 1;
    const uint8_t *at[QC_MOST_INPUTS];
    int64_t strides[QC_MOST_INPUTS], index[QC_BROADCAST_RANK] = {0};
    for (int k = 0; k < QC_MOST_INPUTS; ++k) {
        at[k] = inputs[k];
        strides[k] = r->strides[k][last];
    }
    for (int32_t d = 0; d < r->rank; ++d)
        if (r->shape[d] == 0) return;
    for (;; output += r->shape[last] * output_item) {
        row(context, at, strides, output, r->shape[last]);
        int32_t d = last - 1;
        for (; d >= 0 && ++index[d] == r->shape[d]; --d) {
            index[d] = 0;
            for (int k = 0; k < QC_MOST_INPUTS; ++k) at[k] -= (r->shape[d] - 1) * r->strides[k][d] * items[k];
        }
        if (d < 0) return;
        for (int k = 0; k < QC_MOST_INPUTS; ++k) at[k] += r->strides[k][d] * items[k];
    }
}

#endif
