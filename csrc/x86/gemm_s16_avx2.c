/* 16x8 products by vpmaddwd: 4 units of a quad in a vector. */
#include <immintrin.h>

#include "gemm_s16.h"

#define QC_AVX2 __attribute__((target("avx2"))) static

enum { MOST_ROWS = 3 };

/* ROWS is a constant, so that the sums stay in registers. */
QC_AVX2 inline __attribute__((always_inline)) void tile_rows(const int ROWS, const int16_t *panel, int64_t stride,
                                                             const int8_t *filter, int64_t quads, int32_t *parts) {
    __m256i sums[MOST_ROWS][4];
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < 4; ++j) sums[r][j] = _mm256_setzero_si256();
    for (int64_t q = 0; q < quads; ++q) {
        __m256i x[MOST_ROWS];
        for (int r = 0; r < ROWS; ++r)
            x[r] = _mm256_broadcastq_epi64(
                _mm_loadl_epi64((const __m128i *)(const void *)(panel + r * stride + q * QC_QUAD)));
        for (int j = 0; j < 4; ++j) {
            const void *bytes = filter + q * QC_LANES * QC_QUAD + 16 * j;
            const __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)bytes));
            for (int r = 0; r < ROWS; ++r)
                sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(x[r], w));
        }
    }
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < 4; ++j) _mm256_storeu_si256((__m256i *)(void *)(parts + 32 * r + 8 * j), sums[r][j]);
}

QC_AVX2 void tile(const int16_t *panel, int64_t stride, int32_t rows, const int8_t *filter, int64_t quads,
                  int32_t *parts) {
    for (int32_t r = 0; r < rows; r += MOST_ROWS) {
        const int16_t *top = panel + r * stride;
        switch (rows - r) {
            case 1: tile_rows(1, top, stride, filter, quads, parts + 32 * r); break;
            case 2: tile_rows(2, top, stride, filter, quads, parts + 32 * r); break;
            default: tile_rows(3, top, stride, filter, quads, parts + 32 * r); break;
        }
    }
}

const qc_gemm_s16_isa qc_gemm_s16_avx2 = {.tile = tile};
