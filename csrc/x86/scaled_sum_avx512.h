/* Sums and products rescaled, 16 at a time: see scaled_sum.h. */
#ifndef QUANTCORE_X86_SCALED_SUM_AVX512_H
#define QUANTCORE_X86_SCALED_SUM_AVX512_H

#include <immintrin.h>

#include "scaled_sum.h"

#define QC_SUM_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define QC_SUM_INLINE QC_SUM_TARGET static inline __attribute__((always_inline))

/* The rescaling of int32 values by a multiplier and a right shift, as a floor division. */
typedef struct {
    __m512d factor, addend;
    __m512i away;
    __m128i right;
} qc_floor_lanes;

/* floor((x * m + 2^30 + 2^(30 + e)) / 2^30) in the low bits of a float64 that is rounded down; x comes as
 * 2^52 + 2^31 + x. All constants are exact. */
QC_SUM_INLINE qc_floor_lanes qc_load_floor(int32_t multiplier, int32_t shift) {
    const int e = -shift;
    const double m = multiplier;
    const double nudge = 0x1.8p+52 + 1.0 + (e ? (double)((int64_t)1 << e) : 0.0);
    const qc_floor_lanes r = {_mm512_set1_pd(m * 0x1p-30), _mm512_set1_pd(nudge - (m * 0x1p+22 + 2.0 * m)),
                              _mm512_set1_epi32(2), _mm_cvtsi32_si128(e + 1)};
    return r;
}

/* is_away: whether ties go away from 0. */
QC_SUM_INLINE __m512i qc_floor_scaled(const qc_floor_lanes *r, int is_away, __m512i x) {
    enum { DOWN = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };
    const __m512i exponent = _mm512_set1_epi32(0x43300000); /* of 2^52 */
    const __m512i above = _mm512_xor_si512(x, _mm512_set1_epi32(INT32_MIN));
    const __m512d low = _mm512_castsi512_pd(_mm512_unpacklo_epi32(above, exponent));
    const __m512d high = _mm512_castsi512_pd(_mm512_unpackhi_epi32(above, exponent));
    const __m512 y0 = _mm512_castpd_ps(_mm512_fmadd_round_pd(low, r->factor, r->addend, DOWN));
    const __m512 y1 = _mm512_castpd_ps(_mm512_fmadd_round_pd(high, r->factor, r->addend, DOWN));
    __m512i y = _mm512_castps_si512(_mm512_shuffle_ps(y0, y1, _MM_SHUFFLE(2, 0, 2, 0)));
    if (is_away) y = _mm512_mask_sub_epi32(y, _mm512_movepi32_mask(x), y, r->away);
    return _mm512_sra_epi32(y, r->right);
}

/* An input in registers: words q, made v. */
typedef struct {
    __m512i offset, high, low, nudge;
    __m128i right;
} qc_term_lanes;

QC_SUM_INLINE qc_term_lanes qc_load_term(const qc_scaled_term *t, int32_t offset) {
    const qc_term_lanes r = {_mm512_set1_epi16((short)offset), _mm512_set1_epi32(t->high), _mm512_set1_epi32(t->low),
                             _mm512_set1_epi32(t->nudge), _mm_cvtsi32_si128(t->right)};
    return r;
}

/* pairs (v, v >> 15) of 16 inputs to their terms. */
QC_SUM_INLINE __m512i qc_scale_term(const qc_term_lanes *r, __m512i pairs) {
    const __m512i low = _mm512_srai_epi32(_mm512_add_epi32(_mm512_madd_epi16(pairs, r->low), r->nudge), 16);
    return _mm512_sra_epi32(_mm512_add_epi32(_mm512_madd_epi16(pairs, r->high), low), r->right);
}

/* A sum in registers. */
typedef struct {
    qc_term_lanes term1, term2;
    qc_floor_lanes scale;
    __m512i output_offset, least, most; /* the offset in dwords, the bounds of the output's type */
    __m128i left;
} qc_scaled_sum_lanes;

QC_SUM_INLINE qc_scaled_sum_lanes qc_load_scaled_sum(const qc_add_rule *r, const qc_scaled_sum *s, int item) {
    const qc_scaled_sum_lanes lanes = {
        .term1 = qc_load_term(&s->term1, r->input1_offset),
        .term2 = qc_load_term(&s->term2, r->input2_offset),
        .scale = qc_load_floor(r->output_multiplier, r->output_shift),
        .output_offset = _mm512_set1_epi32(r->output_offset),
        .least = item == 1 ? _mm512_set1_epi8((char)r->activation_min) : _mm512_set1_epi16((short)r->activation_min),
        .most = item == 1 ? _mm512_set1_epi8((char)r->activation_max) : _mm512_set1_epi16((short)r->activation_max),
        .left = _mm_cvtsi32_si128(s->left),
    };
    return lanes;
}

QC_SUM_INLINE __m512i qc_sum_pairs(const qc_scaled_sum_lanes *r, int is_sub, __m512i a, __m512i b) {
    const __m512i x = qc_scale_term(&r->term1, a), y = qc_scale_term(&r->term2, b);
    const __m512i sum = is_sub ? _mm512_sub_epi32(x, y) : _mm512_add_epi32(x, y);
    return _mm512_add_epi32(qc_floor_scaled(&r->scale, 1, sum), r->output_offset);
}

/* 32 elements of each input in 16 bits, to 32 results in order, saturated to 16 bits. */
QC_SUM_INLINE __m512i qc_sum_words(const qc_scaled_sum_lanes *r, int is_sub, __m512i a, __m512i b) {
    const __m512i v = _mm512_sll_epi16(_mm512_add_epi16(a, r->term1.offset), r->left);
    const __m512i w = _mm512_sll_epi16(_mm512_add_epi16(b, r->term2.offset), r->left);
    const __m512i sign_v = _mm512_srai_epi16(v, 15), sign_w = _mm512_srai_epi16(w, 15);
    return _mm512_packs_epi32(
        qc_sum_pairs(r, is_sub, _mm512_unpacklo_epi16(v, sign_v), _mm512_unpacklo_epi16(w, sign_w)),
        qc_sum_pairs(r, is_sub, _mm512_unpackhi_epi16(v, sign_v), _mm512_unpackhi_epi16(w, sign_w)));
}

#endif
