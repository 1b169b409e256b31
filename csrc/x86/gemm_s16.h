/* Products of int16 activations and int8 filters: what the vector versions of CONV_2D, DEPTHWISE_CONV_2D and
 * FULLY_CONNECTED in 16x8 share.
 *
 * A filter is laid out as in pack_filter.h; rows of activations are copied to a panel. A product is below 2^22, so that
 * sums in int32 of up to QC_EXACT_QUADS quads, of two products each in either half, are exact; longer ones are taken in
 * parts and added in int64. Zero points are 0, as TFLite has them; with others the definitions compute. */
#ifndef QUANTCORE_X86_GEMM_S16_H
#define QUANTCORE_X86_GEMM_S16_H

#include <stdint.h>

#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"

enum { QC_TILE_ROWS_S16 = 6, QC_EXACT_QUADS = 255, QC_EXACT_TAPS = 511 };

typedef struct {
    /* parts[row][unit][2]: the sums over even and odd pairs of a quad, for rows <= QC_TILE_ROWS_S16 and 16 units. stride:
     * int16 elements between rows. */
    void (*tile)(const int16_t *panel, int64_t stride, int32_t rows, const int8_t *filter, int64_t quads,
                 int32_t *parts);
} qc_gemm_s16_isa;

extern const qc_gemm_s16_isa qc_gemm_s16_avx2, qc_gemm_s16_vnni;

/* Outputs of one group: row r begins at output + r * row_size, and unit u is channel first_channel + u. bias: int32, or
 * with wide sums int64, of the group's first channel, or NULL. */
typedef struct {
    const qc_gemm_s16_isa *isa;
    int wide;
    const int8_t *packed;
    int32_t units;
    int64_t depth;
    const qc_requant *requant;
    const void *bias;
    int16_t *output;
    int64_t row_size;
    int32_t first_channel;
} qc_gemm_s16;

/* Multiply `rows` rows of a panel, whose distance is qc_round_up(depth, 4) elements, and store them. */
void qc_gemm_s16_run(const qc_gemm_s16 *g, const int16_t *panel, int32_t rows, int64_t first_row);

/* Store `count` outputs of channels from `channel` on, from sums with bias: of int32, which may have wrapped, or wide
 * ones. */
void qc_store_s16(const qc_requant *r, const int32_t *sums, int32_t channel, int32_t count, int16_t *output);
void qc_store_s16_wide(const qc_requant *r, const int64_t *sums, int32_t channel, int32_t count, int16_t *output);

#endif
