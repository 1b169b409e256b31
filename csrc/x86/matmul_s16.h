/* Products of int16 matrices with exact int64 sums.
 *
 * vpmaddwd adds two products in int32: they are in [-K, 2^31], K = 2 * 32768 * 32767. With K added, that is a uint32,
 * which is widened by a mask or a shift; K times the number of pairs comes off at the end. */
#ifndef QUANTCORE_X86_MATMUL_S16_H
#define QUANTCORE_X86_MATMUL_S16_H

#include "quantcore/batch_matmul.h"
#include "quantcore/pack_filter.h"

enum { QC_MATMUL_ROWS_S16 = 4, QC_PAIR_LIMIT = 0x7FFF0000 };

/* sums[row][unit] of up to QC_MATMUL_ROWS_S16 rows and 16 units. packed: [pair][unit][2]; where the depth is odd, the
 * last pair has one element and a 0. */
typedef void qc_tile_s16(const int16_t *rows, int64_t depth, int32_t count, const int16_t *packed, int64_t *sums);

qc_tile_s16 qc_tile_s16_avx2, qc_tile_s16_avx512;

/* Outputs of one product: left is [rows][depth], the right matrix laid out (pack_matrix.h). */
void qc_multiply_s16(qc_tile_s16 *tile, const qc_matmul_shape *s, const qc_requant *r, const int16_t *left,
                     const int16_t *packed, int16_t *output);

/* A pair of a row; the last one may have a single element. */
static inline int32_t qc_row_pair(const int16_t *row, int64_t d, int64_t depth) {
    const uint32_t second = d + 1 < depth ? (uint16_t)row[d + 1] : 0;
    return (int32_t)((uint16_t)row[d] | second << 16);
}

#endif
