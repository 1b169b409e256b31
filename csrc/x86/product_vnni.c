/* Products with requantization on AVX-512 VNNI: vpdpbusd multiplies unsigned by signed bytes and adds four products to
 * an int32, without saturation. */
#include <string.h>

#include "product.h"
#include "requantize_avx512.h"

#define QC_INLINE QC_AVX512 __attribute__((always_inline))

/* Most rows of a tile, by its blocks of 16 units, and most accumulators. */
enum { MOST_ROWS = 12, MOST_BLOCKS = 4 };
static const int32_t most_rows[MOST_BLOCKS + 1] = {0, 12, 12, 8, 6};

/* Where a tile is in the product. */
typedef struct {
    const qc_product *p;
    const uint8_t *rows;
    int64_t stride;
    const int32_t *terms; /* of its rows, or NULL */
    int32_t block;        /* the first of 16 units */
    uint8_t *output;
    int64_t output_stride;
} place;

/* sums += the products of R rows and B blocks of 16 units, which are constants. */
QC_INLINE void multiply(const int R, const int B, const place *t, __m512i (*sums)[MOST_BLOCKS]) {
    const qc_product *p = t->p;
    const int64_t block_size = p->runs * p->quads * (QC_LANES * QC_QUAD);
    const int8_t *w = p->filter + t->block * block_size;
    const int64_t stride = t->stride;
    const int64_t *offset = p->offsets;
    const uint8_t *x = t->rows + *offset;
    int64_t in_run = p->quads;
    /* One loop, not one within another: the compiler keeps sums in registers through it. */
    for (int64_t quads = p->runs * p->quads; quads > 0; --quads) {
        __m512i filter[MOST_BLOCKS];
        QC_UNROLL
        for (int b = 0; b < B; ++b) filter[b] = _mm512_loadu_si512(w + b * block_size);
        QC_UNROLL
        for (int r = 0; r < R; ++r) {
            int32_t quad;
            memcpy(&quad, x + r * stride, sizeof quad);
            const __m512i four = _mm512_set1_epi32(quad);
            QC_UNROLL
            for (int b = 0; b < B; ++b) sums[r][b] = _mm512_dpbusd_epi32(sums[r][b], four, filter[b]);
        }
        x += QC_QUAD;
        w += QC_LANES * QC_QUAD;
        if (--in_run == 0) {
            in_run = p->quads;
            x = t->rows + *++offset;
        }
    }
}

QC_INLINE void store(uint8_t *output, __mmask64 exist, __m512i bytes) {
    _mm512_mask_storeu_epi8(output, exist, bytes);
}

/* Store outputs of R rows and B blocks from scaled sums. */
QC_INLINE void store_tile(const int R, const int B, const place *t, __m512i (*y)[MOST_BLOCKS]) {
    const qc_bytes_avx512 bytes = qc_make_bytes_avx512(t->p->requant);
    const int32_t left = t->p->units - t->block * QC_LANES;
    const __mmask64 exist = qc_first_bytes(left < B * QC_LANES ? left : B * QC_LANES);
    uint8_t *output = t->output;
    if (B >= 3) {
        QC_UNROLL
        for (int r = 0; r < R; ++r, output += t->output_stride)
            store(output, exist, qc_to_bytes_avx512(&bytes, y[r][0], y[r][1], y[r][2], y[r][B - 1]));
    } else if (B == 2) {
        QC_UNROLL
        for (int r = 0; r < R; r += 2, output += 2 * t->output_stride) {
            const int next = r + 1 < R ? r + 1 : r;
            const __m512i both = qc_to_bytes_avx512(&bytes, y[r][0], y[r][1], y[next][0], y[next][1]);
            store(output, exist, both);
            if (r + 1 < R)
                store(output + t->output_stride, exist,
                      _mm512_castsi256_si512(_mm512_extracti64x4_epi64(both, 1)));
        }
    } else {
        QC_UNROLL
        for (int r = 0; r < R; r += 4, output += 4 * t->output_stride) {
            const int last = R - 1;
            const __m512i four = qc_to_bytes_avx512(&bytes, y[r][0], y[r + 1 < R ? r + 1 : last][0],
                                                    y[r + 2 < R ? r + 2 : last][0],
                                                    y[r + 3 < R ? r + 3 : last][0]);
            store(output, exist, four);
            if (r + 1 < R)
                store(output + t->output_stride, exist,
                      _mm512_castsi128_si512(_mm512_extracti32x4_epi32(four, 1)));
            if (r + 2 < R)
                store(output + 2 * t->output_stride, exist,
                      _mm512_castsi128_si512(_mm512_extracti32x4_epi32(four, 2)));
            if (r + 3 < R)
                store(output + 3 * t->output_stride, exist,
                      _mm512_castsi128_si512(_mm512_extracti32x4_epi32(four, 3)));
        }
    }
}

