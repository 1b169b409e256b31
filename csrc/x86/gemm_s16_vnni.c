/* 16x8 products by vpdpwssd: 8 units of a quad in a vector. */
#include <immintrin.h>
#include <string.h>

#include "gemm_s16.h"

#define QC_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) static

/* ROWS is a constant, so that the sums stay in registers. */
QC_VNNI inline __attribute__((always_inline)) void tile_rows(const int ROWS, const int16_t *panel, int64_t stride,
                                                             const int8_t *filter, int64_t quads, int32_t *parts) {
    __m512i sums[QC_TILE_ROWS_S16][2], others[QC_TILE_ROWS_S16][2];
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < 2; ++j) sums[r][j] = others[r][j] = _mm512_setzero_si512();
    for (int64_t q = 0; q < quads; ++q) {
        __m512i w[2];
        for (int j = 0; j < 2; ++j)
            w[j] = _mm512_cvtepi8_epi16(
                _mm256_loadu_si256((const __m256i *)(const void *)(filter + q * QC_LANES * QC_QUAD + 32 * j)));
        for (int r = 0; r < ROWS; ++r) {
            int64_t quad;
            memcpy(&quad, panel + r * stride + q * QC_QUAD, sizeof quad);
            const __m512i x = _mm512_set1_epi64(quad);
            for (int j = 0; j < 2; ++j) {
                /* Few rows have two sums by turns, so that products need not wait for each other. */
                if (ROWS <= 2 && q % 2 != 0)
                    others[r][j] = _mm512_dpwssd_epi32(others[r][j], x, w[j]);
                else
                    sums[r][j] = _mm512_dpwssd_epi32(sums[r][j], x, w[j]);
            }
        }
    }
    for (int r = 0; r < ROWS; ++r)
        for (int j = 0; j < 2; ++j)
            _mm512_storeu_si512(parts + 32 * r + 16 * j,
                                ROWS <= 2 ? _mm512_add_epi32(sums[r][j], others[r][j]) : sums[r][j]);
}

QC_VNNI void tile(const int16_t *panel, int64_t stride, int32_t rows, const int8_t *filter, int64_t quads,
                  int32_t *parts) {
    switch (rows) {
        case 1: tile_rows(1, panel, stride, filter, quads, parts); return;
        case 2: tile_rows(2, panel, stride, filter, quads, parts); return;
        case 3: tile_rows(3, panel, stride, filter, quads, parts); return;
        case 4: tile_rows(4, panel, stride, filter, quads, parts); return;
        case 5: tile_rows(5, panel, stride, filter, quads, parts); return;
        default: tile_rows(6, panel, stride, filter, quads, parts); return;
    }
}

const qc_gemm_s16_isa qc_gemm_s16_vnni = {.tile = tile};
