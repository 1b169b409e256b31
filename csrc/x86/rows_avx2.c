/* Products of int8 weights with one vector: bytes widened to int16, pairs multiplied and summed by vpmaddwd. */
#include <immintrin.h>

#include "rows.h"

#define QC_AVX2 __attribute__((target("avx2"))) static

QC_AVX2 void prepare(const int8_t *x, int64_t count, void *to) {
    int16_t *wide = to;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(wide + i),
                            _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(x + i))));
    for (; i < qc_round_up(count, QC_QUAD); ++i) wide[i] = i < count ? x[i] : 0;
}

/* Two vectors of [4 units][2] partial sums as 8 units, added to `start`. */
QC_AVX2 inline void store(const int32_t *start, __m256i low, __m256i high, int32_t *acc) {
    const __m256i sums = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0xD8);
    const __m256i base = _mm256_loadu_si256((const __m256i *)(const void *)start);
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_add_epi32(base, sums));
}

/* A quad of the vector meets 16 units in four parts of 4 units each; of two blocks at a time. BLOCKS is a constant. */
QC_AVX2 inline __attribute__((always_inline)) void multiply_blocks(const int BLOCKS, const int8_t *packed,
                                                                   int64_t quads, const int16_t *x,
                                                                   const int32_t *start, int32_t *acc) {
    __m256i sums[2][4];
    for (int b = 0; b < BLOCKS; ++b)
        for (int j = 0; j < 4; ++j) sums[b][j] = _mm256_setzero_si256();
    for (int64_t q = 0; q < quads; ++q) {
        const __m256i element =
            _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(x + q * QC_QUAD)));
        for (int b = 0; b < BLOCKS; ++b) {
            const int8_t *w = packed + (b * quads + q) * QC_LANES * QC_QUAD;
            for (int j = 0; j < 4; ++j) {
                const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(w + 16 * j));
                sums[b][j] =
                    _mm256_add_epi32(sums[b][j], _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), element));
            }
        }
    }
    for (int b = 0; b < BLOCKS; ++b) {
        store(start + b * QC_LANES, sums[b][0], sums[b][1], acc + b * QC_LANES);
        store(start + b * QC_LANES + 8, sums[b][2], sums[b][3], acc + b * QC_LANES + 8);
    }
}

QC_AVX2 void multiply(const int8_t *packed, int64_t quads, int32_t blocks, const void *vector, const int32_t *start,
                      int32_t *acc) {
    const int16_t *x = vector;
    for (; blocks >= 2; blocks -= 2, start += 2 * QC_LANES, acc += 2 * QC_LANES) {
        multiply_blocks(2, packed, quads, x, start, acc);
        packed += 2 * quads * QC_LANES * QC_QUAD;
    }
    if (blocks > 0) multiply_blocks(1, packed, quads, x, start, acc);
}

const qc_rows_isa qc_rows_avx2 = {.shift = 0, .prepare = prepare, .multiply = multiply};
