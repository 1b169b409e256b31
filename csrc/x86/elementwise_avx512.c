/* ADD, SUB, MUL and weighted sums with AVX-512: 64 elements of 8 bits at a time as pair_sum.h has them, or as
 * scaled_sum.h; 32 of int16. The rest: the reference rules, vectorised by the compiler. */
#include <immintrin.h>

#include "pair_sum.h"
#include "scaled_sum_avx512.h"

#define TARGET QC_SUM_TARGET
#define INLINE QC_SUM_INLINE
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

typedef char element8;
typedef int16_t element16;

/* Defines `name`_loop, which takes `name`(r, block, block) along a row of elements of 8 or 16 bits. */
#define ROW_LOOP(name, R, T, bits, mask)                                                                     \
    INLINE void name##_loop(const R *r, const T *a, int repeat1, const T *b, int repeat2, T *y, int64_t count) { \
        enum { BLOCK = 64 / sizeof(T) };                                                                     \
        const __m512i a0 = _mm512_set1_epi##bits((element##bits)*a);                                         \
        const __m512i b0 = _mm512_set1_epi##bits((element##bits)*b);                                         \
        int64_t i = 0;                                                                                       \
        for (; i + BLOCK <= count; i += BLOCK)                                                               \
            _mm512_storeu_si512(y + i, name(r, repeat1 ? a0 : _mm512_loadu_si512(a + i),                     \
                                            repeat2 ? b0 : _mm512_loadu_si512(b + i)));                      \
        if (i == count) return;                                                                              \
        const mask rest = (mask)((mask)-1 >> (BLOCK - (count - i)));                                         \
        const __m512i last = name(r, repeat1 ? a0 : _mm512_maskz_loadu_epi##bits(rest, a + i),               \
                                  repeat2 ? b0 : _mm512_maskz_loadu_epi##bits(rest, b + i));                 \
        _mm512_mask_storeu_epi##bits(y + i, rest, last);                                                     \
    }
#define BYTE_LOOP(name, R, T) ROW_LOOP(name, R, T, 8, __mmask64)
#define WORD_LOOP(name, R) ROW_LOOP(name, R, int16_t, 16, __mmask32)
#define ANY_ROW(name, r, a, stride1, b, stride2, y, count)                                                   \
    do {                                                                                                     \
        if (!(stride1)) name##_loop(r, a, 1, b, 0, y, count);                                                \
        else if (!(stride2)) name##_loop(r, a, 0, b, 1, y, count);                                           \
        else name##_loop(r, a, 0, b, 0, y, count);                                                           \
    } while (0)

/* Defines <op>_<suffix>_scaled, a row of ADD or SUB by its definition, of blocks op##_block_##suffix; the rule is a
 * qc_scaled_sum. */
