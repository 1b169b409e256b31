/* DEPTHWISE_CONV_2D on AVX-512 VNNI: stacks of 4 bytes, vpdpbusd. */
#include <string.h>

#include "depthwise.h"
#include "requantize_avx512.h"

enum { LANES = 64, START = 64, SUMS = START + 4 * LANES, LEFT = SUMS + 4 * LANES, RIGHT = LEFT + 4 * LANES,
       NEGATIVE = RIGHT + 4 * LANES, FACTOR = NEGATIVE + 4 * LANES, ADDEND = FACTOR + 8 * LANES, FILTER = ADDEND + 8 * LANES,
       DOWN = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };

QC_AVX512 __m512i load(const void *bytes) {
    return _mm512_loadu_si512(bytes);
}

__attribute__((target(QC_AVX512_TARGET))) static void stack(const uint8_t *const *rows, int64_t count,
                                                            uint8_t *stacked) {
    /* Group l of 4 elements of lane j goes to lane l of vector j, where the elements of the result are in order. */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int64_t i = 0; i < count; i += 64, stacked += 256) {
        const __m512i r0 = _mm512_permutexvar_epi32(order, load(rows[0] + i));
        const __m512i r1 = _mm512_permutexvar_epi32(order, load(rows[1] + i));
        const __m512i r2 = _mm512_permutexvar_epi32(order, load(rows[2] + i));
        const __m512i r3 = _mm512_permutexvar_epi32(order, load(rows[3] + i));
        const __m512i low01 = _mm512_unpacklo_epi8(r0, r1), high01 = _mm512_unpackhi_epi8(r0, r1);
        const __m512i low23 = _mm512_unpacklo_epi8(r2, r3), high23 = _mm512_unpackhi_epi8(r2, r3);
        _mm512_storeu_si512(stacked, _mm512_unpacklo_epi16(low01, low23));
        _mm512_storeu_si512(stacked + 64, _mm512_unpackhi_epi16(low01, low23));
        _mm512_storeu_si512(stacked + 128, _mm512_unpacklo_epi16(high01, high23));
        _mm512_storeu_si512(stacked + 192, _mm512_unpackhi_epi16(high01, high23));
    }
}

__attribute__((target(QC_AVX512_TARGET))) static void copy(uint8_t *to, const uint8_t *from, int64_t count,
                                                           uint8_t flip) {
    const __m512i bits = _mm512_set1_epi8((char)flip);
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) _mm512_storeu_si512(to + i, _mm512_xor_si512(load(from + i), bits));
    if (i == count) return;
    const __mmask64 exist = ((__mmask64)1 << (count - i)) - 1;
    _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_maskz_loadu_epi8(exist, from + i), bits));
}

__attribute__((target(QC_AVX512_TARGET))) static void copy_pixels(uint8_t *to, int64_t pitch, const uint8_t *from,
                                                                  int64_t distance, int64_t count, int32_t width,
                                                                  uint8_t flip) {
    if (width > 32) {
        const __m512i bits = _mm512_set1_epi8((char)flip);
        const __mmask64 exist = ~(__mmask64)0 >> (64 - width);
        for (int64_t i = 0; i < count; ++i, to += pitch, from += distance)
            _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_maskz_loadu_epi8(exist, from), bits));
    } else if (width > 16) {
        const __m256i bits = _mm256_set1_epi8((char)flip);
        const __mmask32 exist = ~(__mmask32)0 >> (32 - width);
        for (int64_t i = 0; i < count; ++i, to += pitch, from += distance)
            _mm256_storeu_si256((void *)to, _mm256_xor_si256(_mm256_maskz_loadu_epi8(exist, from), bits));
    } else {
        const __m128i bits = _mm_set1_epi8((char)flip);
        const __mmask16 exist = (__mmask16)(0xFFFFu >> (16 - width));
        for (int64_t i = 0; i < count; ++i, to += pitch, from += distance)
            _mm_storeu_si128((void *)to, _mm_xor_si128(_mm_maskz_loadu_epi8(exist, from), bits));
    }
}

