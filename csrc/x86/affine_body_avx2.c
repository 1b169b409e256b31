/* QUANTIZE and DEQUANTIZE as TFLite's optimized kernels and XNNPACK compute them: the bits of csrc/reference/affine.c,
 * 8 elements at a time. What is left is computed by the definition. */
#include <immintrin.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET static inline __attribute__((always_inline))

INLINE __m256i clamp_lanes(__m256i x, int32_t low, int32_t high) {
    return _mm256_min_epi32(_mm256_max_epi32(x, _mm256_set1_epi32(low)), _mm256_set1_epi32(high));
}

/* The conversion is qc_round_even_to_int32. */
INLINE __m256i quantize_reciprocal(const qc_affine_body_params *p, __m256 x, float reciprocal) {
    const __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(reciprocal)));
    return clamp_lanes(_mm256_add_epi32(q, _mm256_set1_epi32(p->zero_point)), p->qmin, p->qmax);
}

/* The minimum of a NaN and the limit is the limit, their second operand. */
INLINE __m256i quantize_saturating(const qc_affine_body_params *p, __m256 x, float reciprocal) {
    const __m256 scaled = _mm256_mul_ps(x, _mm256_set1_ps(reciprocal));
    const __m256i q = _mm256_cvtps_epi32(_mm256_min_ps(scaled, _mm256_set1_ps(32767.0f)));
    const __m256i limited = _mm256_max_epi32(q, _mm256_set1_epi32(INT16_MIN));
    const __m256i y = _mm256_add_epi32(limited, _mm256_set1_epi32(p->zero_point));
    return clamp_lanes(clamp_lanes(y, INT16_MIN, INT16_MAX), p->qmin, p->qmax);
}

/* Stores of 8 elements that fit their type. */
INLINE __m128i words(__m256i x) {
    return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
INLINE void store_s8(int8_t *to, __m256i x) {
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(words(x), words(x)));
}
INLINE void store_u8(uint8_t *to, __m256i x) {
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(words(x), words(x)));
}
INLINE void store_s16(int16_t *to, __m256i x) {
    _mm_storeu_si128((__m128i *)(void *)to, words(x));
}

/* The definition computes elements from i on. */
#define REST(name)                                                                                             \
    qc_affine_body_params rest = *p;                                                                           \
    rest.count = p->count - i;                                                                                 \
    rest.body = p->body - i;                                                                                   \
    return qc_##name##_ref(&rest, input + i, output + i, scratch);

#define QUANTIZE_VERSION(rule, suffix, T, leading, one_over)                                                   \
    TARGET qc_status qc_##rule##_f32_##suffix##_avx2(const qc_affine_body_params *p, const float *input,       \
                                                     T *output, void *scratch) {                               \
        const float reciprocal = one_over;                                                                     \
        int64_t i = 0;                                                                                         \
        for (; i + 8 <= (leading); i += 8)                                                                     \
            store_##suffix(output + i, rule(p, _mm256_loadu_ps(input + i), reciprocal));                       \
        REST(rule##_f32_##suffix)                                                                              \
    }
QUANTIZE_VERSION(quantize_reciprocal, s8, int8_t, p->body, (float)(1.0 / (double)p->scale))
QUANTIZE_VERSION(quantize_reciprocal, u8, uint8_t, p->body, (float)(1.0 / (double)p->scale))
QUANTIZE_VERSION(quantize_reciprocal, s16, int16_t, p->body, (float)(1.0 / (double)p->scale))
QUANTIZE_VERSION(quantize_saturating, s8, int8_t, p->count, 1.0f / p->scale)
QUANTIZE_VERSION(quantize_saturating, u8, uint8_t, p->count, 1.0f / p->scale)

#define DEQUANTIZE_VERSION(suffix, T, widen)                                                                   \
    TARGET qc_status qc_dequantize_terms_##suffix##_f32_avx2(const qc_affine_body_params *p, const T *input,   \
                                                             float *output, void *scratch) {                   \
        const __m256 zero = _mm256_set1_ps((float)(-(double)p->zero_point * (double)p->scale));                \
        const __m256 scale = _mm256_set1_ps(p->scale);                                                         \
        int64_t i = 0;                                                                                         \
        for (; i + 8 <= p->body; i += 8) {                                                                     \
            const __m256i q = widen(_mm_loadl_epi64((const __m128i *)(const void *)(input + i)));              \
            _mm256_storeu_ps(output + i, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(q), scale), zero));    \
        }                                                                                                      \
        REST(dequantize_terms_##suffix##_f32)                                                                  \
    }
DEQUANTIZE_VERSION(s8, int8_t, _mm256_cvtepi8_epi32)
DEQUANTIZE_VERSION(u8, uint8_t, _mm256_cvtepu8_epi32)
