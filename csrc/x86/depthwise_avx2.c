/* DEPTHWISE_CONV_2D on AVX2: stacks of 2 int16, vpmaddwd. Unlike vpmaddubsw it is exact for all bytes. */
#include <string.h>

#include "depthwise.h"
#include "requantize_avx2.h"

enum { LANES = 32, START = 64, SUMS = START + 4 * LANES, LEFT = SUMS + 4 * LANES, RIGHT = LEFT + 4 * LANES,
       NEGATIVE = RIGHT + 4 * LANES, FACTOR = NEGATIVE + 4 * LANES, ADDEND = FACTOR + 8 * LANES, FILTER = ADDEND + 8 * LANES };

QC_AVX2 __m256i load(const void *bytes) {
    return _mm256_loadu_si256((const __m256i *)bytes);
}

QC_AVX2 void store(void *to, __m256i x) {
    _mm256_storeu_si256((__m256i *)to, x);
}

__attribute__((target("avx2"))) static void stack(const uint8_t *const *rows, int64_t count, uint8_t *stacked) {
    for (int64_t i = 0; i < count; i += 16, stacked += 64) {
        const __m128i r0 = _mm_loadu_si128((const __m128i *)(const void *)(rows[0] + i));
        const __m128i r1 = _mm_loadu_si128((const __m128i *)(const void *)(rows[1] + i));
        store(stacked, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(r0, r1)));
        store(stacked + 32, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(r0, r1)));
    }
}

__attribute__((target("avx2"))) static void copy(uint8_t *to, const uint8_t *from, int64_t count, uint8_t flip) {
    const __m256i bits = _mm256_set1_epi8((char)flip);
    int64_t i = 0;
    for (; i + 32 <= count; i += 32) store(to + i, _mm256_xor_si256(load(from + i), bits));
    for (; i < count; ++i) to[i] = from[i] ^ flip;
}

__attribute__((target("avx2"))) static void copy_pixels(uint8_t *to, int64_t pitch, const uint8_t *from,
                                                        int64_t distance, int64_t count, int32_t width,
                                                        uint8_t flip) {
    const __m128i bits = _mm_set1_epi8((char)flip);
    for (int64_t i = 0; i < count; ++i, to += pitch, from += distance) {
        int32_t c = 0;
        for (; c + 16 <= width; c += 16) {
            const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(from + c));
            _mm_storeu_si128((__m128i *)(void *)(to + c), _mm_xor_si128(x, bits));
        }
        if (c + 8 <= width) {
            const __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)(from + c));
            _mm_storel_epi64((__m128i *)(void *)(to + c), _mm_xor_si128(x, bits));
            c += 8;
        }
        for (; c < width; ++c) to[c] = from[c] ^ flip;
    }
}

/* The rules as one floor division: with e = -shift,
 *
 *   y = floor((x * m + K + c) / 2^(31 + e)),  K = 2^30 + (e ? 2^(30 + e) : 0),
 *   c = -2^31 where x < 0, the rule is double rounding and e >= 1, else 0
 *
 * in two steps: by 2^30 in 64 bits, of which the low half of the result is kept, and by 2^(1 + e). */
static void fixed(uint8_t *record, int32_t lane, int32_t multiplier, int32_t shift, qc_depthwise_store store_by,
                  qc_rounding rule) {
    const int32_t left = shift > 0 ? shift : 0, e = left - shift;
    const int64_t nudge = ((int64_t)1 << 30) + (e >= 1 ? (int64_t)1 << (30 + e) : 0);
    const int32_t place = (lane & ~7) + (lane & 1) * 4 + lane % 8 / 2; /* even lanes, then odd ones */
    (void)store_by;
    ((int32_t *)(void *)(record + LEFT))[lane] = left;
    ((int32_t *)(void *)(record + FACTOR))[lane] = multiplier;
    ((int64_t *)(void *)(record + ADDEND))[place] = nudge;
    ((int32_t *)(void *)(record + RIGHT))[lane] = e + 1;
    ((int32_t *)(void *)(record + NEGATIVE))[lane] = rule == QC_DOUBLE_ROUNDING && e >= 1 ? -2 : 0;
}

