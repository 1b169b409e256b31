/* Products with requantization on AVX-512 VNNI: vpdpbusd multiplies unsigned by signed bytes and adds four products to
 * an int32, without saturation. */
#include <string.h>

#include "product_avx512.h"

/* Most rows of a tile, by its blocks of 16 units, and most accumulators. */
enum { MOST_ROWS = 12 };
static const int32_t most_rows[QC_PRODUCT_BLOCKS + 1] = {0, 12, 12, 8, 6};

/* sums += the products of R rows and B blocks of 16 units, which are constants. */
QC_INLINE void multiply(const int R, const int B, const qc_tile_place *t, __m512i (*sums)[QC_PRODUCT_BLOCKS]) {
    const qc_product *p = t->p;
    const int64_t block_size = p->runs * p->quads * (QC_LANES * QC_QUAD);
    const int8_t *w = p->filter + t->block * block_size;
    const int64_t stride = t->stride;
    const int64_t *offset = p->offsets;
    const uint8_t *x = t->rows + *offset;
    int64_t in_run = p->quads;
    /* One loop, not one within another: the compiler keeps sums in registers through it. */
    for (int64_t quads = p->runs * p->quads; quads > 0; --quads) {
        __m512i filter[QC_PRODUCT_BLOCKS];
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

QC_INLINE void tile(const int R, const int B, const qc_tile_place *t) {
    __m512i sums[MOST_ROWS][QC_PRODUCT_BLOCKS];
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
    qc_scale_tile(R, B, t, sums);
    qc_store_tile(R, B, t, sums);
}

/* One row by 8 blocks: enough sums for the latency of vpdpbusd. */
__attribute__((target(QC_AVX512_TARGET))) static void wide_row(const qc_tile_place *t) {
    const qc_product *p = t->p;
    const int64_t block_size = p->runs * p->quads * (QC_LANES * QC_QUAD);
    const int8_t *w = p->filter + t->block * block_size;
    const int32_t *start = p->start + t->block * QC_LANES;
    const __m512i term = _mm512_set1_epi32(t->terms != NULL ? t->terms[0] : 0);
    __m512i sums[MOST_ROWS][QC_PRODUCT_BLOCKS];
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
    qc_tile_place second = *t;
    second.block += 4;
    second.output += 4 * QC_LANES;
    qc_scale_tile(1, 4, t, sums);
    qc_store_tile(1, 4, t, sums);
    qc_scale_tile(1, 4, &second, sums + 1);
    qc_store_tile(1, 4, &second, sums + 1);
}

#define QC_TILE(R, B)                                                                              \
    __attribute__((target(QC_AVX512_TARGET))) static void tile_##R##_##B(const qc_tile_place *t) { \
        tile(R, B, t);                                                                             \
    }
QC_TILE(1, 1) QC_TILE(2, 1) QC_TILE(4, 1) QC_TILE(6, 1) QC_TILE(8, 1) QC_TILE(12, 1)
QC_TILE(1, 2) QC_TILE(2, 2) QC_TILE(3, 2) QC_TILE(4, 2) QC_TILE(5, 2) QC_TILE(6, 2) QC_TILE(7, 2) QC_TILE(8, 2)
QC_TILE(10, 2) QC_TILE(12, 2)
QC_TILE(1, 3) QC_TILE(2, 3) QC_TILE(3, 3) QC_TILE(4, 3) QC_TILE(5, 3) QC_TILE(6, 3) QC_TILE(7, 3) QC_TILE(8, 3)
QC_TILE(1, 4) QC_TILE(2, 4) QC_TILE(3, 4) QC_TILE(4, 4) QC_TILE(5, 4) QC_TILE(6, 4)

/* The tile of so many blocks and rows; NULL where there is none, then a larger one is taken. */
static void (*const tiles[QC_PRODUCT_BLOCKS + 1][MOST_ROWS + 1])(const qc_tile_place *) = {
    {NULL},
    {NULL, tile_1_1, tile_2_1, NULL, tile_4_1, NULL, tile_6_1, NULL, tile_8_1, NULL, NULL, NULL, tile_12_1},
    {NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2, NULL, tile_10_2,
     NULL, tile_12_2},
    {NULL, tile_1_3, tile_2_3, tile_3_3, tile_4_3, tile_5_3, tile_6_3, tile_7_3, tile_8_3},
    {NULL, tile_1_4, tile_2_4, tile_3_4, tile_4_4, tile_5_4, tile_6_4},
};

/* All rows with the blocks [t->block, t->block + blocks). A tile that is larger than what is left begins earlier, and
 * computes some rows again; where there are not as many, it is a smaller one. */
static void multiply_rows(qc_tile_place t, int32_t blocks, int32_t count) {
    for (int32_t row = 0; row < count;) {
        const int32_t left = count - row;
        int32_t rows = qc_next_rows(left, most_rows[blocks]);
        while (tiles[blocks][rows] == NULL) ++rows;
        int32_t first = row + rows <= count ? row : count - rows;
        while (first < 0 || tiles[blocks][rows] == NULL) {
            --rows;
            first = row + rows <= count ? row : count - rows;
        }
        qc_tile_place here = t;
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
        const qc_tile_place t = {p, rows, stride, terms, block, output + block * QC_LANES, output_stride};
        if (count == 1 && blocks - block >= 8) {
            wide_row(&t);
            block += 8;
            continue;
        }
        const int32_t some = qc_next_rows(blocks - block, QC_PRODUCT_BLOCKS);
        multiply_rows(t, some, count);
        block += some;
    }
}

/* Sums of parts of a row of uint8, in 8 lanes. */
QC_INLINE __m512i byte_sums(const qc_product *p, int64_t run, const uint8_t *row) {
    const __m512i zero = _mm512_setzero_si512();
    const __mmask64 rest = qc_first_bytes(run & 63);
    __m512i sums = zero;
    for (int64_t i = 0; i < p->runs; ++i) {
        const uint8_t *bytes = row + p->offsets[i], *end = bytes + (run & ~(int64_t)63);
        for (; bytes < end; bytes += 64)
            sums = _mm512_add_epi64(sums, _mm512_sad_epu8(_mm512_loadu_si512(bytes), zero));
        if (rest != 0) sums = _mm512_add_epi64(sums, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(rest, bytes), zero));
    }
    return sums;
}

