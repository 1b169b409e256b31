/* Sums of tiles of int16 products on AVX-512. */
#include <immintrin.h>
#include <stdint.h>

#define QC_TARGET "avx512f,avx512bw,avx512dq,avx512vl"
#define QC_WHOLE __m512i
#define QC_V(name) _mm512_##name
#define QC_LOAD(from) _mm512_loadu_si512(from)
#define QC_TILE qc_tile_s16_avx512

__attribute__((target(QC_TARGET))) static inline void store_sums(__m512i even, __m512i odd, int64_t *sums) {
    const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    _mm512_storeu_si512(sums, _mm512_permutex2var_epi64(even, first, odd));
    _mm512_storeu_si512(sums + 8, _mm512_permutex2var_epi64(even, second, odd));
}

#include "matmul_s16.inc"