/* The rules as one floor division: with e = -shift,
 *
 *   y = floor((x * m + K + c) / 2^(31 + e)),  K = 2^30 + (e ? 2^(30 + e) : 0),
 *   c = -2^31 where x < 0, the rule is double rounding and e >= 1, else 0
 *
 * w = floor((x * m + K + c) / 2^30) is the low half of a float64 sum that is rounded down, 1.5 * 2^52 + w. c makes it
 * 2 less: that is in the addend, and taken back where x >= 0. Accumulators have 2^31 added, so that under the exponent
 * of 2^52 they are 2^52 + 2^31 + x; the addend takes that out, times the factor: all of these are whole numbers below
 * 2^53. Where a multiplier may shift left, they are not, and it is taken out before; 2^shift is in the factor. */
static void fixed(uint8_t *record, int32_t lane, int32_t multiplier, int32_t shift, qc_depthwise_store store_by,
                  qc_rounding rule) {
    const int32_t left = shift > 0 ? shift : 0, e = left - shift;
    const int corrected = store_by != QC_DEPTHWISE_POSITIVE && rule == QC_DOUBLE_ROUNDING && e >= 1;
    const int64_t magic = ((int64_t)3 << 51) + 1 + (e >= 1 ? (int64_t)1 << e : 0) - (corrected ? 2 : 0);
    const int64_t out = store_by == QC_DEPTHWISE_SHIFTED ? 0 : (int64_t)multiplier * ((1 << 22) + 2);
    /* Lanes of the two halves after unpacking: 0 1 4 5 8 9 12 13 and 2 3 6 7 10 11 14 15. */
    const int32_t place = (lane & ~15) + (lane & 2) * 4 + (lane % 16 / 4) * 2 + (lane & 1);
    ((double *)(void *)(record + FACTOR))[place] = (double)((int64_t)multiplier << left) * 0x1p-30;
    ((double *)(void *)(record + ADDEND))[place] = (double)(magic - out);
    ((int32_t *)(void *)(record + RIGHT))[lane] = e + 1;
    ((int32_t *)(void *)(record + NEGATIVE))[lane] = corrected ? 2 : 0;
}

/* 16 outputs before offset and clamp, of lanes from 16 k on; STORE is a constant. */
QC_AVX512 __attribute__((always_inline)) __m512i scaled(const qc_depthwise_store STORE, const uint8_t *record, int k,
                                                        __m512i acc) {
    if (STORE == QC_DEPTHWISE_FLOAT32) {
        const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(record + FACTOR + 64 * k));
        return _mm512_cvtps_epi32(_mm512_min_ps(product, _mm512_set1_ps((float)QC_FLOAT32_LIMIT)));
    }
    const __m512i exponent = _mm512_set1_epi32(0x43300000);
    __m512d low = _mm512_castsi512_pd(_mm512_unpacklo_epi32(acc, exponent));
    __m512d high = _mm512_castsi512_pd(_mm512_unpackhi_epi32(acc, exponent));
    if (STORE == QC_DEPTHWISE_SHIFTED) {
        low = _mm512_sub_pd(low, _mm512_set1_pd(0x1.0000080000000p52));
        high = _mm512_sub_pd(high, _mm512_set1_pd(0x1.0000080000000p52));
    }
    const uint8_t *factor = record + FACTOR + 128 * k, *addend = record + ADDEND + 128 * k;
    const __m512d low_w = _mm512_fmadd_round_pd(low, _mm512_loadu_pd(factor), _mm512_loadu_pd(addend), DOWN);
    const __m512d high_w =
        _mm512_fmadd_round_pd(high, _mm512_loadu_pd(factor + 64), _mm512_loadu_pd(addend + 64), DOWN);
    __m512i w = _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castpd_ps(low_w), _mm512_castpd_ps(high_w), 0x88));
    if (STORE != QC_DEPTHWISE_POSITIVE) {
        const __mmask16 positive = _mm512_movepi32_mask(acc);
        w = _mm512_mask_add_epi32(w, positive, w, load(record + NEGATIVE + 64 * k));
    }
    return _mm512_srav_epi32(w, load(record + RIGHT + 64 * k));
}

