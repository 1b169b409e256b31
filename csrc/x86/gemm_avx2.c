/* 8-bit products on AVX2: bytes widened to int16, pairs multiplied and summed by vpmaddwd, which is exact. */
#include <string.h>

#include "gemm.h"
#include "requantize_avx2.h"

/* 4 channels of a quad as [channel][4] int16. */
QC_AVX2 __m256i widen(const void *bytes) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes));
}

/* 4 bytes of a row of the panel, repeated for 4 channels, as int16. */
QC_AVX2 __m256i repeat_quad(const uint8_t *bytes) {
    int32_t quad;
    memcpy(&quad, bytes, sizeof quad);
    return _mm256_cvtepi8_epi16(_mm_set1_epi32(quad));
}

/* Two vectors of [channel][2] partial sums as 8 channels. */
QC_AVX2 __m256i add_halves(__m256i channels_0_3, __m256i channels_4_7) {
    const __m256i sums = _mm256_hadd_epi32(channels_0_3, channels_4_7);
    return _mm256_permute4x64_epi64(sums, 0xD8);
}

QC_AVX2 void store_sums(const int32_t *start, const __m256i sums[4], int32_t *acc) {
    for (int half = 0; half < 2; ++half) {
        const __m256i base = _mm256_loadu_si256((const __m256i *)(const void *)(start + 8 * half));
        const __m256i sum = add_halves(sums[2 * half], sums[2 * half + 1]);
        _mm256_storeu_si256((__m256i *)(void *)(acc + 8 * half), _mm256_add_epi32(base, sum));
    }
}

/* One block of 16 units; ROWS is a constant, so that the accumulators stay in registers. */
QC_AVX2 __attribute__((always_inline)) void tile_block(const int ROWS, const uint8_t *panel, int64_t stride,
                                                       const int8_t *filter, int64_t quads,
                                                       const int32_t *start, int32_t *acc) {
    __m256i sums[3][4];
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < 4; ++j) sums[r][j] = _mm256_setzero_si256();
    for (int64_t q = 0; q < quads; ++q) {
        __m256i x[3];
        for (int r = 0; r < ROWS; ++r) x[r] = repeat_quad(panel + r * stride + q * QC_QUAD);
        for (int j = 0; j < 4; ++j) {
            const __m256i w = widen(filter + (q * 4 + j) * 16);
            for (int r = 0; r < ROWS; ++r)
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(x[r], w));
        }
    }
    for (int r = 0; r < ROWS; ++r) store_sums(start, sums[r], acc + r * QC_TILE_UNITS);
}

__attribute__((target("avx2"))) static void tile(const uint8_t *panel, int64_t stride, int32_t rows,
                                                 const int8_t *filter, int64_t quads, int32_t blocks,
                                                 const int32_t *start, int32_t *acc) {
    for (int32_t b = 0; b < blocks; ++b) {
        const int8_t *block = filter + b * quads * (QC_LANES * QC_QUAD);
        const int32_t first = b * QC_LANES;
        switch (rows) {
            case 1: tile_block(1, panel, stride, block, quads, start + first, acc + first); break;
            case 2: tile_block(2, panel, stride, block, quads, start + first, acc + first); break;
            default: tile_block(3, panel, stride, block, quads, start + first, acc + first); break;
        }
    }
}

/* qc_gemm_isa.requantize of a prepared requantization. */
__attribute__((target("avx2"))) static void requantize_prepared(const qc_requant *r, const int32_t *acc,
                                                                          int32_t first, int32_t count,
                                                                          uint8_t *output) {
    const qc_requant_block *block = qc_prepared_block(r, first);
    switch (r->form) {
        case QC_FORM_FLOOR: qc_requantize_prepared_avx2(QC_FORM_FLOOR, r, block, acc, count, output); break;
        case QC_FORM_FLOOR_AWAY:
            qc_requantize_prepared_avx2(QC_FORM_FLOOR_AWAY, r, block, acc, count, output);
            break;
        case QC_FORM_FLOOR_WIDE:
            qc_requantize_prepared_avx2(QC_FORM_FLOOR_WIDE, r, block, acc, count, output);
            break;
        case QC_FORM_FLOAT32:
            qc_requantize_prepared_avx2(QC_FORM_FLOAT32, r, block, acc, count, output);
            break;
        default: qc_requantize_prepared_avx2(QC_FORM_FLOAT64, r, block, acc, count, output); break;
    }
}

__attribute__((target("avx2"))) static void requantize(const qc_requant *r, const int32_t *acc,
                                                       int32_t first, int32_t count, uint8_t *output) {
    if (r->form != QC_UNPREPARED) {
        requantize_prepared(r, acc, first, count, output);
        return;
    }
    int32_t i = 0;
    if (qc_has_vector_rules(r)) {
        for (; i + 8 <= count; i += 8) {
            const __m256i sum = _mm256_loadu_si256((const __m256i *)(const void *)(acc + i));
            const __m256i y = qc_requantize_avx2(r, sum, first + i);
            const __m256i low = _mm256_set1_epi64x(0x0C080400);
            const __m256i bytes = _mm256_shuffle_epi8(y, low);
            const int32_t parts[2] = {_mm256_extract_epi32(bytes, 0), _mm256_extract_epi32(bytes, 4)};
            memcpy(output + i, parts, sizeof parts);
        }
    }
    for (; i < count; ++i) output[i] = (uint8_t)qc_requantize(r, acc[i], first + i);
}

const qc_gemm_isa qc_gemm_avx2 = {
    .is_signed = 1,
    .tile_rows = 3,
    .tile = tile,
    .requantize = requantize,
    .product = &qc_product_avx2,
    .hybrid = &qc_hybrid_avx2,
    .hybrid_outputs = qc_hybrid_outputs_avx2,
};
