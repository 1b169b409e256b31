/* Products of a matrix of int8 weights with one vector, and a few steps of fixed-point arithmetic behind them: what
 * the vector versions of LSTM and SVDF share.
 *
 * Weights are laid out as in pack_filter.h, so that 16 units meet 4 elements of the vector at a time. With
 * bytes[d] = x[d] + offset - shift, where the shift depends on the instruction set,
 *
 *   sum (x + offset) * w = sum bytes * w + shift * sum w */
#ifndef QUANTCORE_X86_ROWS_H
#define QUANTCORE_X86_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "quantcore/pack_filter.h"

/* Bytes of a prepared vector of `count` elements. */
static inline int64_t qc_rows_vector_size(int64_t count) {
    return qc_round_up(2 * qc_round_up(count, QC_QUAD), 64);
}

typedef struct {
    int32_t shift; /* what prepared elements have too little, for an offset of 0 */

    /* Lay out a vector of `count` int8 elements, at `to`, of qc_rows_vector_size bytes. */
    void (*prepare)(const int8_t *x, int64_t count, void *to);

    /* acc[unit] = start[unit] + sum of products, wrapping, for `blocks` blocks of 16 units. quads: blocks of 4 of the
     * prepared vector. */
    void (*multiply)(const int8_t *packed, int64_t quads, int32_t blocks, const void *vector, const int32_t *start,
                     int32_t *acc);
} qc_rows_isa;

extern const qc_rows_isa qc_rows_avx2, qc_rows_vnni;

/* sums[unit] = the product of a row of `depth` float weights, laid out as in pack_filter.h, and x, for units rounded up
 * to 16. Products and sums are rounded in this order: by turns in as many lanes as the name says, which are then added;
 * what is left over comes one by one. */
typedef void qc_float_rows(const float *packed, int64_t depth, int64_t units, const float *x, float *sums);

/* in_8_lanes: lanes are added as in qc_eigen_sum8. in_4_lanes: from the first to the last. */
typedef struct {
    qc_float_rows *in_8_lanes;
    qc_float_rows *in_4_lanes;
} qc_float_rows_isa;

extern const qc_float_rows_isa qc_float_rows_avx2, qc_float_rows_avx512;

/* start[unit] = bias[unit] + (offset + isa->shift) * sum of the weights of the unit, for units rounded up to 16. bias:
 * [units], or NULL for 0. */
static inline void qc_rows_start(const qc_rows_isa *isa, const int8_t *packed, int64_t units, int64_t depth,
                                 int32_t offset, const int32_t *bias, int32_t *start) {
    const int64_t padded = qc_round_up(units, QC_LANES);
    const int32_t *sums = (const int32_t *)(const void *)(packed + padded * qc_round_up(depth, QC_QUAD));
    const uint32_t shift = (uint32_t)(offset + isa->shift);
    for (int64_t u = 0; u < padded; ++u) start[u] = (int32_t)(shift * (uint32_t)sums[u]);
    for (int64_t u = 0; bias != NULL && u < units; ++u) start[u] = (int32_t)((uint32_t)start[u] + (uint32_t)bias[u]);
}

#endif
