/* The functions of fixed_point_functions16.h and sigmoid_table.h on 16 int16 values at a time, and products with
 * factors behind them. vpmulhrsw is qc_srdhm16 but for -2^15 times itself, which nothing here multiplies. */
#ifndef QUANTCORE_X86_FUNCTIONS16_AVX2_H
#define QUANTCORE_X86_FUNCTIONS16_AVX2_H

#include <immintrin.h>

#include "quantcore/sigmoid_table.h"

#define QC_INLINE_AVX2 static inline __attribute__((target("avx2"), always_inline))

QC_INLINE_AVX2 __m256i qc_load256(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

QC_INLINE_AVX2 void qc_store256(void *p, __m256i x) {
    _mm256_storeu_si256((__m256i *)p, x);
}

/* Two vectors of 8 int32 as 16 int16, in order, saturated. */
QC_INLINE_AVX2 __m256i qc_pack16_avx2(__m256i low, __m256i high) {
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
}

/* qc_exp_on_negative_values16. */
QC_INLINE_AVX2 __m256i qc_exp_on_negative_values16_avx2(__m256i a, int integer_bits) {
    static const int16_t factors[] = {25520, 19875, 12055, 4435, 600, 11, 0}; /* exp(-1/4), exp(-1/2), exp(-1), ... */
    const int fraction_bits = 15 - integer_bits;
    const __m256i exp_minus_one_eighth = _mm256_set1_epi16(28918), one_third = _mm256_set1_epi16(10923);
    const __m256i one = _mm256_set1_epi16(1);
    const int16_t quarter = (int16_t)(1 << (fraction_bits - 2));
    const __m256i quarters = _mm256_set1_epi16(quarter);
    const __m256i r = _mm256_sub_epi16(_mm256_and_si256(a, _mm256_set1_epi16((int16_t)(quarter - 1))), quarters);
    const __m256i scaled = _mm256_sll_epi16(r, _mm_cvtsi32_si128(integer_bits));
    const __m256i x = _mm256_add_epi16(scaled, _mm256_set1_epi16(1 << 12));
    const __m256i x2 = _mm256_mulhrs_epi16(x, x);
    const __m256i x3 = _mm256_mulhrs_epi16(x2, x);
    const __m256i x4 = _mm256_mulhrs_epi16(x2, x2); /* not negative, and so a quarter of it rounds half up */
    const __m256i quarter_x4 = _mm256_srai_epi16(_mm256_add_epi16(x4, _mm256_set1_epi16(2)), 2);
    const __m256i third = _mm256_mulhrs_epi16(_mm256_add_epi16(quarter_x4, x3), one_third);
    const __m256i twice = _mm256_add_epi16(third, x2);
    /* half of it, ties away from zero */
    const __m256i odd = _mm256_andnot_si256(_mm256_srai_epi16(twice, 15), _mm256_and_si256(twice, one));
    const __m256i tail = _mm256_add_epi16(_mm256_srai_epi16(twice, 1), odd);
    __m256i y = _mm256_adds_epi16(exp_minus_one_eighth,
                                  _mm256_mulhrs_epi16(exp_minus_one_eighth, _mm256_add_epi16(x, tail)));
    const __m256i rest = _mm256_sub_epi16(r, a);
    for (int k = 0; k < integer_bits + 2 && k < 7; ++k) {
        const __m256i bit = _mm256_set1_epi16((int16_t)(1 << (fraction_bits - 2 + k)));
        const __m256i is_set = _mm256_cmpeq_epi16(_mm256_and_si256(rest, bit), bit);
        y = _mm256_blendv_epi8(y, _mm256_mulhrs_epi16(y, _mm256_set1_epi16(factors[k])), is_set);
    }
    if (integer_bits > 5) {
        const __m256i limit = _mm256_set1_epi16((int16_t)-(1 << (fraction_bits + 5)));
        y = _mm256_andnot_si256(_mm256_cmpgt_epi16(limit, a), y);
    }
    const __m256i is_zero = _mm256_cmpeq_epi16(a, _mm256_setzero_si256());
    return _mm256_blendv_epi8(y, _mm256_set1_epi16(INT16_MAX), is_zero);
}

/* qc_one_over_half_of_one_plus_x16. */
QC_INLINE_AVX2 __m256i qc_one_over_half_of_one_plus_x16_avx2(__m256i a) {
    const __m256i half = _mm256_add_epi16(_mm256_srli_epi16(a, 1), _mm256_set1_epi16(1 << 14));
    __m256i x = _mm256_add_epi16(_mm256_set1_epi16(23130), _mm256_mulhrs_epi16(half, _mm256_set1_epi16(-15420)));
    for (int step = 0; step < 3; ++step) {
        const __m256i error = _mm256_sub_epi16(_mm256_set1_epi16(1 << 13), _mm256_mulhrs_epi16(half, x));
        const __m256i change = _mm256_mulhrs_epi16(x, error);
        const __m256i twice = _mm256_adds_epi16(change, change);
        x = _mm256_add_epi16(x, _mm256_adds_epi16(twice, twice));
    }
    return x;
}

/* -|a| */
QC_INLINE_AVX2 __m256i qc_minus_magnitude_avx2(__m256i a) {
    return _mm256_min_epi16(a, _mm256_sub_epi16(_mm256_setzero_si256(), a));
}

/* qc_logistic16. */
QC_INLINE_AVX2 __m256i qc_logistic16_avx2(__m256i a, int integer_bits) {
    const __m256i e = qc_exp_on_negative_values16_avx2(qc_minus_magnitude_avx2(a), integer_bits);
    const __m256i inverse = qc_one_over_half_of_one_plus_x16_avx2(e);
    const __m256i positive = _mm256_adds_epi16(inverse, inverse);
    const __m256i negative = _mm256_sub_epi16(_mm256_set1_epi16(INT16_MAX), positive);
    const __m256i y = _mm256_blendv_epi8(positive, negative, _mm256_srai_epi16(a, 15));
    const __m256i is_zero = _mm256_cmpeq_epi16(a, _mm256_setzero_si256());
    return _mm256_blendv_epi8(y, _mm256_set1_epi16(1 << 14), is_zero);
}

/* qc_tanh16. */
QC_INLINE_AVX2 __m256i qc_tanh16_avx2(__m256i a, int integer_bits) {
    const __m256i e = qc_exp_on_negative_values16_avx2(qc_minus_magnitude_avx2(a), integer_bits + 1);
    const __m256i inverse = qc_one_over_half_of_one_plus_x16_avx2(e);
    const __m256i difference = _mm256_sub_epi16(inverse, _mm256_set1_epi16(1 << 13));
    const __m256i twice = _mm256_adds_epi16(difference, difference);
    return _mm256_sign_epi16(_mm256_adds_epi16(twice, twice), a);
}

/* qc_sigmoid_interpolate on 8 positions; one gather reads both neighbours. */
QC_INLINE_AVX2 __m256i qc_sigmoid_interpolate_avx2(__m256i v, int bits, int32_t end) {
    const __m256i i = _mm256_srli_epi32(v, bits), last = _mm256_set1_epi32(254);
    const __m256i pair =
        _mm256_i32gather_epi32((const int *)(const void *)qc_sigmoid_table, _mm256_min_epi32(i, last), 2);
    const __m256i low = _mm256_and_si256(pair, _mm256_set1_epi32(0xFFFF));
    const __m256i slope = _mm256_sub_epi32(_mm256_srli_epi32(pair, 16), low);
    const __m256i fraction = _mm256_and_si256(v, _mm256_set1_epi32((1 << bits) - 1));
    const __m256i y = _mm256_add_epi32(_mm256_slli_epi32(low, bits), _mm256_mullo_epi32(fraction, slope));
    return _mm256_blendv_epi8(y, _mm256_set1_epi32(end), _mm256_cmpgt_epi32(i, last));
}

/* qc_logistic_from_table and qc_tanh_from_table, at 8 positions. */
QC_INLINE_AVX2 __m256i qc_logistic_from_table_avx2(__m256i v) {
    const __m256i t = qc_sigmoid_interpolate_avx2(_mm256_abs_epi32(v), 9, 0x7FFF << 10);
    const __m256i positive = _mm256_add_epi32(t, _mm256_set1_epi32(512));
    const __m256i negative = _mm256_sub_epi32(_mm256_set1_epi32((1 << 25) + 511), t);
    return _mm256_srai_epi32(_mm256_blendv_epi8(positive, negative, _mm256_srai_epi32(v, 31)), 10);
}

QC_INLINE_AVX2 __m256i qc_tanh_from_table_avx2(__m256i v) {
    const __m256i t = qc_sigmoid_interpolate_avx2(_mm256_abs_epi32(v), 8, 0xFFFF << 8);
    const __m256i positive = _mm256_sub_epi32(t, _mm256_set1_epi32((1 << 23) - 128));
    const __m256i negative = _mm256_sub_epi32(_mm256_set1_epi32((1 << 23) + 127), t);
    return _mm256_srai_epi32(_mm256_blendv_epi8(positive, negative, _mm256_srai_epi32(v, 31)), 8);
}

/* qc_sigmoid_position on 8 inputs. */
QC_INLINE_AVX2 __m256i qc_sigmoid_position_avx2(__m256i q, int32_t multiplier, int right_shift) {
    const __m256i product = _mm256_mullo_epi32(q, _mm256_set1_epi32(multiplier));
    const __m256i rounding = _mm256_set1_epi32(right_shift > 0 ? (int32_t)1 << (right_shift - 1) : 0);
    return _mm256_sra_epi32(_mm256_add_epi32(product, rounding), _mm_cvtsi32_si128(right_shift));
}

/* The halves of 16 int16, as int32. */
QC_INLINE_AVX2 __m256i qc_low_half_avx2(__m256i a) {
    return _mm256_cvtepi16_epi32(_mm256_castsi256_si128(a));
}

QC_INLINE_AVX2 __m256i qc_high_half_avx2(__m256i a) {
    return _mm256_cvtepi16_epi32(_mm256_extracti128_si256(a, 1));
}

/* Logistic and tanh of 16 inputs by table. */
QC_INLINE_AVX2 __m256i qc_logistic_table16_avx2(__m256i a, int32_t multiplier, int right_shift) {
    const __m256i low = qc_sigmoid_position_avx2(qc_low_half_avx2(a), multiplier, right_shift);
    const __m256i high = qc_sigmoid_position_avx2(qc_high_half_avx2(a), multiplier, right_shift);
    return qc_pack16_avx2(qc_logistic_from_table_avx2(low), qc_logistic_from_table_avx2(high));
}

QC_INLINE_AVX2 __m256i qc_tanh_table16_avx2(__m256i a, int32_t multiplier, int right_shift) {
    const __m256i low = qc_sigmoid_position_avx2(qc_low_half_avx2(a), multiplier, right_shift);
    const __m256i high = qc_sigmoid_position_avx2(qc_high_half_avx2(a), multiplier, right_shift);
    return qc_pack16_avx2(qc_tanh_from_table_avx2(low), qc_tanh_from_table_avx2(high));
}

/* A factor of qc_multiply_double_rounding for a whole vector. */
typedef struct {
    __m256i multiplier;
    __m128i left;
    __m128i right;
    __m256i mask;
    __m256i threshold;
} qc_factor_avx2;

QC_INLINE_AVX2 qc_factor_avx2 qc_make_factor_avx2(int32_t multiplier, int shift) {
    const int right = shift < 0 ? -shift : 0;
    const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
    const qc_factor_avx2 factor = {
        _mm256_set1_epi32(multiplier), _mm_cvtsi32_si128(shift > 0 ? shift : 0), _mm_cvtsi32_si128(right),
        _mm256_set1_epi32(mask), _mm256_set1_epi32(mask >> 1)};
    return factor;
}

/* qc_multiply_double_rounding on 8 values; multipliers are not negative. */
QC_INLINE_AVX2 __m256i qc_rescale_avx2(const qc_factor_avx2 *f, __m256i x) {
    const __m256i nudge = _mm256_set1_epi64x((int64_t)1 << 30);
    const __m256i shifted = _mm256_sll_epi32(x, f->left);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(shifted, f->multiplier), nudge);
    const __m256i odd =
        _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(shifted, 32), f->multiplier), nudge);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
    const __m256i threshold = _mm256_sub_epi32(f->threshold, _mm256_srai_epi32(high, 31));
    const __m256i up = _mm256_cmpgt_epi32(_mm256_and_si256(high, f->mask), threshold);
    return _mm256_sub_epi32(_mm256_sra_epi32(high, f->right), up);
}

#endif