/* Scaled sums by the form of the requantization, the rare ones last. */
QC_INLINE void scale(const int R, const int B, const place *t, __m512i (*sums)[MOST_BLOCKS]) {
    const qc_requant_block *block = t->p->blocks + t->block;
    switch (t->p->requant->form) {
        case QC_FORM_FLOOR:
            QC_UNROLL
            for (int b = 0; b < B; ++b)
                QC_UNROLL
                for (int r = 0; r < R; ++r)
                    sums[r][b] = qc_floor_avx512(QC_FORM_FLOOR, block + b, sums[r][b]);
            break;
        case QC_FORM_FLOOR_AWAY:
            QC_UNROLL
            for (int b = 0; b < B; ++b)
                QC_UNROLL
                for (int r = 0; r < R; ++r)
                    sums[r][b] = qc_floor_avx512(QC_FORM_FLOOR_AWAY, block + b, sums[r][b]);
            break;
        case QC_FORM_FLOAT32:
            QC_UNROLL
            for (int b = 0; b < B; ++b)
                QC_UNROLL
                for (int r = 0; r < R; ++r)
                    sums[r][b] = qc_prepared_avx512(QC_FORM_FLOAT32, block + b, sums[r][b]);
            break;
        default:
            QC_UNROLL
            for (int b = 0; b < B; ++b)
                QC_UNROLL
                for (int r = 0; r < R; ++r)
                    sums[r][b] = qc_prepared_avx512(QC_FORM_FLOAT64, block + b, sums[r][b]);
            break;
    }
}

QC_INLINE void tile(const int R, const int B, const place *t) {
    __m512i sums[MOST_ROWS][MOST_BLOCKS];
    const int32_t *start = t->p->start + t->block * QC_LANES;
    QC_UNROLL
    for (int r = 0; r < R; ++r)
        QC_UNROLL
        for (int b = 0; b < B; ++b) sums[r][b] = _mm512_loadu_si512(start + b * QC_LANES);
    multiply(R, B, t, sums);
    if (t->terms != NULL)
        QC_UNROLL
        for (int r = 0; r < R; ++r)
            QC_UNROLL
            for (int b = 0; b < B; ++b)
                sums[r][b] = _mm512_add_epi32(sums[r][b], _mm512_set1_epi32(t->terms[r]));
    scale(R, B, t, sums);
    store_tile(R, B, t, sums);
}

/* One row by 8 blocks: enough sums for the latency of vpdpbusd. */
__attribute__((target(QC_AVX512_TARGET))) static void wide_row(const place *t) {
    const qc_product *p = t->p;
    const int64_t block_size = p->runs * p->quads * (QC_LANES * QC_QUAD);
    const int8_t *w = p->filter + t->block * block_size;
    const int32_t *start = p->start + t->block * QC_LANES;
    const __m512i term = _mm512_set1_epi32(t->terms != NULL ? t->terms[0] : 0);
    __m512i sums[MOST_ROWS][MOST_BLOCKS];
    QC_UNROLL
    for (int b = 0; b < 8; ++b)
        sums[b / 4][b % 4] = _mm512_add_epi32(term, _mm512_loadu_si512(start + b * QC_LANES));
    const int64_t *offset = p->offsets;
    for (int64_t run = 0; run < p->runs; ++run) {
        const uint8_t *x = t->rows + offset[run];
        for (int64_t q = 0; q < p->quads; ++q, w += QC_LANES * QC_QUAD) {
            int32_t quad;
            memcpy(&quad, x + q * QC_QUAD, sizeof quad);
            const __m512i four = _mm512_set1_epi32(quad);
            QC_UNROLL
            for (int b = 0; b < 8; ++b)
                sums[b / 4][b % 4] =
                    _mm512_dpbusd_epi32(sums[b / 4][b % 4], four, _mm512_loadu_si512(w + b * block_size));
        }
    }
    place second = *t;
    second.block += 4;
    second.output += 4 * QC_LANES;
    scale(1, 4, t, sums);
    store_tile(1, 4, t, sums);
    scale(1, 4, &second, sums + 1);
    store_tile(1, 4, &second, sums + 1);
}

