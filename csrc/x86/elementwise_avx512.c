/* ADD, SUB, MUL and weighted sums with AVX-512: 64 elements of 8 bits at a time, see pair_sum.h. The rest: the reference
 * rules, vectorised by the compiler. */
#include <immintrin.h>

#include "pair_sum.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { BLOCK = 64 };

/* A sum in registers. */
typedef struct {
    __m512i high, low, bias_high, bias_low, least, most;
    __m128i shift;
} lanes;

INLINE lanes load_sum(const qc_pair_sum *s, int32_t least, int32_t most) {
    const lanes r = {_mm512_set1_epi32(qc_weight_pair(s->high1, s->high2)),
                     _mm512_set1_epi32(qc_weight_pair(s->low1, s->low2)),
                     _mm512_set1_epi32(s->bias_high),
                     _mm512_set1_epi32(s->bias_low),
                     _mm512_set1_epi8((char)least),
                     _mm512_set1_epi8((char)most),
                     _mm_cvtsi32_si128(s->shift)};
    return r;
}

/* 16 pairs, each in one lane. */
INLINE __m512i sum_pairs(const lanes *r, __m512i pairs) {
    const __m512i low = _mm512_add_epi32(_mm512_madd_epi16(pairs, r->low), r->bias_low);
    const __m512i high = _mm512_add_epi32(_mm512_madd_epi16(pairs, r->high), r->bias_high);
    return _mm512_sra_epi32(_mm512_add_epi32(high, _mm512_srai_epi32(low, QC_PAIR_SUM_BITS)), r->shift);
}

/* 32 elements of each input in 16 bits, to 32 results in order. */
INLINE __m512i sum_words(const lanes *r, __m512i a, __m512i b) {
    return _mm512_packs_epi32(sum_pairs(r, _mm512_unpacklo_epi16(a, b)), sum_pairs(r, _mm512_unpackhi_epi16(a, b)));
}

/* Packing interleaves quarters. */
INLINE __m512i in_order(__m512i packed) {
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed);
}

/* Defines `name`_loop, which takes `name`(r, 64 elements, 64 elements) along a row. */
#define BYTE_LOOP(name, R, T)                                                                                \
    INLINE void name##_loop(const R *r, const T *a, int repeat1, const T *b, int repeat2, T *y, int64_t count) { \
        const __m512i a0 = _mm512_set1_epi8((char)*a), b0 = _mm512_set1_epi8((char)*b);                      \
        int64_t i = 0;                                                                                       \
        for (; i + BLOCK <= count; i += BLOCK)                                                               \
            _mm512_storeu_si512(y + i, name(r, repeat1 ? a0 : _mm512_loadu_si512(a + i),                     \
                                            repeat2 ? b0 : _mm512_loadu_si512(b + i)));                      \
        if (i == count) return;                                                                              \
        const __mmask64 rest = (__mmask64)-1 >> (BLOCK - (count - i));                                       \
        _mm512_mask_storeu_epi8(y + i, rest, name(r, repeat1 ? a0 : _mm512_maskz_loadu_epi8(rest, a + i),    \
                                                  repeat2 ? b0 : _mm512_maskz_loadu_epi8(rest, b + i)));     \
    }
#define BYTE_ROW(name, r, a, stride1, b, stride2, y, count)                                                  \
    do {                                                                                                     \
        if (!(stride1)) name##_loop(r, a, 1, b, 0, y, count);                                                \
        else if (!(stride2)) name##_loop(r, a, 0, b, 1, y, count);                                           \
        else name##_loop(r, a, 0, b, 0, y, count);                                                           \
    } while (0)

/* How MUL requantizes: products have at most 18 bits, so that QC_DOUBLE_ROUNDING and QC_RUY without a left shift are
 * one floor division, see requantize_avx512.h, and the product with a float is that of QC_FLOAT32. */
enum { FLOOR, FLOOR_AWAY, REAL };

/* MUL in registers. */
typedef struct {
    __m512i offset1, offset2, output_offset, least, most, away;
    __m512d factor, addend;
    __m512 real;
    __m128i right;
} product_lanes;