/* sum + the products of x and 64 bytes at `filter`. With the intrinsic, gcc copies each sum from register to register
 * in a loop. */
QC_AVX512 __attribute__((always_inline)) __m512i add_products(__m512i sum, __m512i x, const void *filter) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "m"(*(const __m512i_u *)filter));
    return sum;
}

/* What qc_depthwise_output says, in every lane. */
typedef struct {
    __m512i offset, low, high, flip, order;
} bounds;

QC_AVX512 __attribute__((always_inline)) bounds make_bounds(const qc_depthwise_output *o) {
    const bounds b = {
        _mm512_set1_epi16(o->offset),     _mm512_set1_epi8(o->low),
        _mm512_set1_epi8(o->high),        _mm512_set1_epi8((char)o->flip),
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)};
    return b;
}

/* 64 outputs of one row. */
QC_AVX512 __attribute__((always_inline)) void store_row(const qc_depthwise_store STORE, const bounds *b,
                                                        const uint8_t *record, const __m512i acc[4], uint8_t *to,
                                                        __mmask64 exist) {
    if (STORE == QC_DEPTHWISE_ACCUMULATORS) {
        for (int k = 0; k < 4; ++k) _mm512_storeu_si512(to + 64 * k, acc[k]);
        return;
    }
    __m512i y[4];
    for (int k = 0; k < 4; ++k) y[k] = scaled(STORE, record, k, acc[k]);
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(y[0], y[1]), b->offset);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(y[2], y[3]), b->offset);
    __m512i bytes = _mm512_packs_epi16(low, high);
    bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, b->low), b->high);
    bytes = _mm512_permutexvar_epi32(b->order, _mm512_xor_si512(bytes, b->flip));
    _mm512_mask_storeu_epi8(to, exist, bytes);
}

/* ROWS and STORE are constants, so that the accumulators stay in registers. */
QC_AVX512 __attribute__((always_inline)) void run_rows(const int ROWS, const qc_depthwise_store STORE,
                                                       const qc_depthwise_strip *s) {
    const uint8_t *record = s->records, *end = record + s->phases * s->record_size;
    const int64_t row_step = s->group * 256, record_size = s->record_size, positions = s->positions, taps = s->taps;
    const int64_t step = s->step, *places = s->places;
    const bounds b = make_bounds(&s->output);
    uint8_t *to[2] = {s->to[0], s->to[1]};
    for (int64_t p = 0; p < positions; p += LANES) {
        __m512i acc[2][4];
        for (int r = 0; r < ROWS; ++r)
            for (int k = 0; k < 4; ++k) acc[r][k] = load(record + START + 64 * k);
        const uint8_t *filter = record + FILTER, *stacks = s->stacks + 4 * p;
        int32_t parts;
        memcpy(&parts, record, sizeof parts);
        do {
            for (int64_t t = 0; t < taps; ++t, filter += row_step) {
                const uint8_t *under = stacks + places[t];
                for (int k = 0; k < 4; ++k) {
                    const __m512i x = load(under + 64 * k);
                    for (int r = 0; r < ROWS; ++r)
                        acc[r][k] = add_products(acc[r][k], x, filter + 256 * r + 64 * k);
                }
            }
        } while (--parts > 0);
        const int64_t left = positions - p;
        const __mmask64 exist = left < LANES ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
        for (int r = 0; r < ROWS; ++r, to[r - 1] += step) store_row(STORE, &b, record, acc[r], to[r], exist);
        record += record_size;
        if (record == end) record = s->records;
    }
}

__attribute__((target(QC_AVX512_TARGET))) static void run(const qc_depthwise_strip *s) {
    QC_DEPTHWISE_CASES(run_rows, s)
}

const qc_depthwise_isa qc_depthwise_vnni = {
    .depth = 4,
    .lanes = LANES,
    .stack = stack,
    .copy = copy,
    .copy_pixels = copy_pixels,
    .run = run,
    .fixed = fixed,
};
