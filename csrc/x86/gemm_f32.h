/* Products of float matrices: what the vector versions of the float CONV_2D and FULLY_CONNECTED share.
 *
 * Lanes are output channels, so that each sum keeps its order: one product at a time is rounded and
 * added. A window is a list of places, each a run of input elements and the filter elements they meet;
 * places outside the input are not in the list. */
#ifndef QUANTCORE_X86_GEMM_F32_H
#define QUANTCORE_X86_GEMM_F32_H

#include <stdint.h>

#include "quantcore/pack_filter.h"

/* input and filter: of the first row and the first block of 16 units, see qc_pack_filter_f32. */
typedef struct {
    const float *input;
    const float *filter;
    int64_t depth;
} qc_place;

_Static_assert(sizeof(qc_place) <= QC_PLACE_SIZE, "scratch sizes count on QC_PLACE_SIZE");

enum { QC_FLOAT_TILE_ROWS = 6, QC_DEPTHWISE_COLUMNS = 4 };

/* What becomes of sums: clamp(sum + bias) in rows that are row_size elements apart. bias may be NULL. */
typedef struct {
    const float *bias;
    float low;
    float high;
    float *output;
    int64_t row_size;
} qc_float_output;

/* A window of a depthwise convolution: rows and columns of places inside the input, with the elements from one to the
 * next in input and filter. */
typedef struct {
    const float *input;
    const float *filter;
    int32_t rows, columns;
    int64_t row_step, column_step, filter_row_step, filter_step;
} qc_float_window;

typedef struct {
    int32_t units; /* of one tile: a multiple of 16 */
    int32_t fused; /* whether products are added without being rounded */

    /* Outputs of `number` rows and `some_units` units, at most `units`. The input of row r is `offset + r * row_step`
     * elements after that of the place. block_size: elements of the filter between blocks of 16 units. */
    void (*rows)(const qc_place *places, int64_t count, int64_t offset, int64_t row_step, int64_t number,
                 int64_t filter_offset, int64_t block_size, int32_t some_units, const qc_float_output *out);

    /* Outputs [column][c] of the sums over a window of input[c] * filter[c] for all channels. The input of a column is
     * `step` elements after that of the column before. */
    void (*depthwise)(const qc_float_window *window, int64_t step, int32_t columns, int32_t channels,
                      const qc_float_output *out);
} qc_float_isa;

/* `fused`: products are added without being rounded. */
extern const qc_float_isa qc_float_avx2, qc_float_avx512, qc_float_fused_avx2, qc_float_fused_avx512;

/* One group of output channels: sums of the rows that start at `places`, plus bias (may be NULL), clamped. */
typedef struct {
    const qc_float_isa *isa;
    int32_t units;
    int64_t depth;
    const float *bias;
    float low;
    float high;
} qc_float_gemm;

/* Compute `rows` rows of outputs, `row_size` elements apart; input rows are `row_step` elements apart, the first is
 * `start` elements after the place. */
void qc_float_gemm_run(const qc_float_gemm *g, const qc_place *places, int64_t count, int64_t start, int64_t row_step,
                       int64_t rows, float *output, int64_t row_size);

/* The filter laid out: `packed` if it is not NULL, else made now in scratch memory. */
const float *qc_packed_filter_f32(const void *packed, const qc_pack_filter_params *p, const float *filter,
                                  uint8_t **scratch);

#endif