static int product_form(const qc_mul_params *p) {
    const qc_requant *r = &p->requant;
    if (r->rounding == QC_FLOAT32) return r->real_multiplier[0] >= 0.0 && r->real_multiplier[0] < 0x1p+12 ? REAL : -1;
    if ((r->rounding != QC_DOUBLE_ROUNDING && r->rounding != QC_RUY) || r->shift[0] > 0 || r->shift[0] < -29) return -1;
    const qc_body *bodies[2] = {&p->body, &p->repeated_body};
    for (int k = 0; k < 2; ++k) /* which hold the result in 16 bits: as it is, if that is enough */
        if (bodies[k]->block && (bodies[k]->variant == QC_MUL_VANISHED || r->shift[0] > -4)) return -1;
    return r->rounding == QC_DOUBLE_ROUNDING && r->shift[0] < 0 ? FLOOR_AWAY : FLOOR;
}

INLINE product_lanes load_product(const qc_mul_params *p, int form) {
    const qc_requant *q = &p->requant;
    product_lanes r;
    r.offset1 = _mm512_set1_epi16((short)p->input1_offset);
    r.offset2 = _mm512_set1_epi16((short)p->input2_offset);
    r.output_offset = _mm512_set1_epi16((short)q->output_offset);
    r.least = _mm512_set1_epi8((char)q->activation_min);
    r.most = _mm512_set1_epi8((char)q->activation_max);
    if (form == REAL) {
        r.real = _mm512_set1_ps((float)q->real_multiplier[0]);
        return r;
    }
    /* floor((x * m + 2^30 + 2^(30 + e)) / 2^30) in the low bits of a float64 that is rounded down; x comes as
     * 2^52 + 2^31 + x. All constants are exact. */
    const int e = -q->shift[0];
    const double m = q->multiplier[0];
    const double nudge = 0x1.8p+52 + 1.0 + (e ? (double)((int64_t)1 << e) : 0.0);
    r.factor = _mm512_set1_pd(m * 0x1p-30);
    r.addend = _mm512_set1_pd(nudge - (m * 0x1p+22 + 2.0 * m));
    r.away = _mm512_set1_epi32(2);
    r.right = _mm_cvtsi32_si128(e + 1);
    return r;
}

INLINE __m512i scale_products(const product_lanes *r, int form, __m512i x) {
    enum { DOWN = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };
    if (form == REAL) return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(x), r->real));
    const __m512i exponent = _mm512_set1_epi32(0x43300000); /* of 2^52 */
    const __m512i above = _mm512_xor_si512(x, _mm512_set1_epi32(INT32_MIN));
    const __m512d low = _mm512_castsi512_pd(_mm512_unpacklo_epi32(above, exponent));
    const __m512d high = _mm512_castsi512_pd(_mm512_unpackhi_epi32(above, exponent));
    const __m512 y0 = _mm512_castpd_ps(_mm512_fmadd_round_pd(low, r->factor, r->addend, DOWN));
    const __m512 y1 = _mm512_castpd_ps(_mm512_fmadd_round_pd(high, r->factor, r->addend, DOWN));
    __m512i y = _mm512_castps_si512(_mm512_shuffle_ps(y0, y1, _MM_SHUFFLE(2, 0, 2, 0)));
    if (form == FLOOR_AWAY) y = _mm512_mask_sub_epi32(y, _mm512_movepi32_mask(x), y, r->away);
    return _mm512_sra_epi32(y, r->right);
}

/* 32 elements of each input in 16 bits, to 32 results in order. */
INLINE __m512i multiply_words(const product_lanes *r, int form, __m512i a, __m512i b) {
    const __m512i x = _mm512_add_epi16(a, r->offset1), y = _mm512_add_epi16(b, r->offset2);
    const __m512i low = _mm512_mullo_epi16(x, y), high = _mm512_mulhi_epi16(x, y);
    const __m512i words = _mm512_packs_epi32(scale_products(r, form, _mm512_unpacklo_epi16(low, high)),
                                             scale_products(r, form, _mm512_unpackhi_epi16(low, high)));
    return _mm512_adds_epi16(words, r->output_offset);
}

