/* From sums of a tile to outputs, in AVX-512 registers: what products with requantization share that differ in how they
 * multiply. R and B are constants: rows, and blocks of 16 units. */
#ifndef QUANTCORE_X86_PRODUCT_AVX512_H
#define QUANTCORE_X86_PRODUCT_AVX512_H

#include "product.h"
#include "requantize_avx512.h"

#define QC_INLINE QC_AVX512 __attribute__((always_inline))

enum { QC_PRODUCT_BLOCKS = 4 }; /* most blocks of a tile */

/* Where a tile is in the product. */
typedef struct {
    const qc_product *p;
    const uint8_t *rows;
    int64_t stride;
    const int32_t *terms; /* of its rows, or NULL */
    int32_t block;        /* the first of 16 units */
    uint8_t *output;
    int64_t output_stride;
} qc_tile_place;

QC_INLINE void qc_store_bytes(uint8_t *output, __mmask64 exist, __m512i bytes) {
    _mm512_mask_storeu_epi8(output, exist, bytes);
}

/* Store outputs of R rows and B blocks from scaled sums. */
QC_INLINE void qc_store_tile(const int R, const int B, const qc_tile_place *t, __m512i (*y)[QC_PRODUCT_BLOCKS]) {
    const qc_bytes_avx512 bytes = qc_make_bytes_avx512(t->p->requant);
    const int32_t left = t->p->units - t->block * QC_LANES;
    const __mmask64 exist = qc_first_bytes(left < B * QC_LANES ? left : B * QC_LANES);
    uint8_t *output = t->output;
    if (B >= 3) {
        QC_UNROLL
        for (int r = 0; r < R; ++r, output += t->output_stride)
            qc_store_bytes(output, exist, qc_to_bytes_avx512(&bytes, y[r][0], y[r][1], y[r][2], y[r][B - 1]));
    } else if (B == 2) {
        QC_UNROLL
        for (int r = 0; r < R; r += 2, output += 2 * t->output_stride) {
            const int next = r + 1 < R ? r + 1 : r;
            const __m512i both = qc_to_bytes_avx512(&bytes, y[r][0], y[r][1], y[next][0], y[next][1]);
            qc_store_bytes(output, exist, both);
            if (r + 1 < R)
                qc_store_bytes(output + t->output_stride, exist,
                               _mm512_castsi256_si512(_mm512_extracti64x4_epi64(both, 1)));
        }
    } else {
        QC_UNROLL
        for (int r = 0; r < R; r += 4, output += 4 * t->output_stride) {
            const int last = R - 1;
            const __m512i four =
                qc_to_bytes_avx512(&bytes, y[r][0], y[r + 1 < R ? r + 1 : last][0],
                                   y[r + 2 < R ? r + 2 : last][0], y[r + 3 < R ? r + 3 : last][0]);
            qc_store_bytes(output, exist, four);
            if (r + 1 < R)
                qc_store_bytes(output + t->output_stride, exist,
                               _mm512_castsi128_si512(_mm512_extracti32x4_epi32(four, 1)));
            if (r + 2 < R)
                qc_store_bytes(output + 2 * t->output_stride, exist,
                               _mm512_castsi128_si512(_mm512_extracti32x4_epi32(four, 2)));
            if (r + 3 < R)
                qc_store_bytes(output + 3 * t->output_stride, exist,
                               _mm512_castsi128_si512(_mm512_extracti32x4_epi32(four, 3)));
        }
    }
}

/* Scaled sums; FORM is a constant. Those of floor forms are given as sum ^ 2^31. */
QC_INLINE void qc_scale_form(const qc_requant_form FORM, const int R, const int B, const qc_requant_block *block,
                             __m512i (*sums)[QC_PRODUCT_BLOCKS]) {
    QC_UNROLL
    for (int b = 0; b < B; ++b)
        QC_UNROLL
        for (int r = 0; r < R; ++r)
            sums[r][b] = qc_is_floor(FORM) ? qc_floor_avx512(FORM, block + b, sums[r][b])
                                           : qc_prepared_avx512(FORM, block + b, sums[r][b]);
}

/* The same by the form of the requantization, the rare ones last. */
QC_INLINE void qc_scale_tile(const int R, const int B, const qc_tile_place *t, __m512i (*sums)[QC_PRODUCT_BLOCKS]) {
    const qc_requant_block *block = t->p->blocks + t->block;
    switch (t->p->requant->form) {
        case QC_FORM_FLOOR: qc_scale_form(QC_FORM_FLOOR, R, B, block, sums); break;
        case QC_FORM_FLOOR_AWAY: qc_scale_form(QC_FORM_FLOOR_AWAY, R, B, block, sums); break;
        case QC_FORM_FLOOR_WIDE: qc_scale_form(QC_FORM_FLOOR_WIDE, R, B, block, sums); break;
        case QC_FORM_FLOAT32: qc_scale_form(QC_FORM_FLOAT32, R, B, block, sums); break;
        default: qc_scale_form(QC_FORM_FLOAT64, R, B, block, sums); break;
    }
}

#endif
