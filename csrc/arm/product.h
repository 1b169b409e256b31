/* Products of 8-bit matrices with exact int32 sums, which wrap: what differs between NEON with and without dot
 * product instructions.
 *
 * A tile is 4 rows of activations by a block of 16 units of a filter that is laid out as in pack_filter.h. The rows
 * are read where they lie: a row is a list of runs of whole quads, each with its own address. uint8 activations
 * become int8 by flipping their top bit (x ^ 0x80, which subtracts 128), so that offsets account for it:
 *
 *   sum (x + input_offset) * (w + filter_offset)
 *     = sum p * f  +  input_shift * sum f  +  filter_shift * (sum p + depth * input_shift)
 *
 * where p = x + input_offset - input_shift and f = w + filter_offset - filter_shift are the int8 numbers. */
#ifndef QUANTCORE_ARM_PRODUCT_H
#define QUANTCORE_ARM_PRODUCT_H

#include <arm_neon.h>
#include <stdint.h>

#include "dotprod.h"
#include "quantcore/pack_filter.h"

enum { QC_TILE_ROWS = 4 };

/* The runs of a tile: run k of row r is 4 * quads bytes at places[k * QC_TILE_ROWS + r]. */
typedef struct {
    const uint8_t **places;
    int64_t runs;
    int64_t quads;
    uint8_t flip; /* 0, or 0x80 for uint8 */
} qc_tile_runs;

/* acc[row * 16 + unit] += sum p * f. rows: 1, or QC_TILE_ROWS. filter: the 16 units' first quad. */
typedef void qc_tile_product(const qc_tile_runs *t, int32_t rows, const int8_t *filter, int32_t *acc);
qc_tile_product qc_tile_product_neon;
#ifdef QC_DOTPROD
qc_tile_product qc_tile_product_dotprod;
#endif

/* 4 bytes in every lane. */
static inline int8x16_t qc_load_quad(const uint8_t *bytes) {
    return vreinterpretq_s8_u32(vld1q_dup_u32((const uint32_t *)(const void *)bytes));
}

#endif
