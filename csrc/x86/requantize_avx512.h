/* The requantization rules of requantize.h on 16 accumulators at a time. */
#ifndef QUANTCORE_X86_REQUANTIZE_AVX512_H
#define QUANTCORE_X86_REQUANTIZE_AVX512_H

#include <immintrin.h>

#include "quantcore/requantize.h"

#define QC_AVX512_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
#define QC_AVX512 static inline __attribute__((target(QC_AVX512_TARGET)))

/* qc_srdhm for multipliers that are not negative. */
QC_AVX512 __m512i qc_srdhm_avx512(__m512i x, __m512i multiplier) {
    const __m512i nudge = _mm512_set1_epi64((int64_t)1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, multiplier), nudge);
    const __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(multiplier, 32)), nudge);
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
}

/* qc_rounding_divide_by_pot. */
QC_AVX512 __m512i qc_rounding_divide_by_pot_avx512(__m512i x, __m512i exponent) {
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, exponent), one);
    const __m512i threshold = _mm512_add_epi32(_mm512_srli_epi32(mask, 1), _mm512_srli_epi32(x, 31));
    const __mmask16 up = _mm512_cmpgt_epi32_mask(_mm512_and_si512(x, mask), threshold);
    const __m512i down = _mm512_srav_epi32(x, exponent);
    return _mm512_mask_add_epi32(down, up, down, one);
}

/* qc_rounding_right_shift: the last bit that is shifted out is what half up adds. */
QC_AVX512 __m512i qc_rounding_right_shift_avx512(__m512i x, __m512i exponent) {
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i last = _mm512_srlv_epi32(x, _mm512_sub_epi32(exponent, one));
    return _mm512_add_epi32(_mm512_srav_epi32(x, exponent), _mm512_and_si512(last, one));
}

/* qc_multiply_float64 on 8 accumulators: round half away from zero; the conversion of what does not fit
 * gives INT32_MIN. */
QC_AVX512 __m256i qc_multiply_float64_avx512(__m256i x, __m512d multiplier) {
    const __m512d product = _mm512_mul_pd(_mm512_cvtepi32_pd(x), multiplier);
    const __m512d whole = _mm512_roundscale_pd(product, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m512d fraction = _mm512_sub_pd(product, whole);
    const __mmask8 up = _mm512_cmp_pd_mask(_mm512_abs_pd(fraction), _mm512_set1_pd(0.5), _CMP_GE_OQ);
    const __m512d sign = _mm512_and_pd(product, _mm512_set1_pd(-0.0));
    const __m512d away = _mm512_or_pd(sign, _mm512_set1_pd(1.0));
    return _mm512_cvttpd_epi32(_mm512_mask_add_pd(whole, up, whole, away));
}

/* qc_multiply_float32 within QC_FLOAT32_LIMIT: half to even. */
QC_AVX512 __m512i qc_multiply_float32_avx512(__m512i x, __m512 multiplier) {
    const __m512 limit = _mm512_set1_ps((float)QC_FLOAT32_LIMIT);
    const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(x), multiplier);
    const __m512 above = _mm512_max_ps(product, _mm512_sub_ps(_mm512_setzero_ps(), limit));
    return _mm512_cvtps_epi32(_mm512_min_ps(above, limit));
}

/* The accumulators of channels [channel, channel + 16) that are in `exist`, by a float rule. */
QC_AVX512 __m512i qc_requantize_real_avx512(const qc_requant *r, qc_rounding rule, __m512i acc,
                                            int32_t channel, __mmask16 exist) {
    const double *real = r->real_multiplier + (r->per_channel ? channel : 0);
    const __m512d all = _mm512_set1_pd(real[0]);
    const __mmask8 low_exist = (__mmask8)exist, high_exist = (__mmask8)(exist >> 8);
    const __m512d low = r->per_channel ? _mm512_maskz_loadu_pd(low_exist, real) : all;
    const __m512d high = r->per_channel ? _mm512_maskz_loadu_pd(high_exist, real + 8) : all;
    if (rule == QC_FLOAT32) {
        const __m512 multiplier =
            _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
        return qc_multiply_float32_avx512(acc, multiplier);
    }
    const __m256i low_y = qc_multiply_float64_avx512(_mm512_castsi512_si256(acc), low);
    const __m256i high_y = qc_multiply_float64_avx512(_mm512_extracti64x4_epi64(acc, 1), high);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low_y), high_y, 1);
}

/* qc_requantize_one by a given rule. */
QC_AVX512 __m512i qc_requantize_by_avx512(const qc_requant *r, qc_rounding rule, __m512i acc,
                                          int32_t channel, __mmask16 exist) {
    if (rule == QC_FLOAT64 || rule == QC_FLOAT32)
        return qc_requantize_real_avx512(r, rule, acc, channel, exist);
    const __m512i multiplier = r->per_channel ? _mm512_maskz_loadu_epi32(exist, r->multiplier + channel)
                                              : _mm512_set1_epi32(r->multiplier[0]);
    const __m512i shift = r->per_channel ? _mm512_maskz_loadu_epi32(exist, r->shift + channel)
                                         : _mm512_set1_epi32(r->shift[0]);
    const __m512i zero = _mm512_setzero_si512();
    const __m512i left = _mm512_max_epi32(shift, zero);
    const __m512i right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
    const __m512i high = qc_srdhm_avx512(_mm512_sllv_epi32(acc, left), multiplier);
    return rule == QC_RUY ? qc_rounding_right_shift_avx512(high, right)
                          : qc_rounding_divide_by_pot_avx512(high, right);
}

/* qc_offset_and_clamp: where it clamps first, the second clamp changes nothing. */
QC_AVX512 __m512i qc_offset_and_clamp_avx512(const qc_requant *r, __m512i y) {
    const __m512i low = _mm512_set1_epi32(r->activation_min), high = _mm512_set1_epi32(r->activation_max);
    const __m512i offset = _mm512_set1_epi32(r->output_offset);
    if (r->rounding == QC_FLOAT32) {
        y = _mm512_max_epi32(y, _mm512_sub_epi32(low, offset));
        y = _mm512_min_epi32(y, _mm512_sub_epi32(high, offset));
    }
    y = _mm512_add_epi32(y, offset);
    return _mm512_min_epi32(_mm512_max_epi32(y, low), high);
}

/* qc_requantize on the accumulators of channels [channel, channel + 16) that are in `exist`. */
QC_AVX512 __m512i qc_requantize_avx512(const qc_requant *r, __m512i acc, int32_t channel, __mmask16 exist) {
    const int32_t body = r->body - channel; /* channels of this vector before the tail */
    __m512i y;
    if (body >= 16) {
        y = qc_requantize_by_avx512(r, r->rounding, acc, channel, exist);
    } else {
        y = qc_requantize_by_avx512(r, r->tail, acc, channel, exist);
        if (body > 0)
            y = _mm512_mask_mov_epi32(y, (__mmask16)((1u << body) - 1),
                                      qc_requantize_by_avx512(r, r->rounding, acc, channel, exist));
    }
    return qc_offset_and_clamp_avx512(r, y);
}

#endif
