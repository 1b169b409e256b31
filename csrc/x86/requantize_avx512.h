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

/* The prepared forms. -------------------------------------------------------------------------------- */

/* QC_FORM_FLOAT64 on 8 accumulators: half away from zero. The sum is rounded toward zero, so that it does not reach a
 * whole number that the exact one does not. */
QC_AVX512 __m256i qc_round_away_avx512(__m256i x, const double *real) {
    const __m512d product = _mm512_mul_pd(_mm512_cvtepi32_pd(x), _mm512_loadu_pd(real));
    const __m512d sign = _mm512_and_pd(product, _mm512_set1_pd(-0.0));
    const __m512d half = _mm512_or_pd(sign, _mm512_set1_pd(0.5));
    return _mm512_cvttpd_epi32(_mm512_add_round_pd(product, half, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}

/* The floor forms on 16 accumulators x, given as x ^ 2^31. FORM is a constant. */
QC_AVX512 __attribute__((always_inline)) __m512i qc_floor_avx512(const qc_requant_form FORM,
                                                                 const qc_requant_block *block,
                                                                 __m512i flipped) {
    const __m512i exponent = _mm512_set1_epi32(0x43300000); /* of 2^52 */
    enum { DOWN = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };
    const __m512d low = _mm512_castsi512_pd(_mm512_unpacklo_epi32(flipped, exponent));
    const __m512d high = _mm512_castsi512_pd(_mm512_unpackhi_epi32(flipped, exponent));
    const __m512d w_low = _mm512_fmadd_round_pd(low, _mm512_loadu_pd(block->factor),
                                                _mm512_loadu_pd(block->addend), DOWN);
    const __m512d w_high = _mm512_fmadd_round_pd(high, _mm512_loadu_pd(block->factor + 8),
                                                 _mm512_loadu_pd(block->addend + 8), DOWN);
    __m512i low_bits = _mm512_castpd_si512(w_low), high_bits = _mm512_castpd_si512(w_high);
    if (FORM == QC_FORM_FLOOR_WIDE) {
        low_bits = _mm512_srli_epi64(low_bits, 1);
        high_bits = _mm512_srli_epi64(high_bits, 1);
    }
    __m512i w = _mm512_castps_si512(
        _mm512_shuffle_ps(_mm512_castsi512_ps(low_bits), _mm512_castsi512_ps(high_bits), 0x88));
    if (FORM != QC_FORM_FLOOR) {
        const __mmask16 positive = _mm512_cmplt_epi32_mask(flipped, _mm512_setzero_si512()); /* x >= 0 */
        w = _mm512_mask_add_epi32(w, positive, w, _mm512_loadu_si512(block->away));
    }
    return _mm512_srav_epi32(w, _mm512_loadu_si512(block->right));
}

/* 16 accumulators of the channels of a block by a prepared form, which is a constant; without offset and clamp.
 * Results beyond int16 may be saturated. */
QC_AVX512 __attribute__((always_inline)) __m512i qc_prepared_avx512(const qc_requant_form FORM,
                                                                    const qc_requant_block *block,
                                                                    __m512i acc) {
    if (FORM == QC_FORM_FLOAT32) {
        const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(block->real));
        return _mm512_cvtps_epi32(_mm512_min_ps(product, _mm512_set1_ps((float)QC_FLOAT32_LIMIT)));
    }
    if (FORM == QC_FORM_FLOAT64) {
        const __m256i low = qc_round_away_avx512(_mm512_castsi512_si256(acc), block->factor);
        const __m256i high = qc_round_away_avx512(_mm512_extracti64x4_epi64(acc, 1), block->factor + 8);
        return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
    return qc_floor_avx512(FORM, block, _mm512_xor_si512(acc, _mm512_set1_epi32(INT32_MIN)));
}

/* Offset and bounds of the outputs of 8 bits, for 64 of them. Those from 0 to 255 are unsigned; the others, and those
 * from 0 to 127, may be either. */
typedef struct {
    __m512i offset; /* int16 */
    __m512i low, high;
    __m512i order; /* of the dwords that packing leaves */
    int is_signed;
} qc_bytes_avx512;

QC_AVX512 qc_bytes_avx512 qc_make_bytes_avx512(const qc_requant *r) {
    const qc_bytes_avx512 bytes = {
        .offset = _mm512_set1_epi16((short)r->output_offset),
        .low = _mm512_set1_epi8((char)r->activation_min),
        .high = _mm512_set1_epi8((char)r->activation_max),
        .order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        .is_signed = r->activation_min < 0,
    };
    return bytes;
}

/* Four vectors of 16 scaled accumulators as 64 outputs in order. */
QC_AVX512 __attribute__((always_inline)) __m512i qc_to_bytes_avx512(const qc_bytes_avx512 *b, __m512i y0,
                                                                    __m512i y1, __m512i y2, __m512i y3) {
    const __m512i words01 = _mm512_adds_epi16(_mm512_packs_epi32(y0, y1), b->offset);
    const __m512i words23 = _mm512_adds_epi16(_mm512_packs_epi32(y2, y3), b->offset);
    __m512i bytes;
    if (b->is_signed) {
        bytes = _mm512_packs_epi16(words01, words23);
        bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, b->low), b->high);
    } else {
        bytes = _mm512_packus_epi16(words01, words23);
        bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, b->low), b->high);
    }
    return _mm512_permutexvar_epi32(b->order, bytes);
}

/* The mask of the first `count` of 64 bytes. */
QC_AVX512 __mmask64 qc_first_bytes(int64_t count) {
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

/* `count` accumulators of channels from the first of `block` on to outputs; FORM is a constant. acc is readable to a
 * multiple of 16. */
QC_AVX512 __attribute__((always_inline)) void qc_requantize_prepared_avx512(
    const qc_requant_form FORM, const qc_requant *r, const qc_requant_block *block, const int32_t *acc,
    int64_t count, uint8_t *output) {
    const qc_bytes_avx512 bytes = qc_make_bytes_avx512(r);
    for (int64_t i = 0; i < count; i += 64, block += 4) {
        __m512i y[4];
        for (int j = 0; j < 4; ++j) {
            y[j] = _mm512_setzero_si512();
            if (i + j * 16 < count)
                y[j] = qc_prepared_avx512(FORM, block + j, _mm512_loadu_si512(acc + i + j * 16));
        }
        _mm512_mask_storeu_epi8(output + i, qc_first_bytes(count - i),
                                qc_to_bytes_avx512(&bytes, y[0], y[1], y[2], y[3]));
    }
}

#endif
