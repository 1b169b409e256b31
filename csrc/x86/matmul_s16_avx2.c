/* Sums of tiles of int16 products on AVX2. */
#include <immintrin.h>
#include <stdint.h>

#define QC_TARGET "avx2"
#define QC_WHOLE __m256i
#define QC_V(name) _mm256_##name
#define QC_LOAD(from) _mm256_loadu_si256((const __m256i *)(const void *)(from))
#define QC_TILE qc_tile_s16_avx2

__attribute__((target(QC_TARGET))) static inline void store_sums(__m256i even, __m256i odd, int64_t *sums) {
    const __m256i a = _mm256_unpacklo_epi64(even, odd), b = _mm256_unpackhi_epi64(even, odd);
    _mm256_storeu_si256((__m256i *)(void *)sums, _mm256_permute2x128_si256(a, b, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(sums + 4), _mm256_permute2x128_si256(a, b, 0x31));
}

#include "matmul_s16.inc"
