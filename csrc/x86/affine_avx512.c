/* QUANTIZE with AVX-512: as affine_avx2.c, 64 elements at a time. Short runs are left to AVX2. */
#include <immintrin.h>

#include "../kernels.h"
#include "lookup.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
enum { LANES = 16, BLOCK = 64 };

TARGET static inline __m512i divide_and_round(__m512 x, __m512 scale) {
    const __m512 v = _mm512_div_ps(x, scale);
    const __m512 sign = _mm512_and_ps(v, _mm512_set1_ps(-0.0f));
    const __m512 half = _mm512_or_ps(sign, _mm512_set1_ps(0x1.fffffep-2f));
    return _mm512_cvttps_epi32(_mm512_add_ps(v, half));
}

static inline int has_reciprocal(float scale) {
    return scale > 0x1p-100f && scale < 0x1p+100f;
}

TARGET static inline void round_block(const float *input, float scale, __m512i q[4]) {
    const __m512 below = _mm512_set1_ps(1.0f / scale * (1 - 0x1p-21f));
    const __m512 above = _mm512_set1_ps(1.0f / scale * (1 + 0x1p-21f));
    __m512i differ = _mm512_setzero_si512();
    for (int k = 0; k < 4; ++k) {
        const __m512 x = _mm512_loadu_ps(input + LANES * k);
        const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(x, above));
        q[k] = _mm512_cvtps_epi32(_mm512_mul_ps(x, below));
        differ = _mm512_or_si512(differ, _mm512_xor_si512(q[k], high));
    }
    if (_mm512_test_epi32_mask(differ, differ))
        for (int k = 0; k < 4; ++k)
            q[k] = divide_and_round(_mm512_loadu_ps(input + LANES * k), _mm512_set1_ps(scale));
}

/* Packing saturates and interleaves quarters, see affine_avx2.c. */
TARGET static inline __m512i in_order(__m512i packed) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, packed);
}
TARGET static inline void store_s8(int8_t *output, const __m512i q[4], int32_t qmin, int32_t qmax) {
    const __m512i words = _mm512_packs_epi32(q[0], q[1]);
    __m512i bytes = in_order(_mm512_packs_epi16(words, _mm512_packs_epi32(q[2], q[3])));
    bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8((char)qmin));
    _mm512_storeu_si512(output, _mm512_min_epi8(bytes, _mm512_set1_epi8((char)qmax)));
}
TARGET static inline void store_u8(uint8_t *output, const __m512i q[4], int32_t qmin, int32_t qmax) {
    const __m512i words = _mm512_packs_epi32(q[0], q[1]);
    __m512i bytes = in_order(_mm512_packus_epi16(words, _mm512_packs_epi32(q[2], q[3])));
    bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8((char)qmin));
    _mm512_storeu_si512(output, _mm512_min_epu8(bytes, _mm512_set1_epi8((char)qmax)));
}
TARGET static inline void store_s16(int16_t *output, const __m512i q[4], int32_t qmin, int32_t qmax) {
    for (int k = 0; k < 4; ++k) {
        __m256i words = _mm512_cvtsepi32_epi16(q[k]);
        words = _mm256_max_epi16(words, _mm256_set1_epi16((short)qmin));
        words = _mm256_min_epi16(words, _mm256_set1_epi16((short)qmax));
        _mm256_storeu_si256((__m256i *)(output + LANES * k), words);
    }
}
TARGET static inline void store_s32(int32_t *output, const __m512i q[4], int32_t qmin, int32_t qmax) {
    for (int k = 0; k < 4; ++k) {
        const __m512i y = _mm512_max_epi32(q[k], _mm512_set1_epi32(qmin));
        _mm512_storeu_si512(output + LANES * k, _mm512_min_epi32(y, _mm512_set1_epi32(qmax)));
    }
}

#define DEFINE_QUANTIZE(suffix, T)                                                                 \
    TARGET static void quantize_run_##suffix(const qc_affine_params *p, int64_t c, const float *input, T *output) { \
        const float scale = p->scale[c];                                                           \
        const __m512i zero_point = _mm512_set1_epi32(p->zero_point[c]);                            \
        int64_t i = 0;                                                                             \
        for (; i + BLOCK <= p->inner && has_reciprocal(scale); i += BLOCK) {                       \
            __m512i q[4];                                                                          \
            round_block(input + i, scale, q);                                                      \
            for (int k = 0; k < 4; ++k) q[k] = _mm512_add_epi32(q[k], zero_point);                 \
            store_##suffix(output + i, q, p->qmin, p->qmax);                                       \
        }                                                                                          \
        for (; i < p->inner; ++i)                                                                  \
            output[i] = (T)qc_quantize_one(input[i], scale, p->zero_point[c], p->qmin, p->qmax);   \
    }                                                                                              \
    TARGET qc_status qc_quantize_f32_##suffix##_avx512(const qc_affine_params *p, const float *input, T *output, \
                                                       void *scratch) {                            \
        if (p->inner < BLOCK) return qc_quantize_f32_##suffix##_avx2(p, input, output, scratch);   \
        for (int64_t o = 0; o < p->outer; ++o)                                                     \
            for (int64_t c = 0; c < p->channels; ++c, input += p->inner, output += p->inner)       \
                quantize_run_##suffix(p, c, input, output);                                        \
        return QC_OK;                                                                              \
    }
DEFINE_QUANTIZE(s8, int8_t)
DEFINE_QUANTIZE(u8, uint8_t)
DEFINE_QUANTIZE(s16, int16_t)
DEFINE_QUANTIZE(s32, int32_t)

QC_REQUANTIZE_8BIT(QC_REQUANTIZE_BY_TABLE, avx512)
