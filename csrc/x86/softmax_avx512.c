/* SOFTMAX on 8 bits with AVX-512: exps gathered from the table, 16 elements at a time. The exps are not negative, so
 * that the two roundings are sums and logical shifts. */
#include <immintrin.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { LANES = 16, MOST_DEPTH = 1 << 16 }; /* sums of so many elements, in 16 lanes, have 32 bits */

INLINE __mmask16 places(int32_t left) {
    return left < LANES ? (__mmask16)((1u << left) - 1) : (__mmask16)0xFFFF;
}

INLINE __m512i load_s8(const int8_t *x, __mmask16 exist) {
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(exist, x));
}

INLINE __m512i load_u8(const uint8_t *x, __mmask16 exist) {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(exist, x));
}

/* The exps of 16 elements, 0 for those that do not exist. */
INLINE __m512i find_exps(const int32_t *table, __m512i largest, __m512i x, __mmask16 exist) {
    return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), exist, _mm512_sub_epi32(largest, x), table, 4);
}

/* qc_rounding_divide_by_pot for x >= 0 and exponent >= 1. */
INLINE __m512i divide_by_pot(__m512i x, int exponent) {
    const __m512i half = _mm512_set1_epi32((int)(1u << (exponent - 1)));
    return _mm512_srl_epi32(_mm512_add_epi32(x, half), _mm_cvtsi32_si128(exponent));
}

/* qc_srdhm for factors >= 0. */
INLINE __m512i high_product(__m512i x, __m512i scale) {
    const __m512i half = _mm512_set1_epi64((int64_t)1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(x, scale), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(x, 32), scale), half);
    return _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 31), 0xAAAA, _mm512_slli_epi64(odd, 1));
}

INLINE int64_t sum_lanes(__m512i x) {
    const __m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(x));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(x, 1))));
}

#define SOFTMAX_KERNEL(suffix, from, T, OUT, BITS, LOWEST, HIGHEST, store)                                   \
    INLINE __m512i largest_##suffix(const T *x, int32_t depth) {                                             \
        __m512i largest = _mm512_set1_epi32(INT16_MIN);                                                      \
        for (int32_t c = 0; c < depth; c += LANES) {                                                         \
            const __mmask16 exist = places(depth - c);                                                       \
            largest = _mm512_mask_max_epi32(largest, exist, largest, load_##from(x + c, exist));             \
        }                                                                                                    \
        return _mm512_set1_epi32(_mm512_reduce_max_epi32(largest));                                          \
    }                                                                                                        \
    TARGET static void softmax_row_##suffix(const int32_t *table, int32_t depth, const T *x, OUT *y) {       \
        const __m512i largest = largest_##suffix(x, depth);                                                  \
        __m512i sums = _mm512_setzero_si512();                                                               \
        for (int32_t c = 0; c < depth; c += LANES) {                                                         \
            const __mmask16 exist = places(depth - c);                                                       \
            const __m512i e = find_exps(table, largest, load_##from(x + c, exist), exist);                   \
            sums = _mm512_add_epi32(sums, divide_by_pot(e, QC_SOFTMAX_SUM_BITS));                            \
        }                                                                                                    \
        const int64_t sum = sum_lanes(sums);                                                                 \
        if (sum >= QC_SOFTMAX_SUM_LIMIT(BITS)) {                                                             \
            for (int32_t c = 0; c < depth; ++c) y[c] = LOWEST;                                               \
            return;                                                                                          \
        }                                                                                                    \
        int shift;                                                                                           \
        const __m512i scale = _mm512_set1_epi32(qc_softmax_reciprocal((uint32_t)sum, &shift));               \
        for (int32_t c = 0; c < depth; c += LANES) {                                                         \
            const __mmask16 exist = places(depth - c);                                                       \
            const __m512i e = find_exps(table, largest, load_##from(x + c, exist), exist);                   \
            const __m512i steps = divide_by_pot(high_product(e, scale), shift + 31 - (BITS));                \
            const __m512i result = _mm512_add_epi32(steps, _mm512_set1_epi32(LOWEST));                       \
            store(y + c, exist, _mm512_min_epi32(result, _mm512_set1_epi32(HIGHEST)));                       \
        }                                                                                                    \
    }                                                                                                        \
    qc_status qc_softmax_##suffix##_avx512(const qc_softmax_params *p, const T *input, OUT *output, void *scratch) { \
        if (p->depth > MOST_DEPTH) return qc_softmax_##suffix##_ref(p, input, output, scratch);              \
        for (int64_t row = 0; row < p->rows; ++row)                                                          \
            softmax_row_##suffix(p->exp_table, p->depth, input + row * p->depth, output + row * p->depth);   \
        return QC_OK;                                                                                        \
    }

SOFTMAX_KERNEL(s8, s8, int8_t, int8_t, 8, INT8_MIN, INT8_MAX, _mm512_mask_cvtepi32_storeu_epi8)
SOFTMAX_KERNEL(u8, u8, uint8_t, uint8_t, 8, 0, UINT8_MAX, _mm512_mask_cvtepi32_storeu_epi8)
SOFTMAX_KERNEL(s8_s16, s8, int8_t, int16_t, 16, INT16_MIN, INT16_MAX, _mm512_mask_cvtepi32_storeu_epi16)
SOFTMAX_KERNEL(u8_s16, u8, uint8_t, int16_t, 16, INT16_MIN, INT16_MAX, _mm512_mask_cvtepi32_storeu_epi16)