#define QC_TILE(R, B)                                                                         \
    __attribute__((target(QC_AVX512_TARGET))) static void tile_##R##_##B(const place *t) {    \
        tile(R, B, t);                                                                        \
    }
QC_TILE(1, 1) QC_TILE(2, 1) QC_TILE(4, 1) QC_TILE(6, 1) QC_TILE(8, 1) QC_TILE(12, 1)
QC_TILE(1, 2) QC_TILE(2, 2) QC_TILE(3, 2) QC_TILE(4, 2) QC_TILE(5, 2) QC_TILE(6, 2) QC_TILE(7, 2) QC_TILE(8, 2)
QC_TILE(10, 2) QC_TILE(12, 2)
QC_TILE(1, 3) QC_TILE(2, 3) QC_TILE(3, 3) QC_TILE(4, 3) QC_TILE(5, 3) QC_TILE(6, 3) QC_TILE(7, 3) QC_TILE(8, 3)
QC_TILE(1, 4) QC_TILE(2, 4) QC_TILE(3, 4) QC_TILE(4, 4) QC_TILE(5, 4) QC_TILE(6, 4)

/* The tile of so many blocks and rows; NULL where there is none, then a larger one is taken. */
static void (*const tiles[MOST_BLOCKS + 1][MOST_ROWS + 1])(const place *) = {
    {NULL},
    {NULL, tile_1_1, tile_2_1, NULL, tile_4_1, NULL, tile_6_1, NULL, tile_8_1, NULL, NULL, NULL, tile_12_1},
    {NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2, NULL, tile_10_2,
     NULL, tile_12_2},
    {NULL, tile_1_3, tile_2_3, tile_3_3, tile_4_3, tile_5_3, tile_6_3, tile_7_3, tile_8_3},
    {NULL, tile_1_4, tile_2_4, tile_3_4, tile_4_4, tile_5_4, tile_6_4},
};

/* All rows with the blocks [t->block, t->block + blocks). A tile that is larger than what is left begins earlier, and
 * computes some rows again; where there are not as many, it is a smaller one. */
static void multiply_rows(place t, int32_t blocks, int32_t count) {
    for (int32_t row = 0; row < count;) {
        const int32_t left = count - row;
        int32_t rows = qc_next_rows(left, most_rows[blocks]);
        while (tiles[blocks][rows] == NULL) ++rows;
        int32_t first = row + rows <= count ? row : count - rows;
        while (first < 0 || tiles[blocks][rows] == NULL) {
            --rows;
            first = row + rows <= count ? row : count - rows;
        }
        place here = t;
        here.rows += first * t.stride;
        here.output += first * t.output_stride;
        if (t.terms != NULL) here.terms += first;
        tiles[blocks][rows](&here);
        row = first + rows;
    }
}

static void multiply_all(const qc_product *p, const uint8_t *rows, int64_t stride, int32_t count,
                         const int32_t *terms, uint8_t *output, int64_t output_stride) {
    const int32_t blocks = (p->units + QC_LANES - 1) / QC_LANES;
    for (int32_t block = 0; block < blocks;) {
        const place t = {p, rows, stride, terms, block, output + block * QC_LANES, output_stride};
        if (count == 1 && blocks - block >= 8) {
            wide_row(&t);
            block += 8;
            continue;
        }
        const int32_t some = qc_next_rows(blocks - block, MOST_BLOCKS);
        multiply_rows(t, some, count);
        block += some;
    }
}

const qc_product_isa qc_product_vnni = {.is_signed = 0, .flips_start = 1, .rows = multiply_all};