#define SCALED_ROW(op, suffix, T)                                                                            \
    TARGET static void op##_##suffix##_scaled(const void *rule, const void *input1, int64_t stride1,         \
                                              const void *input2, int64_t stride2, void *output,             \
                                              int64_t count) {                                               \
        const T *a = (const T *)input1, *b = (const T *)input2;                                              \
        const qc_scaled_sum *s = (const qc_scaled_sum *)rule;                                                \
        const qc_scaled_sum_lanes r = qc_load_scaled_sum(s->rule, s, sizeof(T));                             \
        ANY_ROW(op##_block_##suffix, &r, a, stride1, b, stride2, (T *)output, count);                        \
    }

/* In a kernel: if no pair sum fits, but this does. */
#define QC_SCALED_SUM(op, suffix, T)                                                                         \
    qc_scaled_sum scaled;                                                                                    \
    const int32_t lowest = (T)-1 < 0 ? -128 : 0;                                                             \
    if (!p->rule.plain_sum.fits && qc_make_scaled_sum(&p->rule, lowest, lowest + 255, &scaled)) {            \
        qc_walk_long_rows(&p->broadcast, &scaled, input1, input2, output, sizeof(T), op##_##suffix##_scaled); \
        return QC_OK;                                                                                        \
    }

/* How MUL requantizes: products have at most 18 bits, so that QC_DOUBLE_ROUNDING and QC_RUY without a left shift are
 * one floor division, see requantize_avx512.h, and the product with a float is that of QC_FLOAT32. */
enum { FLOOR, FLOOR_AWAY, REAL };

/* MUL in registers. */
typedef struct {
    __m512i offset1, offset2, output_offset, least, most;
    qc_floor_lanes scale;
    __m512 real;
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
    if (form == REAL) r.real = _mm512_set1_ps((float)q->real_multiplier[0]);
    else r.scale = qc_load_floor(q->multiplier[0], q->shift[0]);
    return r;
}

INLINE __m512i scale_products(const product_lanes *r, int form, __m512i x) {
    if (form == REAL) return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(x), r->real));
    return qc_floor_scaled(&r->scale, form == FLOOR_AWAY, x);
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
        ANY_ROW(product_##suffix##_##form, &r, a, stride1, b, stride2, (T *)output, count);                 \
    }

#define SCALED_BYTES(op, is_sub, suffix, T, widen, pack, max, min)                                           \
    INLINE __m512i op##_block_##suffix(const qc_scaled_sum_lanes *r, __m512i a, __m512i b) {                 \
        const __m512i y0 = qc_sum_words(r, is_sub, widen(_mm512_castsi512_si256(a)),                         \
                                        widen(_mm512_castsi512_si256(b)));                                   \
        const __m512i y1 = qc_sum_words(r, is_sub, widen(_mm512_extracti64x4_epi64(a, 1)),                   \
                                        widen(_mm512_extracti64x4_epi64(b, 1)));                             \
        return min(max(in_order(pack(y0, y1)), r->least), r->most);                                          \
    }                                                                                                        \
    BYTE_LOOP(op##_block_##suffix, qc_scaled_sum_lanes, T)                                                   \
    SCALED_ROW(op, suffix, T)

#define BYTE_ROWS(suffix, T, widen, pack, max, min)                                                          \
    INLINE __m512i sum_##suffix(const lanes *r, __m512i a, __m512i b) {                                      \
        const __m512i y0 = sum_words(r, widen(_mm512_castsi512_si256(a)), widen(_mm512_castsi512_si256(b))); \
        const __m512i y1 =                                                                                   \
            sum_words(r, widen(_mm512_extracti64x4_epi64(a, 1)), widen(_mm512_extracti64x4_epi64(b, 1)));    \
        return min(max(in_order(pack(y0, y1)), r->least), r->most);                                          \
    }                                                                                                        \
    BYTE_LOOP(sum_##suffix, lanes, T)                                                                        \
    SCALED_BYTES(add, 0, suffix, T, widen, pack, max, min)                                                   \
    SCALED_BYTES(sub, 1, suffix, T, widen, pack, max, min)                                                   \
    TARGET static void sum_row_##suffix(const qc_pair_sum *s, int32_t least, int32_t most, const T *a,       \
                                        int64_t stride1, const T *b, int64_t stride2, T *y, int64_t count) { \
        const lanes r = load_sum(s, least, most);                                                            \
        ANY_ROW(sum_##suffix, &r, a, stride1, b, stride2, y, count);                                        \
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
        else qc_walk_long_rows(&p->broadcast, p, input1, input2, output, sizeof(T), rows[form]);             \
        return QC_OK;                                                                                        \
    }

BYTE_ROWS(s8, int8_t, _mm512_cvtepi8_epi16, _mm512_packs_epi16, _mm512_max_epi8, _mm512_min_epi8)
BYTE_ROWS(u8, uint8_t, _mm512_cvtepu8_epi16, _mm512_packus_epi16, _mm512_max_epu8, _mm512_min_epu8)

QC_PAIR_KERNELS(s8, avx512, TARGET, int8_t)
QC_PAIR_KERNELS(u8, avx512, TARGET, uint8_t)

/* int16: the sums, and products whose requantization is a floor division. */
#define WORD_SUM(op, is_sub)                                                                                 \
    INLINE __m512i op##_block_s16(const qc_scaled_sum_lanes *r, __m512i a, __m512i b) {                      \
        return _mm512_min_epi16(_mm512_max_epi16(qc_sum_words(r, is_sub, a, b), r->least), r->most);         \
    }                                                                                                        \
    WORD_LOOP(op##_block_s16, qc_scaled_sum_lanes)                                                           \
    SCALED_ROW(op, s16, int16_t)                                                                             \
    qc_status qc_##op##_s16_avx512(const qc_add_params *p, const int16_t *input1, const int16_t *input2,     \
                                   int16_t *output, void *scratch) {                                         \
        qc_scaled_sum scaled;                                                                                \
        if (!qc_make_scaled_sum(&p->rule, INT16_MIN, INT16_MAX, &scaled))                                    \
            return qc_##op##_s16_avx2(p, input1, input2, output, scratch);                                   \
        qc_walk_long_rows(&p->broadcast, &scaled, input1, input2, output, sizeof *input1, op##_s16_scaled);  \
        return QC_OK;                                                                                        \
    }
WORD_SUM(add, 0)
WORD_SUM(sub, 1)

/* MUL of int16 in registers; away is 0 where ties go upward. */
typedef struct {
    qc_floor_lanes scale;
    __m512i offset, least, most;
} word_lanes;

INLINE __m512i multiply_block(const word_lanes *r, __m512i a, __m512i b) {
    const __m512i low = _mm512_mullo_epi16(a, b), high = _mm512_mulhi_epi16(a, b);
    const __m512i y0 = qc_floor_scaled(&r->scale, 1, _mm512_unpacklo_epi16(low, high));
    const __m512i y1 = qc_floor_scaled(&r->scale, 1, _mm512_unpackhi_epi16(low, high));
    const __m512i y = _mm512_packs_epi32(_mm512_add_epi32(y0, r->offset), _mm512_add_epi32(y1, r->offset));
    return _mm512_min_epi16(_mm512_max_epi16(y, r->least), r->most);
}
WORD_LOOP(multiply_block, word_lanes)

TARGET static void multiply_words_row(const void *rule, const void *input1, int64_t stride1, const void *input2,
                                      int64_t stride2, void *output, int64_t count) {
    const qc_requant *q = &((const qc_mul_params *)rule)->requant;
    word_lanes r = {qc_load_floor(q->multiplier[0], q->shift[0]), _mm512_set1_epi32(q->output_offset),
                    _mm512_set1_epi16((short)q->activation_min), _mm512_set1_epi16((short)q->activation_max)};
    if (q->rounding == QC_RUY || q->shift[0] == 0) r.scale.away = _mm512_setzero_si512();
    const int16_t *a = (const int16_t *)input1, *b = (const int16_t *)input2;
    ANY_ROW(multiply_block, &r, a, stride1, b, stride2, (int16_t *)output, count);
}

qc_status qc_mul_s16_avx512(const qc_mul_params *p, const int16_t *input1, const int16_t *input2, int16_t *output,
                            void *scratch) {
    const qc_requant *q = &p->requant;
    const int is_floor = q->rounding == QC_DOUBLE_ROUNDING || q->rounding == QC_RUY;
    if (!is_floor || p->input1_offset || p->input2_offset || p->body.block || p->repeated_body.block ||
        !qc_floor_fits((int64_t)1 << 30, q->multiplier[0], q->shift[0]))
        return qc_mul_s16_avx2(p, input1, input2, output, scratch);
    qc_walk_long_rows(&p->broadcast, p, input1, input2, output, sizeof *input1, multiply_words_row);
    return QC_OK;
}
