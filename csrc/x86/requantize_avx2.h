/* The requantization rules of requantize.h on 8 accumulators at a time. */
#ifndef QUANTCORE_X86_REQUANTIZE_AVX2_H
#define QUANTCORE_X86_REQUANTIZE_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "quantcore/requantize.h"

#define QC_AVX2 static inline __attribute__((target("avx2")))

/* qc_srdhm for multipliers that are not negative. */
QC_AVX2 __m256i qc_srdhm_avx2(__m256i x, __m256i multiplier) {
    const __m256i nudge = _mm256_set1_epi64x((int64_t)1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), nudge);
    const __m256i odd = _mm256_add_epi64(
        _mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(multiplier, 32)), nudge);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
}

/* qc_rounding_divide_by_pot. */
QC_AVX2 __m256i qc_rounding_divide_by_pot_avx2(__m256i x, __m256i exponent) {
    const __m256i mask =
        _mm256_sub_epi32(_mm256_sllv_epi32(_mm256_set1_epi32(1), exponent), _mm256_set1_epi32(1));
    const __m256i threshold = _mm256_add_epi32(_mm256_srli_epi32(mask, 1), _mm256_srli_epi32(x, 31));
    const __m256i up = _mm256_cmpgt_epi32(_mm256_and_si256(x, mask), threshold);
    return _mm256_sub_epi32(_mm256_srav_epi32(x, exponent), up);
}

/* qc_rounding_right_shift: the last bit that is shifted out is what half up adds. */
QC_AVX2 __m256i qc_rounding_right_shift_avx2(__m256i x, __m256i exponent) {
    const __m256i last = _mm256_srlv_epi32(x, _mm256_sub_epi32(exponent, _mm256_set1_epi32(1)));
    return _mm256_add_epi32(_mm256_srav_epi32(x, exponent), _mm256_and_si256(last, _mm256_set1_epi32(1)));
}

/* qc_round_to_int32 of 4 products: half away from zero; the conversion of what does not fit gives INT32_MIN. */
QC_AVX2 __m128i qc_round_to_int32_avx2(__m256d product) {
    const __m256d whole = _mm256_round_pd(product, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m256d sign = _mm256_set1_pd(-0.0);
    const __m256d fraction = _mm256_andnot_pd(sign, _mm256_sub_pd(product, whole));
    const __m256d one = _mm256_or_pd(_mm256_and_pd(product, sign), _mm256_set1_pd(1.0));
    const __m256d up = _mm256_and_pd(_mm256_cmp_pd(fraction, _mm256_set1_pd(0.5), _CMP_GE_OQ), one);
    return _mm256_cvttpd_epi32(_mm256_add_pd(whole, up));
}

/* qc_multiply_float64 on 4 accumulators. */
QC_AVX2 __m128i qc_multiply_float64_avx2(__m128i x, __m256d multiplier) {
    return qc_round_to_int32_avx2(_mm256_mul_pd(_mm256_cvtepi32_pd(x), multiplier));
}

/* qc_multiply_float32 within QC_FLOAT32_LIMIT: half to even. */
QC_AVX2 __m256i qc_multiply_float32_avx2(__m256i x, __m256 multiplier) {
    const __m256 limit = _mm256_set1_ps((float)QC_FLOAT32_LIMIT);
    const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(x), multiplier);
    const __m256 above = _mm256_max_ps(product, _mm256_sub_ps(_mm256_setzero_ps(), limit));
    return _mm256_cvtps_epi32(_mm256_min_ps(above, limit));
}

/* The accumulators of channels [channel, channel + 8) by a float rule. */
QC_AVX2 __m256i qc_requantize_real_avx2(const qc_requant *r, qc_rounding rule, __m256i acc,
                                        int32_t channel) {
    const double *real = r->real_multiplier;
    const __m256d low = r->per_channel ? _mm256_loadu_pd(real + channel) : _mm256_set1_pd(real[0]);
    const __m256d high = r->per_channel ? _mm256_loadu_pd(real + channel + 4) : low;
    if (rule == QC_FLOAT32)
        return qc_multiply_float32_avx2(acc, _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low)));
    return _mm256_set_m128i(qc_multiply_float64_avx2(_mm256_extracti128_si256(acc, 1), high),
                            qc_multiply_float64_avx2(_mm256_castsi256_si128(acc), low));
}