/* MUL of one form along a row. */
#define PRODUCT_ROW(suffix, T, form, widen, pack, max, min)                                                  \
    INLINE __m512i product_##suffix##_##form(const product_lanes *r, __m512i a, __m512i b) {                 \
        const __m512i y0 =                                                                                   \
            multiply_words(r, form, widen(_mm512_castsi512_si256(a)), widen(_mm512_castsi512_si256(b)));     \
        const __m512i y1 = multiply_words(r, form, widen(_mm512_extracti64x4_epi64(a, 1)),                   \
                                          widen(_mm512_extracti64x4_epi64(b, 1)));                           \
        return min(max(in_order(pack(y0, y1)), r->least), r->most);                                          \
    }                                                                                                        \
    BYTE_LOOP(product_##suffix##_##form, product_lanes, T)                                                   \
    TARGET static void product_row_##suffix##_##form(const void *rule, const void *input1, int64_t stride1,  \
                                                     const void *input2, int64_t stride2, void *output,      \
                                                     int64_t count) {                                        \
        const T *a = (const T *)input1, *b = (const T *)input2;                                              \
        const product_lanes r = load_product((const qc_mul_params *)rule, form);                             \
        BYTE_ROW(product_##suffix##_##form, &r, a, stride1, b, stride2, (T *)output, count);                 \
    }

#define BYTE_ROWS(suffix, T, widen, pack, max, min)                                                          \
    INLINE __m512i sum_##suffix(const lanes *r, __m512i a, __m512i b) {                                      \
        const __m512i y0 = sum_words(r, widen(_mm512_castsi512_si256(a)), widen(_mm512_castsi512_si256(b))); \
        const __m512i y1 =                                                                                   \
            sum_words(r, widen(_mm512_extracti64x4_epi64(a, 1)), widen(_mm512_extracti64x4_epi64(b, 1)));    \
        return min(max(in_order(pack(y0, y1)), r->least), r->most);                                          \
    }                                                                                                        \
    BYTE_LOOP(sum_##suffix, lanes, T)                                                                        \
    TARGET static void sum_row_##suffix(const qc_pair_sum *s, int32_t least, int32_t most, const T *a,       \
                                        int64_t stride1, const T *b, int64_t stride2, T *y, int64_t count) { \
        const lanes r = load_sum(s, least, most);                                                            \
        BYTE_ROW(sum_##suffix, &r, a, stride1, b, stride2, y, count);                                        \
    }                                                                                                        \
    PRODUCT_ROW(suffix, T, FLOOR, widen, pack, max, min)                                                     \
    PRODUCT_ROW(suffix, T, FLOOR_AWAY, widen, pack, max, min)                                                \
    PRODUCT_ROW(suffix, T, REAL, widen, pack, max, min)                                                      \
    QC_MUL_ROWS(suffix, TARGET, T)                                                                           \
    qc_status qc_mul_##suffix##_avx512(const qc_mul_params *p, const T *input1, const T *input2, T *output,  \
                                       void *scratch) {                                                      \
        static const qc_binary_row rows[] = {product_row_##suffix##_FLOOR, product_row_##suffix##_FLOOR_AWAY, \
                                             product_row_##suffix##_REAL};                                   \
        (void)scratch;                                                                                       \
        const int form = product_form(p);                                                                    \
        if (form < 0) mul_##suffix##_rows(p, input1, input2, output);                                        \
        else qc_broadcast_walk(&p->broadcast, p, input1, input2, output, sizeof(T), rows[form]);             \
        return QC_OK;                                                                                        \
    }

BYTE_ROWS(s8, int8_t, _mm512_cvtepi8_epi16, _mm512_packs_epi16, _mm512_max_epi8, _mm512_min_epi8)
BYTE_ROWS(u8, uint8_t, _mm512_cvtepu8_epi16, _mm512_packus_epi16, _mm512_max_epu8, _mm512_min_epu8)

QC_PAIR_KERNELS(s8, avx512, TARGET, int8_t)
QC_PAIR_KERNELS(u8, avx512, TARGET, uint8_t)
QC_ADD_KERNEL(s16, avx512, TARGET, int16_t, qc_add_combined_one, qc_add_truncated_one)
QC_SUB_KERNEL(s16, avx512, TARGET, int16_t)
QC_MUL_KERNEL(s16, avx512, TARGET, int16_t)