/* The two sums of each 16 bytes added, of a in the lower half and of b in the upper one. */
QC_INLINE __m512i add_pairs(__m512i a, __m512i b) {
    return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* Halves of a and of b added: 32 bytes of each. */
QC_INLINE __m512i add_halves(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xEE));
}

/* 16 rows at a time, whose lanes are added together. Rows that do not exist repeat the last one. */
__attribute__((target(QC_AVX512_TARGET))) void qc_unsigned_terms(const qc_product *p, int64_t run, const uint8_t *rows,
                                                                 int64_t stride, int32_t count, int32_t factor,
                                                                 int32_t *terms) {
    const __m512i all = _mm512_set1_epi32(factor);
    for (int32_t r = 0; r < count; r += QC_LANES) {
        __m512i fours[4];
        QC_UNROLL
        for (int i = 0; i < 4; ++i) {
            __m512i sums[4];
            QC_UNROLL
            for (int k = 0; k < 4; ++k) {
                const int32_t row = r + 4 * i + k;
                sums[k] = byte_sums(p, run, rows + (row < count ? row : count - 1) * stride);
            }
            const __m512i even = add_pairs(sums[0], sums[2]), odd = add_pairs(sums[1], sums[3]);
            fours[i] = _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64(odd, 32));
        }
        const __m512i low = add_halves(fours[0], fours[1]);
        const __m512i high = add_halves(fours[2], fours[3]);
        const __m512i sums =
            _mm512_add_epi32(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_shuffle_i32x4(low, high, 0xDD));
        const __mmask16 exist = count - r >= QC_LANES ? 0xFFFF : (__mmask16)((1u << (count - r)) - 1);
        _mm512_mask_storeu_epi32(terms + r, exist, _mm512_mullo_epi32(sums, all));
    }
}

const qc_product_isa qc_product_vnni = {
    .is_signed = 0, .flips_start = 1, .rows = multiply_all, .one_row = qc_product_row_vnni,
    .terms = qc_unsigned_terms};