/* qc_requantize_one by a given rule. */
QC_AVX2 __m256i qc_requantize_by_avx2(const qc_requant *r, qc_rounding rule, __m256i acc, int32_t channel) {
    if (rule == QC_FLOAT64 || rule == QC_FLOAT32) return qc_requantize_real_avx2(r, rule, acc, channel);
    const __m256i multiplier =
        r->per_channel ? _mm256_loadu_si256((const __m256i *)(const void *)(r->multiplier + channel))
                       : _mm256_set1_epi32(r->multiplier[0]);
    const __m256i shift = r->per_channel
                              ? _mm256_loadu_si256((const __m256i *)(const void *)(r->shift + channel))
                              : _mm256_set1_epi32(r->shift[0]);
    const __m256i zero = _mm256_setzero_si256();
    const __m256i left = _mm256_max_epi32(shift, zero);
    const __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
    const __m256i high = qc_srdhm_avx2(_mm256_sllv_epi32(acc, left), multiplier);
    return rule == QC_RUY ? qc_rounding_right_shift_avx2(high, right)
                          : qc_rounding_divide_by_pot_avx2(high, right);
}

/* qc_offset_and_clamp: where it clamps first, the second clamp changes nothing. */
QC_AVX2 __m256i qc_offset_and_clamp_avx2(const qc_requant *r, __m256i y) {
    const __m256i low = _mm256_set1_epi32(r->activation_min), high = _mm256_set1_epi32(r->activation_max);
    const __m256i offset = _mm256_set1_epi32(r->output_offset);
    if (r->rounding == QC_FLOAT32) {
        y = _mm256_max_epi32(y, _mm256_sub_epi32(low, offset));
        y = _mm256_min_epi32(y, _mm256_sub_epi32(high, offset));
    }
    y = _mm256_add_epi32(y, offset);
    return _mm256_min_epi32(_mm256_max_epi32(y, low), high);
}

/* qc_requantize on the accumulators of channels [channel, channel + 8), all of which exist. */
QC_AVX2 __m256i qc_requantize_avx2(const qc_requant *r, __m256i acc, int32_t channel) {
    const int32_t body = r->body - channel; /* channels of this vector before the tail */
    __m256i y;
    if (body >= 8) {
        y = qc_requantize_by_avx2(r, r->rounding, acc, channel);
    } else {
        y = qc_requantize_by_avx2(r, r->tail, acc, channel);
        if (body > 0) {
            const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            const __m256i in_body = _mm256_cmpgt_epi32(_mm256_set1_epi32(body), places);
            y = _mm256_blendv_epi8(y, qc_requantize_by_avx2(r, r->rounding, acc, channel), in_body);
        }
    }
    return qc_offset_and_clamp_avx2(r, y);
}

/* The prepared forms. -------------------------------------------------------------------------------- */

QC_AVX2 __m256i qc_load_avx2(const void *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}

/* The floor forms on 8 accumulators, those of half `half` (0 or 1) of a block. FORM is a constant. */
QC_AVX2 __attribute__((always_inline)) __m256i qc_floor_avx2(const qc_requant_form FORM,
                                                             const qc_requant_block *block, int half,
                                                             __m256i acc) {
    const int64_t *nudge = block->nudge + 8 * half;
    const __m256i multiplier = qc_load_avx2(block->multiplier + 8 * half);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(acc, multiplier), qc_load_avx2(nudge));
    const __m256i odd = _mm256_add_epi64(
        _mm256_mul_epi32(_mm256_srli_epi64(acc, 32), _mm256_srli_epi64(multiplier, 32)),
        qc_load_avx2(nudge + 4));
    const int wide = FORM == QC_FORM_FLOOR_WIDE;
    __m256i w = _mm256_blend_epi32(_mm256_srli_epi64(even, 30 + wide), _mm256_slli_epi64(odd, 2 - wide), 0xAA);
    if (FORM != QC_FORM_FLOOR)
        w = _mm256_add_epi32(
            w, _mm256_andnot_si256(_mm256_srai_epi32(acc, 31), qc_load_avx2(block->away + 8 * half)));
    return _mm256_srav_epi32(w, qc_load_avx2(block->right + 8 * half));
}

