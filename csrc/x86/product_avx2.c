/* Products with requantization on AVX2: bytes widened to int16, pairs multiplied and summed by vpmaddwd, which is
 * exact. */
#include <string.h>

#include "product.h"
#include "requantize_avx2.h"

#define QC_INLINE QC_AVX2 __attribute__((always_inline))

enum { MOST_ROWS = 3 };

/* Two vectors of [unit][2] partial sums as 8 units. */
QC_INLINE __m256i add_halves(__m256i units_0_3, __m256i units_4_7) {
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(units_0_3, units_4_7), 0xD8);
}

/* 4 bytes of a row, repeated for 4 units, as int16. */
QC_INLINE __m256i repeat_quad(const uint8_t *bytes) {
    int32_t quad;
    memcpy(&quad, bytes, sizeof quad);
    return _mm256_cvtepi8_epi16(_mm_set1_epi32(quad));
}

/* sums[row][4 units]: R rows, which is a constant, by the 16 units whose filter is w. */
QC_INLINE void multiply(const int R, const qc_product *p, const uint8_t *rows, int64_t stride, const int8_t *w,
                        __m256i sums[MOST_ROWS][4]) {
    const int64_t *offset = p->offsets;
    const uint8_t *x = rows + *offset;
    int64_t in_run = p->quads;
    /* One loop, not one within another: the compiler keeps sums in registers through it. */
    for (int64_t quads = p->runs * p->quads; quads > 0; --quads) {
        __m256i fours[MOST_ROWS];
        QC_UNROLL
        for (int r = 0; r < R; ++r) fours[r] = repeat_quad(x + r * stride);
        QC_UNROLL
        for (int j = 0; j < 4; ++j) {
            const __m256i filter = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(w + 16 * j)));
            QC_UNROLL
            for (int r = 0; r < R; ++r)
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(fours[r], filter));
        }
        x += QC_QUAD;
        w += QC_LANES * QC_QUAD;
        if (--in_run == 0) {
            in_run = p->quads;
            x = rows + *++offset;
        }
    }
}

/* 8 sums, those of half `half` of a block, scaled. */
QC_INLINE __m256i scale(const qc_product *p, const qc_requant_block *block, int half, __m256i sums) {
    switch (p->requant->form) {
        case QC_FORM_FLOOR: return qc_prepared_avx2(QC_FORM_FLOOR, block, half, sums);
        case QC_FORM_FLOOR_AWAY: return qc_prepared_avx2(QC_FORM_FLOOR_AWAY, block, half, sums);
        case QC_FORM_FLOOR_WIDE: return qc_prepared_avx2(QC_FORM_FLOOR_WIDE, block, half, sums);
        case QC_FORM_FLOAT32: return qc_prepared_avx2(QC_FORM_FLOAT32, block, half, sums);
        default: return qc_prepared_avx2(QC_FORM_FLOAT64, block, half, sums);
    }
}

/* R rows, which is a constant, by the 16 units from block * 16 on. */
QC_INLINE void tile(const int R, const qc_product *p, const uint8_t *rows, int64_t stride, const int32_t *terms,
                    int32_t block, uint8_t *output, int64_t output_stride) {
    __m256i sums[MOST_ROWS][4];
    QC_UNROLL
    for (int r = 0; r < R; ++r)
        QC_UNROLL
        for (int j = 0; j < 4; ++j) sums[r][j] = _mm256_setzero_si256();
    multiply(R, p, rows, stride, p->filter + block * p->runs * p->quads * (QC_LANES * QC_QUAD), sums);
    const qc_bytes_avx2 bytes = qc_make_bytes_avx2(p->requant);
    const int32_t *start = p->start + block * QC_LANES;
    const int32_t left = p->units - block * QC_LANES;
    QC_UNROLL
    for (int r = 0; r < R; ++r) {
        const __m256i term = _mm256_set1_epi32(terms != NULL ? terms[r] : 0);
        __m256i y[2];
        QC_UNROLL
        for (int half = 0; half < 2; ++half) {
            const __m256i base = _mm256_add_epi32(term, qc_load_avx2(start + 8 * half));
            const __m256i sum = _mm256_add_epi32(base, add_halves(sums[r][2 * half], sums[r][2 * half + 1]));
            y[half] = scale(p, p->blocks + block, half, sum);
        }
        qc_store_bytes_avx2(output + r * output_stride, qc_to_bytes_avx2(&bytes, y[0], y[1], y[0], y[1]),
                            left < QC_LANES ? left : QC_LANES);
    }
}

__attribute__((target("avx2"))) static void multiply_all(const qc_product *p, const uint8_t *rows,
                                                         int64_t stride, int32_t count, const int32_t *terms,
                                                         uint8_t *output, int64_t output_stride) {
    const int32_t blocks = (p->units + QC_LANES - 1) / QC_LANES;
    for (int32_t block = 0; block < blocks; ++block) {
        for (int32_t row = 0, some; row < count; row += some) {
            some = qc_next_rows(count - row, MOST_ROWS);
            const uint8_t *x = rows + row * stride;
            const int32_t *added = terms != NULL ? terms + row : NULL;
            uint8_t *to = output + row * output_stride + block * QC_LANES;
            switch (some) {
                case 1: tile(1, p, x, stride, added, block, to, output_stride); break;
                case 2: tile(2, p, x, stride, added, block, to, output_stride); break;
                default: tile(3, p, x, stride, added, block, to, output_stride); break;
            }
        }
    }
}

const qc_product_isa qc_product_avx2 = {.is_signed = 1, .flips_start = 0, .rows = multiply_all, .terms = qc_signed_terms};
