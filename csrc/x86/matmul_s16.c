/* Products of int16 matrices. */
#include "matmul_s16.h"

#include <immintrin.h>

#include "gemm_s16.h"

void qc_multiply_s16(qc_tile_s16 *tile, const qc_matmul_shape *s, const qc_requant *r, const int16_t *left,
                     const int16_t *packed, int16_t *output) {
    const int64_t depth = s->depth, block = qc_round_up(depth, 2) * QC_LANES;
    _Alignas(64) int64_t sums[QC_MATMUL_ROWS_S16 * QC_LANES];
    for (int32_t unit = 0; unit < s->columns; unit += QC_LANES) {
        const int32_t count = s->columns - unit < QC_LANES ? s->columns - unit : QC_LANES;
        for (int32_t row = 0; row < s->rows; row += QC_MATMUL_ROWS_S16) {
            const int32_t rows = s->rows - row < QC_MATMUL_ROWS_S16 ? s->rows - row : QC_MATMUL_ROWS_S16;
            tile(left + row * depth, depth, rows, packed + unit / QC_LANES * block, sums);
            for (int32_t i = 0; i < rows; ++i)
                qc_store_s16_wide(r, sums + i * QC_LANES, 0, count, output + (int64_t)(row + i) * s->columns + unit);
        }
    }
}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define AVX2 __attribute__((target("avx2")))

/* Sums of even and odd units to those of all in order, without what was added to `pairs` pairs. */
AVX512 static inline void store_512(__m512i even, __m512i odd, int64_t pairs, int64_t *sums) {
    const __m512i added = _mm512_set1_epi64(pairs * QC_PAIR_LIMIT);
    const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    _mm512_storeu_si512(sums, _mm512_sub_epi64(_mm512_permutex2var_epi64(even, first, odd), added));
    _mm512_storeu_si512(sums + 8, _mm512_sub_epi64(_mm512_permutex2var_epi64(even, second, odd), added));
}

/* ROWS is a constant. */
AVX512 static inline __attribute__((always_inline)) void rows_512(const int ROWS, const int16_t *rows, int64_t depth,
                                                                  const int16_t *packed, int64_t *sums) {
    const __m512i limit = _mm512_set1_epi32(QC_PAIR_LIMIT), low = _mm512_set1_epi64(0xFFFFFFFF);
    const int64_t pairs = (depth + 1) / 2;
    __m512i even[QC_MATMUL_ROWS_S16], odd[QC_MATMUL_ROWS_S16];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) even[r] = odd[r] = _mm512_setzero_si512();
    for (int64_t p = 0; p < pairs; ++p, packed += 2 * QC_LANES) {
        const __m512i w = _mm512_loadu_si512(packed);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
            const __m512i x = _mm512_set1_epi32(qc_row_pair(rows + r * depth, 2 * p, depth));
            const __m512i sum = _mm512_add_epi32(_mm512_madd_epi16(x, w), limit);
            even[r] = _mm512_add_epi64(even[r], _mm512_and_si512(sum, low));
            odd[r] = _mm512_add_epi64(odd[r], _mm512_srli_epi64(sum, 32));
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) store_512(even[r], odd[r], pairs, sums + r * QC_LANES);
}

AVX512 void qc_tile_s16_avx512(const int16_t *rows, int64_t depth, int32_t count, const int16_t *packed,
                               int64_t *sums) {
    switch (count) {
        case 1: rows_512(1, rows, depth, packed, sums); return;
        case 2: rows_512(2, rows, depth, packed, sums); return;
        case 3: rows_512(3, rows, depth, packed, sums); return;
        default: rows_512(4, rows, depth, packed, sums);
    }
}

AVX2 static inline void store_256(__m256i even, __m256i odd, int64_t pairs, int64_t *sums) {
    const __m256i added = _mm256_set1_epi64x(pairs * QC_PAIR_LIMIT);
    const __m256i a = _mm256_sub_epi64(_mm256_unpacklo_epi64(even, odd), added);
    const __m256i b = _mm256_sub_epi64(_mm256_unpackhi_epi64(even, odd), added);
    _mm256_storeu_si256((__m256i *)(void *)sums, _mm256_permute2x128_si256(a, b, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(sums + 4), _mm256_permute2x128_si256(a, b, 0x31));
}

/* Half of the units, from those of `packed` on. */
AVX2 static inline __attribute__((always_inline)) void rows_256(const int ROWS, const int16_t *rows, int64_t depth,
                                                                const int16_t *packed, int64_t *sums) {
    const __m256i limit = _mm256_set1_epi32(QC_PAIR_LIMIT), low = _mm256_set1_epi64x(0xFFFFFFFF);
    const int64_t pairs = (depth + 1) / 2;
    __m256i even[QC_MATMUL_ROWS_S16], odd[QC_MATMUL_ROWS_S16];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) even[r] = odd[r] = _mm256_setzero_si256();
    for (int64_t p = 0; p < pairs; ++p, packed += 2 * QC_LANES) {
        const __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)packed);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
            const __m256i x = _mm256_set1_epi32(qc_row_pair(rows + r * depth, 2 * p, depth));
            const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(x, w), limit);
            even[r] = _mm256_add_epi64(even[r], _mm256_and_si256(sum, low));
            odd[r] = _mm256_add_epi64(odd[r], _mm256_srli_epi64(sum, 32));
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r) store_256(even[r], odd[r], pairs, sums + r * QC_LANES);
}

AVX2 void qc_tile_s16_avx2(const int16_t *rows, int64_t depth, int32_t count, const int16_t *packed, int64_t *sums) {
    for (int half = 0; half < 2; ++half, packed += QC_LANES, sums += QC_LANES / 2) {
        switch (count) {
            case 1: rows_256(1, rows, depth, packed, sums); break;
            case 2: rows_256(2, rows, depth, packed, sums); break;
            case 3: rows_256(3, rows, depth, packed, sums); break;
            default: rows_256(4, rows, depth, packed, sums);
        }
    }
}
