/* The float sides of hybrid operators, 16 floats at a time: see hybrid_avx2.c. */
#include <immintrin.h>
#include <math.h>
#include <stddef.h>

#include "gemm.h"

#define QC_AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq"))) static

static inline __mmask16 lanes_from(int64_t i, int64_t count) {
    return count - i >= 16 ? 0xFFFF : (__mmask16)((1u << (count - i)) - 1);
}

/* The second operand of minimum and maximum wins where the first is NaN. */
QC_AVX512 void find_range(const float *input, int64_t count, float *low, float *high) {
    __m512 lows[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, highs[2] = {lows[0], lows[0]};
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) {
        for (int k = 0; k < 2; ++k) {
            const __m512 x = _mm512_loadu_ps(input + i + 16 * k);
            lows[k] = _mm512_min_ps(x, lows[k]);
            highs[k] = _mm512_max_ps(x, highs[k]);
        }
    }
    for (; i < count; i += 16) {
        const __m512 x = _mm512_maskz_loadu_ps(lanes_from(i, count), input + i);
        lows[0] = _mm512_min_ps(x, lows[0]);
        highs[0] = _mm512_max_ps(x, highs[0]);
    }
    *low = _mm512_reduce_min_ps(_mm512_min_ps(lows[0], lows[1]));
    *high = _mm512_reduce_max_ps(_mm512_max_ps(highs[0], highs[1]));
}

QC_AVX512 void quantize_blocks(const float *input, int64_t count, float inverse_scale, int32_t zero_point,
                               int32_t qmin, int8_t *output) {
    if (isinf(inverse_scale)) { /* infinite products, whose conversion saturates */
        qc_hybrid_ref.blocks(input, count, inverse_scale, zero_point, qmin, output);
        return;
    }
    const __m512 scale = _mm512_set1_ps(inverse_scale), zero = _mm512_setzero_ps();
    const __m512 half = _mm512_set1_ps(0.5f), minus_half = _mm512_set1_ps(-0.5f);
    const __m512i offset = _mm512_set1_epi32(zero_point);
    const __m512i least = _mm512_set1_epi32(qmin), most = _mm512_set1_epi32(127);
    const int64_t whole = count / 8 * 8;
    for (int64_t i = 0; i < whole; i += 16) {
        const __mmask16 exist = lanes_from(i, whole);
        const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(exist, input + i), scale);
        const __mmask16 is_negative = _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ);
        const __m512 signed_half = _mm512_mask_blend_ps(is_negative, half, minus_half);
        const __m512i q = _mm512_add_epi32(_mm512_cvttps_epi32(_mm512_add_ps(v, signed_half)), offset);
        const __m512i clamped = _mm512_min_epi32(_mm512_max_epi32(q, least), most);
        _mm_mask_storeu_epi8(output + i, exist, _mm512_cvtepi32_epi8(clamped));
    }
}

const qc_hybrid_loops qc_hybrid_avx512 = {.range = find_range, .blocks = quantize_blocks};

__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq"))) void qc_hybrid_outputs_avx512(const qc_hybrid_output *h,
                                                                                            const int32_t *acc,
                                                                                            int32_t count,
                                                                                            float *output) {
    const __m512 scale = _mm512_set1_ps(h->scale), zero = _mm512_setzero_ps();
    const __m512 low = _mm512_set1_ps(h->low), high = _mm512_set1_ps(h->high);
    for (int32_t i = 0; i < count; i += 16) {
        const __mmask16 exist = lanes_from(i, count);
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(exist, acc + i));
        __m512 y;
        if (h->filter_scale != NULL)
            y = _mm512_mul_ps(_mm512_mul_ps(sum, _mm512_maskz_loadu_ps(exist, h->filter_scale + i)), scale);
        else
            y = _mm512_add_ps(zero, _mm512_mul_ps(sum, scale));
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(exist, h->bias + i));
        _mm512_mask_storeu_ps(output + i, exist, _mm512_min_ps(high, _mm512_max_ps(low, y)));
    }
}
