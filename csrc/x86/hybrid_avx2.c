/* The float sides of hybrid operators, 8 floats at a time: quantization of activations on the fly, and sums that become
 * floats. */
#include <immintrin.h>
#include <math.h>
#include <stddef.h>

#include "gemm.h"

#define QC_AVX2 __attribute__((target("avx2"))) static

/* The second operand of minimum and maximum wins where the first is NaN. */
QC_AVX2 void find_range(const float *input, int64_t count, float *low, float *high) {
    __m256 lows = _mm256_setzero_ps(), highs = lows, more_lows = lows, more_highs = lows;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256 x = _mm256_loadu_ps(input + i), more = _mm256_loadu_ps(input + i + 8);
        lows = _mm256_min_ps(x, lows);
        highs = _mm256_max_ps(x, highs);
        more_lows = _mm256_min_ps(more, more_lows);
        more_highs = _mm256_max_ps(more, more_highs);
    }
    lows = _mm256_min_ps(lows, more_lows);
    highs = _mm256_max_ps(highs, more_highs);
    float all_lows[8], all_highs[8];
    _mm256_storeu_ps(all_lows, lows);
    _mm256_storeu_ps(all_highs, highs);
    qc_hybrid_ref.range(input + i, count - i, low, high);
    for (int lane = 0; lane < 8; ++lane) {
        if (all_lows[lane] < *low) *low = all_lows[lane];
        if (all_highs[lane] > *high) *high = all_highs[lane];
    }
}

QC_AVX2 void quantize_blocks(const float *input, int64_t count, float inverse_scale, int32_t zero_point,
                             int32_t qmin, int8_t *output) {
    if (isinf(inverse_scale)) { /* infinite products, whose conversion saturates */
        qc_hybrid_ref.blocks(input, count, inverse_scale, zero_point, qmin, output);
        return;
    }
    const __m256 scale = _mm256_set1_ps(inverse_scale), zero = _mm256_setzero_ps();
    const __m256 half = _mm256_set1_ps(0.5f), sign = _mm256_set1_ps(-0.0f);
    const __m256i offset = _mm256_set1_epi32(zero_point);
    const __m256i least = _mm256_set1_epi32(qmin), most = _mm256_set1_epi32(127);
    for (int64_t i = 0; i + 8 <= count; i += 8) {
        const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(input + i), scale);
        const __m256 is_negative = _mm256_cmp_ps(v, zero, _CMP_LT_OQ);
        const __m256 signed_half = _mm256_or_ps(half, _mm256_and_ps(is_negative, sign));
        __m256i q = _mm256_add_epi32(_mm256_cvttps_epi32(_mm256_add_ps(v, signed_half)), offset);
        q = _mm256_min_epi32(_mm256_max_epi32(q, least), most);
        const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
        _mm_storel_epi64((__m128i *)(void *)(output + i), _mm_packs_epi16(words, words));
    }
}

QC_AVX2 __m256 clamp(__m256 x, float low, float high) {
    return _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), x));
}

__attribute__((target("avx2"))) void qc_hybrid_outputs_avx2(const qc_hybrid_output *h, const int32_t *acc,
                                                            int32_t count, float *output) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256 scale = _mm256_set1_ps(h->scale);
    for (int32_t i = 0; i < count; i += 8) {
        const __m256i exist = _mm256_cmpgt_epi32(_mm256_set1_epi32(count - i), lanes);
        const __m256 sum = _mm256_cvtepi32_ps(_mm256_maskload_epi32(acc + i, exist));
        const __m256 bias = _mm256_maskload_ps(h->bias + i, exist);
        __m256 y;
        if (h->filter_scale != NULL)
            y = _mm256_mul_ps(_mm256_mul_ps(sum, _mm256_maskload_ps(h->filter_scale + i, exist)), scale);
        else
            y = _mm256_add_ps(_mm256_setzero_ps(), _mm256_mul_ps(sum, scale));
        _mm256_maskstore_ps(output + i, exist, clamp(_mm256_add_ps(y, bias), h->low, h->high));
    }
}

const qc_hybrid_loops qc_hybrid_avx2 = {.range = find_range, .blocks = quantize_blocks};