/* 8 accumulators, those of half `half` (0 or 1) of a block, by a prepared form, which is a constant; without offset and
 * clamp. Results beyond int16 may be saturated. */
QC_AVX2 __attribute__((always_inline)) __m256i qc_prepared_avx2(const qc_requant_form FORM,
                                                                const qc_requant_block *block, int half,
                                                                __m256i acc) {
    if (FORM == QC_FORM_FLOAT32) {
        const __m256 product =
            _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_loadu_ps(block->real + 8 * half));
        return _mm256_cvtps_epi32(_mm256_min_ps(product, _mm256_set1_ps((float)QC_FLOAT32_LIMIT)));
    }
    if (FORM == QC_FORM_FLOAT64) {
        const double *real = block->factor + 8 * half;
        return _mm256_set_m128i(
            qc_multiply_float64_avx2(_mm256_extracti128_si256(acc, 1), _mm256_loadu_pd(real + 4)),
            qc_multiply_float64_avx2(_mm256_castsi256_si128(acc), _mm256_loadu_pd(real)));
    }
    return qc_floor_avx2(FORM, block, half, acc);
}

/* Offset and bounds of the outputs of 8 bits, for 32 of them; is_signed as in qc_bytes_avx512. */
typedef struct {
    __m256i offset; /* int16 */
    __m256i low, high;
    __m256i order; /* of the dwords that packing leaves */
    int is_signed;
} qc_bytes_avx2;

QC_AVX2 qc_bytes_avx2 qc_make_bytes_avx2(const qc_requant *r) {
    const qc_bytes_avx2 bytes = {
        .offset = _mm256_set1_epi16((short)r->output_offset),
        .low = _mm256_set1_epi8((char)r->activation_min),
        .high = _mm256_set1_epi8((char)r->activation_max),
        .order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7),
        .is_signed = r->activation_min < 0,
    };
    return bytes;
}

/* Four vectors of 8 scaled accumulators as 32 outputs in order. */
QC_AVX2 __attribute__((always_inline)) __m256i qc_to_bytes_avx2(const qc_bytes_avx2 *b, __m256i y0, __m256i y1,
                                                                __m256i y2, __m256i y3) {
    const __m256i words01 = _mm256_adds_epi16(_mm256_packs_epi32(y0, y1), b->offset);
    const __m256i words23 = _mm256_adds_epi16(_mm256_packs_epi32(y2, y3), b->offset);
    __m256i bytes;
    if (b->is_signed) {
        bytes = _mm256_packs_epi16(words01, words23);
        bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, b->low), b->high);
    } else {
        bytes = _mm256_packus_epi16(words01, words23);
        bytes = _mm256_min_epu8(_mm256_max_epu8(bytes, b->low), b->high);
    }
    return _mm256_permutevar8x32_epi32(bytes, b->order);
}

/* Store the first `count` of 32 bytes. */
QC_AVX2 void qc_store_bytes_avx2(uint8_t *output, __m256i bytes, int64_t count) {
    if (count >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)output, bytes);
        return;
    }
    uint8_t all[32];
    _mm256_storeu_si256((__m256i *)(void *)all, bytes);
    memcpy(output, all, (size_t)count);
}

/* `count` accumulators of channels from the first of `block` on to outputs; FORM is a constant. acc is readable to a
 * multiple of 8. */
QC_AVX2 __attribute__((always_inline)) void qc_requantize_prepared_avx2(const qc_requant_form FORM,
                                                                        const qc_requant *r,
                                                                        const qc_requant_block *block,
                                                                        const int32_t *acc, int64_t count,
                                                                        uint8_t *output) {
    const qc_bytes_avx2 bytes = qc_make_bytes_avx2(r);
    for (int64_t i = 0; i < count; i += 32, block += 2) {
        __m256i y[4];
        for (int j = 0; j < 4; ++j) {
            y[j] = _mm256_setzero_si256();
            if (i + j * 8 < count)
                y[j] = qc_prepared_avx2(FORM, block + j / 2, j % 2, qc_load_avx2(acc + i + j * 8));
        }
        qc_store_bytes_avx2(output + i, qc_to_bytes_avx2(&bytes, y[0], y[1], y[2], y[3]), count - i);
    }
}

#endif
