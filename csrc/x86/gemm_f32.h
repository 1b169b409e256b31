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

enum { QC_FLOAT_TILE_ROWS = 6, QC_MOST_TILE_ROWS = 12, QC_DEPTHWISE_COLUMNS = 8 };

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

/* Elements that are not zero. offsets: from the filter elements that a run begins with to those that an element meets.
 * Both have room for 16 more. */
typedef struct {
    int32_t *offsets;
    float *values;
} qc_float_list;

/* A part of such a list, and the filter elements it begins with. */
typedef struct {
    const int32_t *offsets;
    const float *values;
    int64_t count;
    const float *filter;
} qc_float_run;

_Static_assert(sizeof(qc_float_run) <= QC_PLACE_SIZE, "scratch sizes count on QC_PLACE_SIZE");

/* Whether `n` elements of `count` that are not zero are few enough for a list: with one row the filter is read anyway;
 * with several, a product takes longer than one of a tile, the more so where the filter does not stay in the level 1
 * cache. */
static inline int qc_is_worth_a_list(int64_t n, int64_t count, int64_t rows, int32_t units) {
    return 100 * n < count * (rows == 1 ? 75 : units <= 32 ? 55 : 45);
}

/* How many of `count` elements are not zero. */
int64_t qc_count_elements_avx512(const float *x, int64_t count);

/* Append the elements of `columns` columns of `channels` elements, of which each begins `step` offsets after the last;
 * returns how many there are then. starts: [columns + 1], where in the list each column begins and the last ends. */
int64_t qc_list_row_avx512(const float *x, int64_t columns, int64_t channels, int32_t step, int64_t n,
                           const qc_float_list *to, int32_t *starts);

/* Outputs of `rows` rows and all units, of per_row runs each. */
void qc_float_runs_avx512(const qc_float_run *runs, int64_t per_row, int64_t rows, int64_t block_size, int32_t units,
                          const qc_float_output *out);

/* A convolution of 3 x 3 places next to each other, from the elements of a band that are not zero. starts: [rows of the
 * band][output_width + 3], where in the list each column begins and the last ends; its offsets are those of channels alone.
 * filter: as qc_float_columns_filter arranges it. sums: memory of qc_float_columns_sums bytes. */
typedef struct {
    int64_t channels;
    qc_float_list list;
    const int32_t *starts;
    const float *filter, *bias;
    float *sums;
    int32_t output_width, units;
    float low, high;
} qc_float_columns;

/* `rows` rows of outputs. */
void qc_float_columns_avx512(const qc_float_columns *c, int64_t rows, float *output);

/* packed: as qc_pack_filter_f32 lays it out. */
void qc_float_columns_filter(const float *packed, int64_t channels, int32_t units, float *to);

typedef struct {
    int32_t units; /* of one tile: a multiple of 16 */
    int32_t fused; /* whether products are added without being rounded */
    int32_t lists; /* whether there are versions that leave out zeros */

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

/* The same for rows that lie one after the other, of one place. Where enough elements are zero, their products are left
 * out: the filter must be finite, and zeros be neutral. memory: qc_float_lists_size(g->depth). */
void qc_float_rows_run(const qc_float_gemm *g, const float *input, const float *filter, int64_t rows, uint8_t *memory,
                       float *output, int64_t row_size);

/* Whether sums keep their bits when products of zeros and finite numbers are added or left out. A sum starts at 0, and is
 * never -0 where it is rounded to nearest and subnormals are kept, since products are rounded before they are added:
 * x - x is 0, and 0 + -0 is 0. */
int qc_zeros_are_neutral(void);

/* The filter laid out: `packed` if it is not NULL, else made now in scratch memory. */
const float *qc_packed_filter_f32(const void *packed, const qc_pack_filter_params *p, const float *filter,
                                  uint8_t **scratch);

#endif
