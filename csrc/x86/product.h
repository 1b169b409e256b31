/* Products of 8-bit matrices whose outputs are requantized in registers: CONV_2D and FULLY_CONNECTED with constant
 * filters and a prepared requantization (qc_prepare_requant).
 *
 * A row of the left matrix is made of runs of bytes: the row itself, or the rows of a window in an image that has its
 * padding around it. Flips and offsets are those of gemm.h. */
#ifndef QUANTCORE_X86_PRODUCT_H
#define QUANTCORE_X86_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

#include "quantcore/pack_filter.h"
#include "quantcore/requantize.h"

/* Before loops over the sums of a tile: unrolled this early, the compiler keeps them in registers from the product
 * to the store. */
#define QC_UNROLL _Pragma("GCC unroll 16")

/* The right matrix, and what becomes of the sums.
 *
 * filter: as in pack_filter.h, of depth runs * 4 * quads; start: [units rounded up to 16] sums to begin with.
 * offsets: [runs + 1] bytes from the start of a row to its runs of 4 * quads bytes each; the last is not used, but
 * read. blocks: those of the first unit. */
typedef struct {
    const int8_t *filter;
    const int32_t *start;
    const int64_t *offsets;
    int64_t runs;
    int64_t quads;
    int32_t units;
    const qc_requant *requant;
    const qc_requant_block *blocks;
} qc_product;

/* The left matrix: how its elements become bytes of rows. shift, filter_shift: as in gemm.h. depth: the elements of a
 * row, without those that fill up runs. */
typedef struct {
    uint8_t flip; /* 0 or 0x80 */
    int32_t shift;
    int32_t filter_shift;
    int64_t depth;
} qc_product_input;

typedef struct {
    uint8_t is_signed;   /* whether rows hold int8 (else uint8) */
    uint8_t flips_start; /* whether start values of the floor forms are given as start ^ 2^31 */

    /* Multiply `count` rows, `stride` bytes apart, and store the outputs of all units, `output_stride` bytes apart.
     * terms: [count] to be added to the sums of each row, or NULL. */
    void (*rows)(const qc_product *p, const uint8_t *rows, int64_t stride, int32_t count, const int32_t *terms,
                 uint8_t *output, int64_t output_stride);

    /* Multiply a single row as it is, neither flipped nor filled up, by all units: see qc_product_row_vnni. NULL where
     * there is nothing better than `rows`. */
    void (*one_row)(const qc_product_input *x, const int8_t *filter, int32_t units, const int32_t *bias,
                    const qc_requant *requant, const uint8_t *input, uint8_t *output);

    /* terms[r] = factor * the sum of row r, wrapping. run: bytes of a run, without those that fill it up. */
    void (*terms)(const qc_product *p, int64_t run, const uint8_t *rows, int64_t stride, int32_t count, int32_t factor,
                  int32_t *terms);
} qc_product_isa;

extern const qc_product_isa qc_product_avx2;
extern const qc_product_isa qc_product_vnni;
extern const qc_product_isa qc_product_amx; /* needs qc_tiles_work */

/* Whether start is given as start ^ 2^31. */
static inline int qc_has_flipped_start(const qc_product_isa *isa, const qc_requant *r) {
    return isa->flips_start && qc_is_floor(r->form);
}

/* The rows of the next tile, where `left` are left and a tile has at most `most`: the last two differ by one row at most.
 * A division takes as long as a tenth of a tile, so there is none before them. */
static inline int32_t qc_next_rows(int32_t left, int32_t most) {
    if (left >= 2 * most) return most;
    const int32_t tiles = (left + most - 1) / most;
    return (left + tiles - 1) / tiles;
}

static inline qc_product_input qc_make_product_input(const qc_product_isa *isa, int is_signed, int32_t input_offset,
                                                     int32_t filter_offset, int64_t depth) {
    qc_product_input x = {0, input_offset, filter_offset + (is_signed ? 0 : 128), depth};
    if (isa->is_signed != is_signed) {
        x.flip = 0x80;
        x.shift += is_signed ? -128 : 128;
    }
    return x;
}

/* Copy `count` bytes, flipped. */
void qc_product_copy(uint8_t *to, const uint8_t *from, int64_t count, uint8_t flip);

/* Fill start, [units rounded up to 16], from bias (or NULL) and the sums behind a group of the filter. */
void qc_product_start(const qc_product_input *x, const int8_t *filter, int64_t padded_depth, int32_t units, int flipped,
                      const int32_t *bias, int32_t *start);

/* qc_product_isa.terms of rows of int8, and, with AVX-512, of uint8. */
void qc_signed_terms(const qc_product *p, int64_t run, const uint8_t *rows, int64_t stride, int32_t count,
                     int32_t factor, int32_t *terms);
void qc_unsigned_terms(const qc_product *p, int64_t run, const uint8_t *rows, int64_t stride, int32_t count,
                       int32_t factor, int32_t *terms);

/* What the zero point of the filter adds to each row: fills terms, [count], or returns NULL where it adds nothing. */
static inline const int32_t *qc_product_terms(const qc_product_isa *isa, const qc_product_input *x,
                                              const qc_product *p, int64_t run, const uint8_t *rows, int64_t stride,
                                              int32_t count, int32_t *terms) {
    if (x->filter_shift == 0) return NULL;
    isa->terms(p, run, rows, stride, count, x->filter_shift, terms);
    return terms;
}

/* The sum of `count` bytes, each flipped. */
int64_t qc_flipped_sum(const uint8_t *bytes, int64_t count, uint8_t flip);

/* The outputs of one row: input, [x->depth], by a filter as in pack_filter.h, with a prepared requantization. bias may be
 * NULL. */
void qc_product_row_vnni(const qc_product_input *x, const int8_t *filter, int32_t units, const int32_t *bias,
                         const qc_requant *requant, const uint8_t *input, uint8_t *output);

/* Multiply `count` rows of one run, which lie one after the other. scratch: qc_product_scratch_size(depth) bytes. */
void qc_product_matrix(const qc_product_isa *isa, const qc_product_input *x, const qc_product *p, const uint8_t *input,
                       int64_t count, uint8_t *scratch, uint8_t *output, int64_t output_stride);

#endif