/* 8 outputs before offset and clamp, of lanes from 8 k on; STORE is a constant. */
QC_AVX2 __attribute__((always_inline)) __m256i scaled(const qc_depthwise_store STORE, const uint8_t *record, int k,
                                                      __m256i acc) {
    const uint8_t *factor = record + FACTOR + 32 * k, *addend = record + ADDEND + 64 * k;
    if (STORE == QC_DEPTHWISE_FLOAT32) {
        const __m256 multiplier = _mm256_castsi256_ps(load(factor));
        const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), multiplier);
        return _mm256_cvtps_epi32(_mm256_min_ps(product, _mm256_set1_ps((float)QC_FLOAT32_LIMIT)));
    }
    const __m256i sign = _mm256_set1_epi32(INT32_MIN);
    __m256i x = _mm256_xor_si256(acc, sign); /* without the 2^31 that it began with */
    if (STORE == QC_DEPTHWISE_SHIFTED) x = _mm256_sllv_epi32(x, load(record + LEFT + 32 * k));
    const __m256i m = load(factor);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, m), load(addend));
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(m, 32)),
                                         load(addend + 32));
    __m256i w = _mm256_blend_epi32(_mm256_srli_epi64(even, 30), _mm256_slli_epi64(odd, 2), 0xAA);
    if (STORE != QC_DEPTHWISE_POSITIVE)
        w = _mm256_add_epi32(w, _mm256_and_si256(_mm256_srai_epi32(x, 31), load(record + NEGATIVE + 32 * k)));
    return _mm256_srav_epi32(w, load(record + RIGHT + 32 * k));
}

/* What qc_depthwise_output says, in every lane. */
typedef struct {
    __m256i offset, low, high, flip, order;
} bounds;

QC_AVX2 __attribute__((always_inline)) bounds make_bounds(const qc_depthwise_output *o) {
    const bounds b = {_mm256_set1_epi16(o->offset), _mm256_set1_epi8(o->low), _mm256_set1_epi8(o->high),
                      _mm256_set1_epi8((char)o->flip), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)};
    return b;
}

/* 32 outputs of one row, of which the first `count` exist. */
QC_AVX2 __attribute__((always_inline)) void store_row(const qc_depthwise_store STORE, const bounds *b,
                                                      const uint8_t *record, const __m256i acc[4], uint8_t *to,
                                                      int64_t count) {
    if (STORE == QC_DEPTHWISE_ACCUMULATORS) {
        for (int k = 0; k < 4; ++k) store(to + 32 * k, acc[k]);
        return;
    }
    __m256i y[4];
    for (int k = 0; k < 4; ++k) y[k] = scaled(STORE, record, k, acc[k]);
    const __m256i low = _mm256_adds_epi16(_mm256_packs_epi32(y[0], y[1]), b->offset);
    const __m256i high = _mm256_adds_epi16(_mm256_packs_epi32(y[2], y[3]), b->offset);
    __m256i bytes = _mm256_packs_epi16(low, high);
    bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, b->low), b->high);
    bytes = _mm256_permutevar8x32_epi32(_mm256_xor_si256(bytes, b->flip), b->order);
    if (count >= LANES) {
        store(to, bytes);
    } else {
        uint8_t few[LANES];
        store(few, bytes);
        memcpy(to, few, (size_t)count);
    }
}

/* ROWS and STORE are constants, so that the accumulators stay in registers. */
QC_AVX2 __attribute__((always_inline)) void run_rows(const int ROWS, const qc_depthwise_store STORE,
                                                     const qc_depthwise_strip *s) {
    const uint8_t *record = s->records, *end = record + s->phases * s->record_size;
    const int64_t row_step = s->group * 128, record_size = s->record_size, positions = s->positions, taps = s->taps;
    const int64_t step = s->step, *places = s->places;
    const bounds b = make_bounds(&s->output);
    uint8_t *to[2] = {s->to[0], s->to[1]};
    for (int64_t p = 0; p < positions; p += LANES) {
        __m256i acc[2][4];
        for (int r = 0; r < ROWS; ++r)
            for (int k = 0; k < 4; ++k) acc[r][k] = load(record + START + 32 * k);
        const uint8_t *filter = record + FILTER, *stacks = s->stacks + 4 * p;
        for (int64_t t = 0; t < taps; ++t, filter += row_step) {
            const uint8_t *under = stacks + places[t];
            for (int k = 0; k < 4; ++k) {
                const __m256i x = load(under + 32 * k);
                for (int r = 0; r < ROWS; ++r) {
                    const __m256i products = _mm256_madd_epi16(x, load(filter + 128 * r + 32 * k));
                    acc[r][k] = _mm256_add_epi32(acc[r][k], products);
                }
            }
        }
        for (int r = 0; r < ROWS; ++r, to[r - 1] += step)
            store_row(STORE, &b, record, acc[r], to[r], positions - p);
        record += record_size;
        if (record == end) record = s->records;
    }
}

__attribute__((target("avx2"))) static void run(const qc_depthwise_strip *s) {
    QC_DEPTHWISE_CASES(run_rows, s)
}

const qc_depthwise_isa qc_depthwise_avx2 = {
    .depth = 2,
    .lanes = LANES,
    .stack = stack,
    .copy = copy,
    .copy_pixels = copy_pixels,
    .run = run,
    .fixed = fixed,
};
